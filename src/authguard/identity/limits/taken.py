"""Remove the counts of a request from limits, if the service could not answer it.

Otherwise an outage of the database would use up the limits of the people who try again, and lock them out
after the repair. This gives no free guesses: an outage is raised before a password is compared, or after the
right one was sent, while a wrong one is always another error. It gives no free mails either: a request that
has stored one stays counted.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from authguard.identity.errors import StoreUnavailableError


class Taken:
    """Hold the counts of a request.

    Args:
        outer: that of the block around this one; None for no block.
    """

    def __init__(self, outer: "Taken | None" = None) -> None:
        self._outer = outer
        self._returns: list[Callable[[], None]] = []

    def add(self, give_back: Callable[[], None]) -> None:
        """Add a counted request.

        Args:
            give_back: removes it from its limit.
        """
        self._returns.append(give_back)

    def give_back(self) -> None:
        """Give everything back, once."""
        returns, self._returns = self._returns, []
        for give_back in returns:
            give_back()

    def keep(self) -> None:
        """Forget everything, here and in the blocks around, so that it stays counted."""
        self._returns = []
        if self._outer is not None:
            self._outer.keep()


_TAKEN: ContextVar[Taken | None] = ContextVar("authguard_taken", default=None)


def note(give_back: Callable[[], None]) -> None:
    """Note a counted request, within `noting` or `given_back_on_outage`.

    Args:
        give_back: removes it from its limit.
    """
    taken = _TAKEN.get()
    if taken is not None:
        taken.add(give_back)


def keep() -> None:
    """Keep the counts of this request, because it has stored a mail."""
    taken = _TAKEN.get()
    if taken is not None:
        taken.keep()


@contextmanager
def noting() -> Iterator[Taken]:
    """Note the requests that this thread counts in a block, to give them back later.

    Blocks may be nested: the outer one also holds the counts of the inner one.
    """
    taken = Taken(_TAKEN.get())
    token = _TAKEN.set(taken)
    try:
        yield taken
    finally:
        _TAKEN.reset(token)
        note(taken.give_back)


@contextmanager
def given_back_on_outage() -> Iterator[None]:
    """Remove the counts of this thread in a block that raises a StoreUnavailableError."""
    with noting() as taken:
        try:
            yield
        except StoreUnavailableError:
            taken.give_back()
            raise
