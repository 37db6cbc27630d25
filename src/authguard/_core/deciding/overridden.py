"""Treat the sender of each request as a certain user, in tests of applications."""

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from inspect import isasyncgenfunction, isgeneratorfunction
from typing import Any, Protocol, TypeVar, cast

from authguard._core.answer.decision import Known
from authguard._core.deciding.callers import UNDECIDED, Callers, Undecided
from authguard._core.flow import Flow
from authguard._core.model import Auth, Principal
from authguard._core.options import check_flag, is_async_function, type_of
from authguard._core.request import Presented, RequestView
from authguard.errors import ConfigurationError, InvalidTokenError, MissingCredentialsError

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


class Overridden:
    """Replace a guard's `Callers`, and identify each caller as one user.

    Several threads and tasks may each have an override; a request uses the override of its own thread or
    task.

    Args:
        path: the straight path of the guard.
        user: a principal, `ANONYMOUS`, or the application's own user.
        principal: the principal for the guard, if the user is not a principal.
        everywhere: whether threads and tasks without an override of their own use it.

    Attributes:
        within: the overrides in which it was entered, of all guards.
        known: the caller, as the guard sees it.
    """

    at_once = loads_at_once = False

    def __init__(
        self, path: "Overridable", user: Any, principal: Principal | None, *, everywhere: bool = True
    ) -> None:
        if isinstance(user, Principal):
            principal = user
        self.everywhere = check_flag(everywhere, "everywhere")
        self.within: tuple[Overridden, ...] = ()
        self._path = path
        self.user = user
        if principal is None:
            principal = Principal(subject="override")
        self.known = Known(Auth(principal), (), 0)

    def recall(self, presented: Presented, now: float) -> Undecided:
        """Leave each request undecided, so that the flow handles it."""
        return UNDECIDED

    def identify(
        self, request: RequestView, now: float, known: Known | None = None, *, proven: bool = False
    ) -> Flow[tuple[Known, str]]:
        """Return the caller, regardless of the request's credential; see `Callers.identify`."""
        here = _of_this_context(self._path)
        if not isinstance(here, Overridden):
            return (yield from here.identify(request, now, known, proven=proven))
        if not here.known.auth.principal.is_authenticated:
            raise MissingCredentialsError("no credential")
        return here.known, ""

    def load_user(self, known: Known, now: float) -> Flow[Any]:
        """Return the user of the test; raise an error if it is None, as for a user that no longer exists."""
        here = _of_this_context(self._path)
        if not isinstance(here, Overridden):
            return (yield from here.load_user(known, now))
        if here.user is None:
            raise InvalidTokenError("the user no longer exists")
        return here.user


class Substituted(Overridden):
    """Replace a guard's `Callers`, and treat callers without a credential as one user.

    A presented credential is verified as usual, and refused if it is invalid.

    Args:
        path: has the callers in use.
        user: a principal, or the application's own user; None to call the guard's `user_loader`.
        principal: the principal for the guard, if the user is not a principal.
    """

    def identify(
        self, request: RequestView, now: float, known: Known | None = None, *, proven: bool = False
    ) -> Flow[tuple[Known, str]]:
        """Return the caller; see `Callers.identify`."""
        try:
            return (yield from self._path.callers.identify(request, now, known, proven=proven))
        except MissingCredentialsError:
            if not self.known.auth.principal.is_authenticated:
                raise
            return self.known, ""

    def load_user(self, known: Known, now: float) -> Flow[Any]:
        """Return the user of the test for its principal, and the application's own user for others."""
        if known is self.known and self.user is not None:
            return self.user
        return (yield from self._path.callers.load_user(known, now))


class Overridable(Protocol):
    """Describe a straight path, as an override sees it.

    Attributes:
        callers: those in use.
        all_callers: the guard's own, and those of tests, in the order in which they were entered.
    """

    callers: Callers | Overridden
    all_callers: list[Callers | Overridden]


#: The overrides that this context has entered, after those of the context in which it was started; the last
#: one is in use.
_entered: ContextVar[tuple[Overridden, ...]] = ContextVar("authguard_overrides", default=())


