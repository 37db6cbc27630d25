"""Parse the matches of a report, and decide which parts of a match may be shown."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from authguard._core.encoding import sha256_hex
from authguard._core.strict_json import JSONError, parse_array_bytes
from authguard.identity.errors import InvalidReportError, PayloadTooLargeError

#: Matches of one report.
MAX_MATCHES = 25_000
#: Characters of a URL to show.
MAX_PLACE = 300
UNKNOWN_SOURCE = "unknown"
#: The scanner's names for the kinds of places, in lower case.
SOURCES = frozenset(
    {
        *("content", "commit", "commit_comment", "gist_content", "gist_comment", "npm"),
        *("pull_request_title", "pull_request_description", "pull_request_comment"),
        *("issue_title", "issue_description", "issue_comment"),
        *("discussion_title", "discussion_body", "discussion_comment"),
    }
)
_MAX_TOKEN, _MAX_TYPE, _MAX_URL = 4_096, 200, 8_192
_PLAIN_URL = re.compile(r"https://[!#-;=?-\[\]_a-z~]+\Z")  # no quotes, brackets <> or {}, spaces, backslashes
_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+\Z")
_FRAGMENT = re.compile(r"[\w-]{1,64}\Z", re.ASCII)


class Match(NamedTuple):
    """Hold a text that a scanner reports as a secret of this service.

    Attributes:
        token: the text.
        type: the scanner's name for its kind.
        url: the place where it was found, as it was sent; may be empty.
        source: the kind of place, or `unknown`.
        digest: SHA-256 of the text, in hexadecimal.
    """

    token: str
    type: str
    url: str
    source: str
    digest: str

    def __repr__(self) -> str:
        return f"Match(source={self.source!r})"


def read_matches(body: bytes | bytearray) -> list[Match]:
    """Parse the matches of a report; unknown members are ignored.

    Raises:
        InvalidReportError: if the report has another format.
        PayloadTooLargeError: if it has too many matches.
    """
    try:
        members = parse_array_bytes(body)
    except JSONError:
        raise InvalidReportError("not a JSON array") from None
    if len(members) > MAX_MATCHES:
        raise PayloadTooLargeError(f"more than {MAX_MATCHES} matches")
    return [_match(member) for member in members]


def _match(member: object) -> Match:
    if not isinstance(member, dict):
        raise InvalidReportError("a match that is no object")
    token = _text(member, "token", _MAX_TOKEN)
    if not token:
        raise InvalidReportError("a match without a token")
    source = _place_text(member, "source", _MAX_TYPE).lower()
    return Match(
        token,
        _text(member, "type", _MAX_TYPE),
        _place_text(member, "url", _MAX_URL),
        source if source in SOURCES else UNKNOWN_SOURCE,
        sha256_hex(token),
    )


def _place_text(member: Mapping[str, Any], name: str, longest: int) -> str:
    """Return a text about the place; empty if it is too long, because a stranger may have chosen the path.

    A report has matches of several places; one of them must not prevent the revocation of others.
    """
    text = _text(member, name)
    return text if len(text) <= longest else ""


def _text(member: Mapping[str, Any], name: str, longest: int | None = None) -> str:
    value = member.get(name)
    if value is None and name != "token":
        return ""
    if not isinstance(value, str) or (longest is not None and len(value) > longest):
        raise InvalidReportError(f"a match whose {name} is no text, or too long")
    return value


def place_of(match: Match, pattern: re.Pattern[str]) -> str | None:
    """Return the place of a match in a form for mails: https, without user, query and secrets.

    Args:
        match: the match.
        pattern: matches secrets of this service, which a URL may contain.
    """
    if not _PLAIN_URL.match(match.url):
        return None
    try:
        parts = urlsplit(match.url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if not _HOST.match(host):
        return None
    fragment = parts.fragment if _FRAGMENT.match(parts.fragment) else ""
    authority = host if port is None else f"{host}:{port}"
    place = urlunsplit(("https", authority, parts.path, "", fragment))
    text = unquote(place)
    has_secret = pattern.search(text) is not None or match.token in text
    return None if has_secret or len(place) > MAX_PLACE else place
