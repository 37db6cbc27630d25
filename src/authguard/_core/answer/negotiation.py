"""Distinguish browsers from programs, by Fetch Metadata or by the Accept field (RFC 9110 12.5.1)."""

import re
from collections.abc import Sequence

from authguard._core.request import WEBSOCKET, RequestView

#: The request fields that decide between answers to people and to programs.
VARY = "Accept, Sec-Fetch-Mode"

_MAX_ACCEPT = 2048
_HTML = (b"text/html", b"application/xhtml+xml")
_JSON = (b"application/problem+json", b"application/json")
_WILDCARDS = (b"application/*", b"*/*")
_QUALITY = re.compile(rb"q=((?:0(?:\.[0-9]{0,3})?)|(?:1(?:\.0{0,3})?))\Z")


def is_htmx(request: RequestView) -> bool:
    """Return whether HTMX sent the request; it follows `HX-Redirect`, but not a 303."""
    return request.fields(b"hx-request") == [b"true"]


def reads_pages(request: RequestView) -> bool:
    """Return whether a browser displays the answer: it navigates, or submits a form."""
    mode = request.fields(b"sec-fetch-mode")
    wants = mode == [b"navigate"] if mode else prefers_html(request.fields(b"accept"))
    return wants and request.method != WEBSOCKET and not is_htmx(request)


def prefers_html(accept: Sequence[bytes]) -> bool:
    """Return whether HTML is listed, and preferred to JSON.

    No browser lists JSON for a page. It may accept anything else as much as HTML.

    Args:
        accept: the values of the Accept fields.
    """
    # No browser sends more for a page, and parsing more would be expensive.
    if not accept or sum(map(len, accept)) > _MAX_ACCEPT:
        return False
    listed = b",".join(accept).lower()
    if b"html" not in listed:  # as most programs send it
        return False
    qualities = _qualities(listed)
    html = max(qualities.get(kind, 0.0) for kind in _HTML)
    json = [qualities[kind] for kind in _JSON if kind in qualities]
    anything = max(qualities.get(kind, 0.0) for kind in _WILDCARDS)
    return html > 0 and (html > max(json) if json else html >= anything)


def _qualities(accept: bytes) -> dict[bytes, float]:
    """Return the weight of each media range; a malformed one has none."""
    qualities: dict[bytes, float] = {}
    for part in accept.split(b","):
        kind, *parameters = (piece.strip() for piece in part.split(b";"))
        weight = next((each for each in parameters if each.startswith(b"q=")), b"q=1")
        match = _QUALITY.match(weight)
        qualities[kind] = max(qualities.get(kind, 0.0), float(match[1]) if match else 0.0)
    return qualities
