"""What goes on the wire when a request may not pass: status, challenge, problem document."""

import json
from dataclasses import dataclass, replace
from typing import Any

from authguard.errors import (
    InsufficientScopeError,
    RateLimitedError,
    RefusedError,
    VerificationUnavailableError,
)

Headers = tuple[tuple[str, str], ...]

_NO_STORE = ("cache-control", "no-store")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A response that takes the application's place; `on_error` may return a changed copy.

    Attributes:
        status: the HTTP status.
        headers: fields in lower case: content type, challenge, caching.
        body: the body; servers leave it out for HEAD.
        error: why, as an exception that was not raised; None for a login redirect.
    """

    status: int
    headers: Headers
    body: bytes
    error: RefusedError | None = None

    def with_body(self, body: bytes | str, content_type: str) -> "Refusal":
        """A copy with another body; status, challenge and caching stay.

        Args:
            body: the new body; text is encoded as UTF-8.
            content_type: its media type, such as `text/html; charset=utf-8`.
        """
        kept = tuple(field for field in self.headers if field[0] != "content-type")
        data = body.encode() if isinstance(body, str) else body
        return replace(self, body=data, headers=(*kept, ("content-type", content_type)))

    def with_json(self, document: Any) -> "Refusal":
        """A copy with another JSON body; status, challenge and caching stay."""
        return self.with_body(json.dumps(document), "application/json")

    def with_header(self, name: str, value: str) -> "Refusal":
        """A copy with one more field.

        Raises:
            ValueError: if the field could split the response.
        """
        if any(c in name + value for c in "\r\n\0"):
            raise ValueError("a header field holds no line break")
        return replace(self, headers=(*self.headers, (name.lower(), value)))

    def fields(self) -> list[tuple[str, str]]:
        """All fields of the response, with the length of the body."""
        return [*self.headers, ("content-length", str(len(self.body)))]


def refuse(error: RefusedError, realm: str) -> Refusal:
    """The answer to an error: RFC 9457 problem document, RFC 6750 challenge, never stored."""
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status_code,
        "detail": error.detail,
        "code": error.code,
    }
    headers = [("content-type", "application/problem+json"), _NO_STORE, ("x-content-type-options", "nosniff")]
    if error.status_code == 401 or error.challenge_error:
        headers.append(("www-authenticate", _challenge(error, realm)))
    if isinstance(error, (RateLimitedError, VerificationUnavailableError)):
        headers.append(("retry-after", str(error.retry_after)))
    if isinstance(error, RateLimitedError):
        headers += _rate_limit(error)
    return Refusal(error.status_code, tuple(headers), json.dumps(problem).encode(), error)


def _rate_limit(error: RateLimitedError) -> list[tuple[str, str]]:
    """The fields of draft-ietf-httpapi-ratelimit-headers; the names of limits are plain words."""
    return [
        ("ratelimit-policy", f'"{error.policy}";q={error.quota};w={error.window}'),
        ("ratelimit", f'"{error.policy}";r=0;t={error.retry_after}'),
    ]


def see_other(location: str) -> Refusal:
    """A login redirect: 303, so that whatever was sent is fetched with GET (RFC 9110 15.4.4)."""
    vary = ("vary", "Accept, Cookie, Sec-Fetch-Mode")
    return Refusal(303, (("location", location), _NO_STORE, vary), b"")


def _challenge(error: RefusedError, realm: str) -> str:
    """One Bearer challenge (RFC 6750 section 3). `realm` and the scopes were checked when built."""
    parameters: dict[str, str] = {"realm": realm}
    if error.challenge_error:
        parameters["error"] = error.challenge_error
        parameters["error_description"] = error.detail
    if isinstance(error, InsufficientScopeError) and error.scopes:
        parameters["scope"] = " ".join(error.scopes)
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in parameters.items())
