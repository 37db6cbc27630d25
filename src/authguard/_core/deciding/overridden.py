"""Take the sender of each request for a certain user, in tests of applications."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from authguard._core.answer.decision import Known
from authguard._core.deciding.callers import UNDECIDED, Callers, Undecided
from authguard._core.flow import Flow
from authguard._core.model import Auth, Principal
from authguard._core.request import Presented, RequestView
from authguard.errors import InvalidTokenError, MissingCredentialsError


class Overridden:
    """Stand in the place of a guard's `Callers`, and identify each caller as one user.

    Args:
        user: a principal, `ANONYMOUS`, or the application's own user.
        principal: whom the guard sees, if the user is not a principal.
    """

    at_once = False

    def __init__(self, user: Any, principal: Principal | None) -> None:
        if isinstance(user, Principal):
            principal = user
        self._user = user
        self._known = Known(Auth(principal or Principal(subject="override")), (), 0)

    def recall(self, presented: Presented, now: float) -> Undecided:
        """Leave each request to the flow."""
        return UNDECIDED

    def identify(
        self, request: RequestView, now: float, known: Known | None = None, *, proven: bool = False
    ) -> Flow[tuple[Known, str]]:
        """Return the caller, whatever the request presents; see `Callers.identify`."""
        yield from ()  # a flow that asks nothing
        if not self._known.auth.principal.is_authenticated:
            raise MissingCredentialsError("no credential")
        return self._known, ""

    def load_user(self, principal: Principal) -> Flow[Any]:
        """Return the user of the test; raise if it is None, as for a user that is gone."""
        yield from ()
        if self._user is None:
            raise InvalidTokenError("the user is gone")
        return self._user


class Overridable(Protocol):
    """Describe a straight path, as `overriding` sees it.

    Attributes:
        callers: those in use.
        all_callers: the guard's own, and those of tests, of which the last one is to be used.
    """

    callers: Callers | Overridden
    all_callers: list[Callers | Overridden]


@contextmanager
def overriding(path: Overridable, user: Any, principal: Principal | None) -> Iterator[None]:
    """Take whoever sends a request for this user; see `authguard.testing.override`.

    Contexts may overlap in any order, and in several threads: the one that was entered last holds.
    """
    overridden = Overridden(user, principal)
    path.all_callers.append(overridden)
    _use_last(path)
    try:
        yield
    finally:
        path.all_callers.remove(overridden)
        _use_last(path)


def _use_last(path: Overridable) -> None:
    # The core has no locks. Another thread may change the list at any time; but each looks at the list
    # again after it has set the attribute, so the last one to set it leaves what the list says.
    while path.callers is not (last := path.all_callers[-1]):
        path.callers = last
