"""Measure contestants in turns, so that a change of the machine's speed affects all alike."""

import gc
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

#: Seconds of processor time of this process, including its threads: neither other processes nor waiting
#: counts.
clock = time.process_time

Timer = Callable[[], float]  # a function that runs one batch, and returns the microseconds for each request


@dataclass(frozen=True)
class Paired:
    """Hold the times of two contestants in the same rounds, in microseconds for each request."""

    base: list[float]
    other: list[float]

    @property
    def base_median(self) -> float:
        return statistics.median(self.base)

    @property
    def base_least(self) -> float:
        return min(self.base)

    @property
    def median(self) -> float:
        return statistics.median(self.other)

    @property
    def least(self) -> float:
        return min(self.other)

    @property
    def added(self) -> float:
        """Return the median of the differences within a round."""
        return statistics.median(b - a for a, b in zip(self.base, self.other, strict=True))

    @property
    def added_least(self) -> float:
        return self.least - self.base_least

    @property
    def ratio(self) -> float:
        """Return the median of the ratios within a round."""
        return statistics.median(b / a for a, b in zip(self.base, self.other, strict=True))

    @property
    def ratio_least(self) -> float:
        return self.least / self.base_least


def in_turns(timers: Mapping[str, Timer], rounds: int, *, shuffled: bool = False) -> dict[str, list[float]]:
    """Run each timer once a round; the first one changes from round to round.

    Args:
        timers: the timers, by name.
        rounds: the number of rounds; a warm-up round comes before, and does not count.
        shuffled: whether each round has an order of its own, so that no timer always runs after the same one:
            a slow one leaves little in the processor's caches.
    """
    order = random.Random(0)
    names = list(timers)
    times: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        timers[name]()
    gc.collect()
    gc.freeze()  # objects that exist already are not scanned by the garbage collector while the clock runs
    for _ in range(rounds):
        for name in names:
            times[name].append(timers[name]())
        names.append(names.pop(0))
        if shuffled:
            order.shuffle(names)
    gc.unfreeze()
    return times


def paired(base: Timer, other: Timer, rounds: int) -> Paired:
    """Time two contestants against each other."""
    times = in_turns({"base": base, "other": other}, rounds)
    return Paired(times["base"], times["other"])
