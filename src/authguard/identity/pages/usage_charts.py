"""Compute charts of usage: bars of allowed requests, with refused requests on top."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from authguard._core.terms import OK, OUTCOMES
from authguard.identity.storage.usage_series import Period

#: Units of the drawing, which the page scales; a bar is a tenth narrower than its place.
WIDTH, HEIGHT = 600, 120
_BAR = 0.8
_MAX_RULES = 50

_TITLES = {"days": "Requests a day, last 30 days", "hours": "Requests an hour, last 24 hours"}


@dataclass(frozen=True, slots=True)
class Bar:
    """Describe the requests of one period, and the position of their bar.

    Attributes:
        label: the name of the period.
        ok: the number of allowed requests.
        refused: the number of refused requests.
        x: the position of both parts.
        ok_y: the upper end of the allowed part.
        ok_height: the height of the allowed part.
        refused_y: the upper end of the refused part.
        refused_height: the height of the refused part.
    """

    label: str
    ok: int
    refused: int
    x: float
    ok_y: float
    ok_height: float
    refused_y: float
    refused_height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Describe a chart.

    Attributes:
        name: identifies it on the page.
        title: the periods that it shows.
        summary: the same in a sentence, for screen readers.
        width: the width of the drawing.
        height: the height of the drawing.
        bar_width: the width of each bar.
        bars: one for each period.
        most: the number of requests of the highest bar.
    """

    name: str
    title: str
    summary: str
    width: int
    height: int
    bar_width: float
    bars: Sequence[Bar]
    most: int


def chart_of(name: str, starts: Sequence[int], periods: Iterable[Period]) -> Chart:
    """Compute a chart.

    Args:
        name: `days` or `hours`.
        starts: the beginning of each period.
        periods: the outcomes of the requests.
    """
    counts = {start: [0, 0] for start in starts}
    for period in periods:
        if period.start in counts:
            counts[period.start][period.outcome != OK] += period.uses
    most = max(1, *(ok + refused for ok, refused in counts.values()))
    place = WIDTH / len(starts)
    bars = []
    for index, (start, (ok, refused)) in enumerate(counts.items()):
        # A single request among many is still visible.
        ok_height, refused_height = (max(1.0, HEIGHT * n / most) if n else 0.0 for n in (ok, refused))
        refused_height = min(refused_height, HEIGHT - 1)
        ok_height = min(ok_height, HEIGHT - refused_height)
        places = (
            place * (index + (1 - _BAR) / 2),
            HEIGHT - ok_height,
            ok_height,
            HEIGHT - ok_height - refused_height,
            refused_height,
        )
        bars.append(Bar(_label(name, start), ok, refused, *(round(value, 2) for value in places)))
    return Chart(name, _TITLES[name], _summary(bars), WIDTH, HEIGHT, round(place * _BAR, 2), bars, most)


def _summary(bars: Sequence[Bar]) -> str:
    ok, refused = sum(bar.ok for bar in bars), sum(bar.refused for bar in bars)
    if not ok + refused:
        return "There were no requests."
    highest = max(bars, key=lambda bar: bar.ok + bar.refused)
    most = f"{highest.ok + highest.refused:,}"
    return f"{ok:,} passed, {refused:,} refused. Most requests: {most} ({highest.label})."


def _label(name: str, start: int) -> str:
    date = datetime.fromtimestamp(start, UTC)
    day = f"{date.day} {date:%B}"
    return day if name == "days" else f"{day}, {date:%H:%M} UTC"


def by_rule(periods: Iterable[Period]) -> list[tuple[str, str, int]]:
    """Return the rules and outcomes with the most requests, summed over all periods."""
    sums: dict[tuple[str, str], int] = {}
    for period in periods:
        cell = (period.rule, period.outcome)
        sums[cell] = sums.get(cell, 0) + period.uses
    ranked = sorted(sums.items(), key=lambda item: (-item[1], item[0][0], OUTCOMES.index(item[0][1])))
    return [(rule, outcome, uses) for (rule, outcome), uses in ranked[:_MAX_RULES]]
