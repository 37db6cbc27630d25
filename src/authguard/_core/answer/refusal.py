"""Build the response of a refusal: status, challenge, problem document."""

import json
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from authguard._core.answer.page import CONTENT_SECURITY_POLICY, CONTENT_TYPE, page_of
from authguard._core.options import check_text, type_of
from authguard._core.policy.needs import NO_NEEDS, Needs
from authguard.errors import (
    ConfigurationError,
    InsufficientScopeError,
    InsufficientUserAuthenticationError,
    NonceRequiredError,
    RateLimitedError,
    RefusedError,
    VerificationUnavailableError,
)

_REALM = re.compile(r"[ !#-\[\]-~]+\Z")  # the characters that need no escape in quotes

Headers = tuple[tuple[str, str], ...]
Parameters = tuple[tuple[str, str], ...]

#: Fields that describe the body, and are replaced together with it.
BODY_FIELDS = frozenset({"content-type", "content-security-policy"})

_NO_STORE = ("cache-control", "no-store")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Hold a response that replaces the application's; `on_error` may return a changed copy.

    Attributes:
        status: the HTTP status.
        headers: fields in lower case: content type, challenge, caching.
        body: the body; servers omit it for HEAD.
        error: the reason, as an exception that was not raised; None for a login redirect.
        is_page: whether the body is a page for a browser; otherwise it is a problem document.
    """

    status: int
    headers: Headers
    body: bytes
    error: RefusedError | None = None
    is_page: bool = False

    def with_body(self, body: bytes | str, content_type: str) -> "Refusal":
        """Return a copy with another body, and the same status, challenge and caching.

        `Content-Type` and `Content-Security-Policy` describe the body, and are replaced with it.

        Args:
            body: the new body; text is encoded as UTF-8.
            content_type: its media type, such as `text/html; charset=utf-8`.

        Raises:
            ConfigurationError: if the body is neither text nor bytes.
        """
        if not isinstance(body, (bytes, str)):
            raise ConfigurationError(f"body must be text or bytes, got {type_of(body)}: write with_json(…)")
        kept = tuple(field for field in self.headers if field[0] not in BODY_FIELDS)
        data = body.encode() if isinstance(body, str) else body
        return replace(self, body=data, headers=(*kept, ("content-type", content_type)))

    def with_json(self, document: Any) -> "Refusal":
        """Return a copy with another JSON body, and the same status, challenge and caching."""
        return self.with_body(json.dumps(document), "application/json")

    def with_page(self, sign_in: str | None = None) -> "Refusal":
        """Return a copy whose body is the guard's page; a login redirect is returned unchanged.

        Args:
            sign_in: the path of the sign-in page; None for no link.
        """
        if self.error is None:
            return self
        page = self.with_body(page_of(self.error, sign_in), CONTENT_TYPE)
        fields = (*page.headers, ("content-security-policy", CONTENT_SECURITY_POLICY))
        return replace(page, headers=fields, is_page=True)

    def as_problem(self) -> "Refusal":
        """Return a copy whose body is the problem document; a login redirect is returned unchanged."""
        if self.error is None:
            return self
        body = _document(type(self.error), _violated(self.error))
        return replace(self.with_body(body, "application/problem+json"), is_page=False)

    def with_header(self, name: str, value: str) -> "Refusal":
        """Return a copy with one more field.

        Raises:
            ValueError: if the field could split the response.
        """
        if any(c in name + value for c in "\r\n\0"):
            raise ValueError("a header field holds no line break")
        return replace(self, headers=(*self.headers, (name.lower(), value)))

    def fields(self) -> list[tuple[str, str]]:
        """Return all fields of the response, with the length of the body."""
        return [*self.headers, ("content-length", str(len(self.body)))]


@dataclass(frozen=True, slots=True)
class Challenges:
    """Hold the contents of a guard's challenges that do not depend on the error.

    Attributes:
        realm: the realm.
        metadata: the URL of the resource's metadata (RFC 9728 section 5.1); empty for none.
        algorithms: the algorithms of DPoP proofs, separated by spaces; empty if DPoP is not configured.
    """

    realm: str
    metadata: str = ""
    algorithms: str = ""

    @lru_cache(maxsize=256)  # noqa: B019 (guards live as long as the process, and few challenges differ)
    def about(
        self, kind: type[RefusedError], scheme: str, more: Parameters = (), needs: Needs = NO_NEEDS
    ) -> str:
        """Return the value of `WWW-Authenticate`: a challenge for each scheme (RFC 9449 section 7.2).

        One field line, because some programs read only one of several.

        Args:
            kind: the error to report.
            scheme: the scheme whose challenge reports it.
            more: the missing scopes or sign-in requirements.
            needs: the needs of the place; schemes that are not accepted are left out.
        """
        schemes = self._schemes(needs)
        scheme = scheme if scheme in schemes else schemes[0]
        return ", ".join(
            self._challenge(each, kind if each == scheme else None, more, needs) for each in schemes
        )

    def _schemes(self, needs: Needs) -> tuple[str, ...]:
        """Return the schemes for challenges; a 401 must have at least one (RFC 9110 section 15.5.2)."""
        taken = (("Bearer", True), ("DPoP", bool(self.algorithms)))
        return tuple(each for each, known in taken if known and needs.takes(each.lower())) or ("Bearer",)

    def _challenge(self, scheme: str, kind: type[RefusedError] | None, more: Parameters, needs: Needs) -> str:
        """Return a challenge (RFC 6750 section 3, RFC 9470 section 3); its parts were checked before."""
        parameters = {"realm": self.realm}
        if kind is not None and kind.challenge_error:
            parameters["error"] = kind.challenge_error
            parameters["error_description"] = kind.detail
        if kind is not None:
            parameters.update(more)
        if needs.scopes and needs.takes_tokens:  # for clients without a token
            parameters["scope"] = " ".join(needs.scopes)
        if scheme == "DPoP":
            parameters["algs"] = self.algorithms
        if self.metadata and needs.takes_tokens:
            parameters["resource_metadata"] = self.metadata
        return f"{scheme} " + ", ".join(f'{name}="{value}"' for name, value in parameters.items())


def check_realm(realm: str) -> str:
    """Return the realm, which is quoted without escapes.

    Raises:
        ConfigurationError: if it needs escapes.
    """
    if realm == "":
        return realm
    return check_text(
        realm, "realm", pattern=_REALM, must="be printable ASCII without quotes and backslashes"
    )


def refuse(
    error: RefusedError,
    challenges: Challenges,
    scheme: str = "Bearer",
    needs: Needs = NO_NEEDS,
    *,
    vary: str = "",
) -> Refusal:
    """Return the answer to an error: RFC 9457 problem document, RFC 6750 challenge, never stored by caches.

    Args:
        error: the error.
        challenges: the contents of challenges.
        scheme: the scheme of the request.
        needs: the needs of the place.
        vary: the request fields on which the format of the answer depends; empty for none.
    """
    kind: Any = type(error)
    violated = _violated(error)
    scheme = error.challenge_scheme or scheme
    # other challenges name the missing scopes
    needs = needs if kind.status_code == 401 else needs._replace(scopes=())
    challenge = ""
    if kind.status_code == 401 or kind.challenge_error:
        challenge = challenges.about(kind, scheme, _lacking(error), needs)
    headers, body = _problem(kind, challenge, violated, vary)
    if isinstance(error, NonceRequiredError):
        headers = (*headers, ("dpop-nonce", error.nonce))
    if isinstance(error, (RateLimitedError, VerificationUnavailableError)):
        headers = (*headers, ("retry-after", str(error.retry_after)))
    if isinstance(error, RateLimitedError):
        headers = (*headers, *error.fields)
    return Refusal(error.status_code, headers, body, error)


def _violated(error: RefusedError) -> tuple[str, ...]:
    return error.violated if isinstance(error, RateLimitedError) else ()


def _lacking(error: RefusedError) -> Parameters:
    """Return the missing scopes or sign-in requirements, as parameters of the challenge."""
    if isinstance(error, InsufficientUserAuthenticationError):
        return error.parameters
    if isinstance(error, InsufficientScopeError) and error.scopes:
        return (("scope", " ".join(error.scopes)),)
    return ()


@lru_cache(maxsize=256)  # cached, because the document contains nothing from the request
def _problem(
    kind: type[RefusedError],
    challenge: str,
    violated: tuple[str, ...],
    vary: str,
) -> tuple[Headers, bytes]:
    headers = [("content-type", "application/problem+json"), _NO_STORE, ("x-content-type-options", "nosniff")]
    if vary:
        headers.append(("vary", vary))
    if challenge:
        headers.append(("www-authenticate", challenge))
    return tuple(headers), _document(kind, violated)


def _document(kind: type[RefusedError], violated: tuple[str, ...]) -> bytes:
    """Return the problem document (RFC 9457)."""
    problem: dict[str, Any] = {
        "type": kind.problem_type,
        "title": kind.title,
        "status": kind.status_code,
        "detail": kind.detail,
        "code": kind.code,
    }
    if violated:
        problem["violated-policies"] = violated
    return json.dumps(problem).encode()


def see_other(location: str) -> Refusal:
    """Return a login redirect: 303, so that any request is followed by a GET (RFC 9110 15.4.4)."""
    vary = ("vary", "Accept, Cookie, Sec-Fetch-Mode")
    return Refusal(303, (("location", location), _NO_STORE, vary), b"")
