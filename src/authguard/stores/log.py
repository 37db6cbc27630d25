"""Define the log of revocations that processes share: its pages, and what a store must offer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from authguard.stores.marks import Key, Mark

MAX_PAGE = 1000  # marks that one reading gives
MAX_TIPS = 1024  # positions by which a log that went back is recognised
#: Seconds that the store keeps a mark after its end, since clocks differ.
KEEP_SECONDS = 7200.0

#: `ok`: the log goes on where the process has stopped reading. `old`: it cannot tell; read all of it again.
#: `lost`: the log has another epoch, or went back behind the process.
State: TypeAlias = Literal["ok", "old", "lost"]


@dataclass(frozen=True, slots=True)
class Position:
    """Tell where a process has stopped reading.

    Attributes:
        epoch: the name of the log's life; empty before the first reading.
        sequence: the number of the last mark.
        tip: the random name that the last writing gave that number; empty between two pages.
    """

    epoch: str = ""
    sequence: int = 0
    tip: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Hold the marks of a log after a position.

    Attributes:
        state: how the log stands to the position that was asked for.
        position: the next one.
        age: seconds since the epoch began, by the clock of the store.
        marks: in the order of their commits.
        is_last: no more marks follow.
    """

    state: State
    position: Position
    age: float
    marks: Sequence[Mark] = ()
    is_last: bool = True


class Log(Protocol):
    """Define a log in a store. Everything blocks; `StoreDownError` is raised if the store does not answer."""

    def read(self, process: str, position: Position, alive: float) -> Page:
        """Read after a position, and note that the process has read up to it.

        Args:
            process: the name of the process.
            position: where it has stopped reading.
            alive: seconds after which a process that does not read counts as gone.
        """
        ...

    def append(self, marks: Sequence[Mark], *, lost_epoch: str = "") -> int:
        """Write marks, and return the number of the last one.

        Args:
            marks: each gets a number, in the order of commits.
            lost_epoch: begin another epoch first, if the log still has this one.
        """
        ...

    def find(self, keys: Sequence[Key]) -> list[Mark]:
        """Return the marks of some keys, for a process that cannot hold all."""
        ...

    def count(self, now: float, most: int) -> int:
        """Return how many marks end later than a moment; no more are counted than `most`."""
        ...

    def is_confirmed(self, sequence: int, alive: float) -> bool:
        """Return whether every living process has read up to a number."""
        ...

    def use_proof(self, digest: str, seconds: int) -> bool:
        """Note that a DPoP proof is used; return False if it has been used before."""
        ...

    def wait(self, seconds: float) -> None:
        """Return when something has been written, or when the time has passed."""

    def close(self) -> None:
        """Close the connections."""

    def forget_connections(self) -> None:
        """Drop connections that belong to the parent process, without closing them for it."""


class StoreDownError(Exception):
    """Tell that the store does not answer; the text names the reason, without secrets."""
