"""Warn if a server with several processes runs a guard whose state is in the memory of each process."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from authguard._core.guard import Guard
from authguard._logs import logger
from authguard.stores.counting.memory import MemoryQuotas
from authguard.stores.memory import MemoryRevocations

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class UnsharedState:
    """Find the state of a guard that processes do not share.

    Args:
        guard: the guard.
    """

    def __init__(self, guard: Guard) -> None:
        self._options = tuple(_unshared_options(guard))

    def __bool__(self) -> bool:
        return bool(self._options)

    def warn_once(self, environ: Mapping[str, Any]) -> None:
        """Log a warning at the first request, if the server reports several processes (PEP 3333).

        Args:
            environ: that of the request. ASGI servers do not report it.
        """
        options, self._options = self._options, ()
        if options and environ.get("wsgi.multiprocess"):
            logger.warning(
                "the server has several processes, and each has its own %s: a process does not know the "
                "revocations and counts of the others; give all of them one store of authguard.stores, such "
                "as RedisStore",
                " and ".join(options),
            )


class WithUnsharedState:
    """Call the application, and check at the first request whether the server has several processes.

    Args:
        app: the application.
        state: the state that processes do not share.
    """

    def __init__(self, app: "WSGIApplication", state: UnsharedState) -> None:
        self.app = app
        self._state = state
        self._is_checked = False

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Handle one request."""
        if not self._is_checked:
            self._is_checked = True
            self._state.warn_once(environ)
        return self.app(environ, start_response)


def _unshared_options(guard: Guard) -> Iterable[str]:
    if isinstance(guard.revocations, MemoryRevocations):
        yield "revocations"
    if guard.quotas is not None and isinstance(guard.quotas.store, MemoryQuotas):
        yield "quotas"
    if guard.proofs.in_memory:
        yield "used DPoP proofs"
