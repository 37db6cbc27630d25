"""Warn of a proxy that is not listed: its callers share one count of the limits."""

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from authguard._core.networks import parse_address

logger = logging.getLogger("authguard")

_FIELD = b"x-forwarded-for"

_App = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]


class ForwardedFields:
    """Log a WARNING, once, of a request whose `X-Forwarded-For` the server has not used.

    A caller without a proxy can send this field, too, so the line names a condition.

    Args:
        app: the application.
    """

    def __init__(self, app: _App) -> None:
        self._app = app
        self._is_told = False

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Pass on a request."""
        if not self._is_told and scope["type"] == "http":
            self._look(scope)
        await self._app(scope, receive, send)

    def _look(self, scope: MutableMapping[str, Any]) -> None:
        peer = (scope.get("client") or ("",))[0]
        fields = b",".join(value for name, value in scope["headers"] if name == _FIELD)
        address = parse_address(peer)
        if not fields or address is None or peer.encode() in fields:
            return  # the server has taken the peer from the field, if it is no address
        self._is_told = True
        logger.warning(
            "a request from %s has X-Forwarded-For, which is not used: if this is your proxy, all its "
            "callers share one count of the limits; start with --forwarded-allow-ips %s",
            address,
            address,
        )
