"""Define the log of revocations that processes share: its pages, and the interface of a store."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from authguard.stores.marks import Key, Mark

MAX_PAGE = 1000  # marks in one page
MAX_TIPS = 1024  # positions by which a log that was reset is recognised
#: Seconds for which the store keeps a mark after its end, because clocks differ.
KEEP_SECONDS = 7200.0

#: `ok`: the page continues at the position. `old`: the store cannot tell; read all of the log again. `lost`:
#: the log has another epoch, or was set back to before the position.
State: TypeAlias = Literal["ok", "old", "lost"]


@dataclass(frozen=True, slots=True)
class Position:
    """Describe where a process has stopped reading.

    Attributes:
        epoch: the name of the log's epoch; empty before the first read.
        sequence: the number of the last mark.
        tip: the random name that the last write gave that number; empty between two pages.
    """

    epoch: str = ""
    sequence: int = 0
    tip: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Hold the marks that follow a position of the log.

    Attributes:
        state: the state of the log in relation to the requested position.
        position: the position after these marks.
        age: seconds since the epoch began, by the clock of the store.
        marks: in the order of their commits.
        is_last: whether no more marks follow.
    """

    state: State
    position: Position
    age: float
    marks: Sequence[Mark] = ()
    is_last: bool = True


class Log(Protocol):
    """Define a log in a store. All methods block, and raise `StoreDownError` if the store does not answer."""

    def read(self, process: str, position: Position, alive: float) -> Page:
        """Read after a position, and note that the process has read up to it.

        Args:
            process: the name of the process.
            position: where the process has stopped reading.
            alive: seconds after which a process that does not read counts as ended.
        """
        ...

    def append(self, marks: Sequence[Mark], *, lost_epoch: str = "") -> int:
        """Write marks, and return the number of the last one.

        Args:
            marks: the marks to write; each gets a number, in the order of commits.
            lost_epoch: start a new epoch first, if the log still has this one.
        """
        ...

    def find(self, keys: Sequence[Key]) -> list[Mark]:
        """Return the marks of some keys, for a process that cannot keep all of them."""
        ...

    def count(self, now: float, most: int) -> int:
        """Return how many marks end after a time; stop counting at `most`."""
        ...

    def is_confirmed(self, sequence: int, alive: float) -> bool:
        """Return whether every living process has read up to a number."""
        ...

    def epoch(self) -> str:
        """Return the name of the log's epoch, which no other log has; empty if it has not begun."""
        ...

    def use_proof(self, digest: str, seconds: int) -> bool:
        """Note that a DPoP proof is used; return False if it was used before."""
        ...

    def wait(self, seconds: float) -> None:
        """Return when something has been written, or when the time has passed."""

    def close(self) -> None:
        """Close the connections."""

    def forget_connections(self) -> None:
        """Drop connections of the parent process without closing them."""


class StoreDownError(Exception):
    """Report that the store does not answer; the text is the reason, without secrets."""
