"""Load the application's own users of callers, and remember them for a while."""

from collections.abc import Callable
from typing import Any, TypeAlias

from authguard._core.answer.decision import Known
from authguard._core.callbacks import Callback
from authguard._core.deciding.loaded_users import differing, is_user, lacking, no_user
from authguard._core.flow import Call, Flow
from authguard._core.model import Principal
from authguard._core.options import check_function, check_seconds, got
from authguard.errors import ConfigurationError, InvalidTokenError

UserLoader: TypeAlias = Callable[[Principal], Any]

_MAX_TTL = 3600  # seconds, as for remembered API keys


class Users:
    """Load the users of an application.

    A user is remembered with its caller, and so no longer than the credential.

    Args:
        loader: returns the application's own user for a principal; None if the application has none.
        ttl: seconds for which the user of a remembered credential is not loaded again.
        warn: logs a line for the operator.

    Attributes:
        loader: the function, and how to call it.
        ttl: the seconds; 0 if no user is remembered.
        in_memory: the function never waits, and is called for each request.

    Raises:
        ConfigurationError: if `loader` is not a function of a principal, `ttl` is not a number of seconds
            between 0 and 3600, or `ttl` has no effect.
    """

    def __init__(self, loader: UserLoader | None, ttl: object, warn: Callable[[str], None]) -> None:
        check_function(loader, "user_loader", takes="principal")
        self.loader = None if loader is None else Callback(loader, "user_loader")
        self.ttl = check_seconds(ttl, "user_ttl", _MAX_TTL)
        if self.ttl and loader is None:
            raise ConfigurationError(
                f"user_ttl must be left out where no user is loaded, got {got(ttl)}: write user_loader=load"
            )
        self._warn: Callable[[str], None] | None = warn  # None after the warning was logged
        self.in_memory = self.loader is not None and self.loader.in_memory and not self.ttl

    def load(self, known: Known, now: float) -> Flow[Any]:
        """Return the user of a caller, or the principal if the application has no users.

        Args:
            known: the caller.
            now: seconds since the epoch.

        Raises:
            InvalidTokenError: if the user no longer exists, or is not authenticated or not active.
            ConfigurationError: if the function returns a bool, a coroutine, a class, an exception, a query
                or an empty collection.
        """
        loaded = known.loaded
        if loaded is not None and self.is_fresh(loaded, now):
            return loaded.user
        user = yield from self.load_anew(known.auth.principal)
        self.keep(known, known.with_user(user), now)
        return user

    def load_anew(self, principal: Principal) -> Flow[Any]:
        """Return the user of a principal, without remembering it; see `load`."""
        if self.loader is None:
            return principal
        user = yield from Call(self.loader, principal)
        if user is None:
            raise InvalidTokenError("the user no longer exists")
        if not is_user(user):
            raise no_user(user)
        if missing := lacking(user):
            raise InvalidTokenError(f"user_loader returned a user who is not {missing}")
        warn = self._warn  # once, since another thread may warn meanwhile
        changed = differing(user, principal) if warn else ()
        if changed and warn:
            warn(
                f"user_loader returned a Principal with other {', '.join(changed)}, which rules and requires "
                "do not read: they read those of the credential. Issue them as claims of the token, or check "
                "them in a dependency or decorator of your own"
            )
            self._warn = None  # the warning is logged once
        return user

    def keep(self, known: Known, loaded: Known, now: float) -> None:
        """Remember the user of a caller, if users are remembered.

        Args:
            known: the caller.
            loaded: the same with its user.
            now: seconds since the epoch.
        """
        if self.ttl:
            loaded.until = now + self.ttl
            known.loaded = loaded

    def is_fresh(self, loaded: Known, now: float) -> bool:
        """Return whether a user need not be loaded again; False if the clock was set back."""
        return now < loaded.until <= now + self.ttl
