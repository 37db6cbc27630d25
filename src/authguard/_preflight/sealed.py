"""Seal answers to preflights: only status and CORS fields leave the application."""

from collections.abc import Iterable

from authguard._core.policy.rules import Preflight
from authguard._core.request import RequestView
from authguard._logs import logger, where

#: The key of a preflight's `Search` in its scope or environ.
SEARCH = "authguard.preflight"

_KEPT = ("allow", "vary")
_CORS = "access-control-"

Fields = list[tuple[str, str]]


class Search:
    """Record the search for a CORS layer during one preflight.

    Attributes:
        has_cors_layer: set by a layer that decides about CORS, even if it refuses the origin.
    """

    __slots__ = ("has_cors_layer",)

    def __init__(self) -> None:
        self.has_cors_layer = False


class Seal:
    """Keep status and CORS fields of answers to preflights, and drop everything else.

    Each middleware has one such object. It warns once if no CORS layer was found, because requests of
    browsers then fail.
    """

    def __init__(self) -> None:
        self._has_warned = False

    def fields(
        self,
        request: RequestView,
        mode: Preflight,
        search: Search,
        status: int,
        fields: Iterable[tuple[str, str]],
    ) -> tuple[int, Fields]:
        """Return the status and the fields to send.

        Args:
            request: the preflight.
            mode: `"answer"` or `"pass"`.
            search: the search, after the layers of the application have run.
            status: the status of the application's answer.
            fields: the fields of the application's answer.
        """
        kept = [(name, value) for name, value in fields if _is_kept(name.lower())]
        is_cors = any(name.lower().startswith(_CORS) for name, _ in kept)
        if mode == "answer" and not is_cors:
            status = 204 if 200 <= status < 300 else status
            # The existing paths and methods are not disclosed to anonymous callers.
            kept = [(name, value) for name, value in kept if name.lower() != "allow"]
            if not (search.has_cors_layer or _varies_by_origin(kept)):
                self._warn(request)
        # RFC 9110 section 8.6: no Content-Length if the response cannot have a body.
        has_body = status >= 200 and status not in (204, 304)
        return status, [*kept, ("content-length", "0")] if has_body else kept

    def _warn(self, request: RequestView) -> None:
        if self._has_warned:
            return
        self._has_warned = True
        logger.warning(
            "%s %s: a CORS preflight of a protected path was answered without CORS fields, since no CORS "
            "layer was found inside the guard. If pages of other origins call this application, put its CORS "
            'layer outside the guard, or let preflights through to it by Rule(…, preflight="pass") or '
            'Guard(preflight="pass"). This is logged once.',
            *where(request),
        )


def _is_kept(name: str) -> bool:
    return name in _KEPT or name.startswith(_CORS)


def _varies_by_origin(fields: Fields) -> bool:
    """Return whether a CORS layer has checked the origin and refused it."""
    return any("origin" in value.lower() for name, value in fields if name.lower() == "vary")