def _of_this_context(path: Overridable) -> Callers | Overridden:
    """Return the callers for a request that is handled in this context.

    A task has a copy of the context in which it was started. A later override of an outer context applies to
    the task as well.
    """
    callers = tuple(path.all_callers)
    own = next((override for override in reversed(_entered.get()) if override in callers), None)
    for override in reversed(callers):
        if not isinstance(override, Overridden):  # the first entry has the guard's own callers
            continue
        if own in (override, *override.within) if own is not None else override.everywhere:
            return override
    return callers[0]


class Override:
    """Treat the sender of each request as one user; returned by `authguard.testing.override`.

    It is a context manager, and a decorator for tests, `async` or not. The same object can be entered
    again, also while it is entered. Contexts may overlap in any order, and in several threads and tasks.

    Args:
        path: the straight path of the guard.
        user: a principal, `ANONYMOUS`, or the application's own user.
        principal: the principal for the guard, if the user is not a principal.
        everywhere: whether threads and tasks without an override of their own use it.

    Raises:
        ConfigurationError: if the user is None or a class, or `everywhere` is not True or False.
    """

    def __init__(
        self, path: "Overridable", user: Any, principal: Principal | None, *, everywhere: bool = True
    ) -> None:
        check_flag(everywhere, "everywhere")
        if user is None and principal is None:
            raise ConfigurationError(
                "user must be a user object, got None: write override(guard, Principal(…)), or give a "
                "principal, too, for a user that no longer exists"
            )
        check_no_class(user, "override(guard, {})")
        self._path, self._user, self._principal, self._everywhere = path, user, principal, everywhere
        self._running: list[Overridden] = []  # the contexts of this object that have not ended

    def __enter__(self) -> None:
        self._running.append(self._begin())

    def __exit__(self, *raised: object) -> None:
        # The context that this thread or task has entered last. If it ends in another one than it was
        # entered in, the last of all.
        own = [overridden for overridden in _entered.get() if overridden in self._running]
        overridden = (own or self._running)[-1]
        self._running.remove(overridden)
        self._end(overridden)

    def __call__(self, function: FunctionT) -> FunctionT:
        """Return a function that treats the sender of each request as this user while it runs.

        Args:
            function: a test, `async` or not.

        Raises:
            ConfigurationError: if it is a class or a generator, such as a fixture with `yield`.
        """
        if isinstance(function, type) or not callable(function):
            raise ConfigurationError(
                f"override must decorate a function, got {type_of(function)}: write it above each test"
            )
        if isgeneratorfunction(function) or isasyncgenfunction(function):
            raise ConfigurationError(
                "override must decorate a function that returns, got a generator: write with override(guard, "
                "user) inside it, around its yield"
            )

        @wraps(function)
        def called(*args: Any, **options: Any) -> Any:
            overridden = self._begin()
            try:
                return function(*args, **options)
            finally:
                self._end(overridden)

        @wraps(function)
        async def awaited(*args: Any, **options: Any) -> Any:
            overridden = self._begin()
            try:
                return await function(*args, **options)
            finally:
                self._end(overridden)

        return cast("FunctionT", awaited if is_async_function(function) else called)

    def _begin(self) -> Overridden:
        overridden = Overridden(self._path, self._user, self._principal, everywhere=self._everywhere)
        overridden.within = _entered.get()
        self._path.all_callers.append(overridden)
        _entered.set((*overridden.within, overridden))
        _use_last(self._path)
        return overridden

    def _end(self, overridden: Overridden) -> None:
        self._path.all_callers.remove(overridden)
        # The override may end in another context than the one in which it was entered; that context notices
        # it by the list above.
        _entered.set(tuple(other for other in _entered.get() if other is not overridden))
        _use_last(self._path)


def check_no_class(user: object, write: str) -> None:
    """Check that a user is not a class, which a test may name in place of an object.

    Args:
        user: the user of a test.
        write: the spelling that works, with `{}` for the user.

    Raises:
        ConfigurationError: if it is a class.
    """
    if isinstance(user, type):
        name = user.__qualname__
        raise ConfigurationError(
            f"user must be a user object, got the class {name}: write {write.format(f'{name}(…)')}"
        )


def use(path: Overridable, callers: Overridden) -> None:
    """Replace the current callers by those of a test."""
    path.all_callers.append(callers)
    _use_last(path)


def _use_last(path: Overridable) -> None:
    # The core has no locks, so another thread may change the list at any time. Each thread compares the
    # attribute with the list after setting it, so the last thread to set it leaves the value that matches the
    # list.
    while path.callers is not (last := path.all_callers[-1]):
        path.callers = last
