"""Normalize http URIs for comparison: RFC 3986 sections 6.2.2 and 6.2.3."""

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes, urlsplit

from authguard._core.hosts import is_loopback

_URI = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?:[?#].*)?\Z", re.IGNORECASE)
_VISIBLE = re.compile(r"[\x21-\x5b\x5d-\x7e]+\Z")  # ASCII without space and backslash
_AUTHORITY = re.compile(r"(?P<host>[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{0,5}))?\Z")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ENCODED_DOT = re.compile(r"%2e", re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class URI(NamedTuple):
    """Hold a URI without query and fragment, in the one form that is compared.

    Attributes:
        origin: scheme, host in lower case, and the port if it is not the scheme's own.
        path: without dot segments, decoded, as servers give it to applications. `/a%2Fb` and `/a/b` are equal
            here, because no application behind a server can distinguish them.
    """

    origin: str
    path: str


def parse_uri(text: str) -> URI:
    """Read an absolute http or https URI.

    Raises:
        ValueError: if it is not one.
    """
    parts = _URI.match(text) if _VISIBLE.match(text) else None
    authority = _AUTHORITY.match(parts["authority"]) if parts else None
    if parts is None or authority is None:
        raise ValueError("not an absolute http URI")
    scheme, host, port = parts["scheme"].lower(), authority["host"].lower(), authority["port"]
    origin = f"{scheme}://{host}"
    if port and int(port) != _DEFAULT_PORTS[scheme]:
        origin += f":{int(port)}"
    if _STRAY_PERCENT.search(parts["path"]):
        raise ValueError("a percent sign that encodes nothing")
    path = _without_dot_segments(_ENCODED_DOT.sub(".", parts["path"] or "/"))
    return URI(origin, unquote_to_bytes(path).decode("utf-8"))


def _without_dot_segments(path: str) -> str:
    """Resolve the dot segments of an absolute path (RFC 3986 section 5.2.4).

    Unlike the function of `policy.paths`, which compares segments, this one keeps a slash at the end.
    """
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            kept[-1:] = []
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def is_safe_origin(origin: str) -> bool:
    """Return whether data sent to an origin is protected by TLS, or does not leave this machine.

    Args:
        origin: as `parse_uri` returns it.
    """
    return origin.startswith("https://") or is_loopback(urlsplit(origin).hostname or "")
