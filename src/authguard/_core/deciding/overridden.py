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


class Substituted(Overridden):
    """Stand in the place of a guard's `Callers`, and take whoever presents no credential for one user.

    A credential that is presented is looked at as ever, and refused if it is bad.

    Args:
        path: has the callers in use.
        user: a principal, or the application's own user; None to ask the guard's `user_loader`.
        principal: whom the guard sees, if the user is not a principal.
    """

    def __init__(self, path: "Overridable", user: Any, principal: Principal | None) -> None:
        super().__init__(user, principal)
        self._path = path

    def identify(
        self, request: RequestView, now: float, known: Known | None = None, *, proven: bool = False
    ) -> Flow[tuple[Known, str]]:
        """Return the caller; see `Callers.identify`."""
        try:
            return (yield from self._path.callers.identify(request, now, known, proven=proven))
        except MissingCredentialsError:
            return (yield from super().identify(request, now))

    def load_user(self, principal: Principal) -> Flow[Any]:
        """Return the user of the test for its principal, and the application's own for each other."""
        if principal is self._known.auth.principal and self._user is not None:
            return (yield from super().load_user(principal))
        return (yield from self._path.callers.load_user(principal))


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
    use(path, overridden)
    try:
        yield
    finally:
        path.all_callers.remove(overridden)
        _use_last(path)


def use(path: Overridable, callers: Overridden) -> None:
    """Put the callers of a test in the place of those in use."""
    path.all_callers.append(callers)
    _use_last(path)


def _use_last(path: Overridable) -> None:
    # The core has no locks. Another thread may change the list at any time; but each looks at the list
    # again after it has set the attribute, so the last one to set it leaves what the list says.
    while path.callers is not (last := path.all_callers[-1]):
        path.callers = last
