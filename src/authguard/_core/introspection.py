"""What the answer of an introspection endpoint says: RFC 7662 section 2.2, RFC 9701 section 5."""

import json
from collections.abc import Mapping
from typing import Any

from authguard._core.claims import Expectations, verify_claims
from authguard._core.model import Method, Principal
from authguard.errors import (
    InvalidIssuerError,
    InvalidTokenError,
    MalformedTokenError,
    MissingRequiredClaimError,
)

_CLIENT = "client:"
# How issuers say of an access token what kind it is; of an API key they may say anything.
_KIND_CLAIMS = frozenset({"token_use", "token_type", "typ", "type"})


def principal_of(
    document: Mapping[str, Any], expected: Expectations, issuer: str | None, method: Method, now: float
) -> Principal:
    """Who is behind the credential that the endpoint has been asked about.

    Without a `sub` it is the client itself, as `client:` and its id, so that it cannot be mistaken
    for a user whose name is the same.

    Args:
        document: the answer.
        expected: what is asked of it; its issuer is not looked at.
        issuer: who has issued the credential, which an answer need not repeat.
        method: how the credential was carried.
        now: seconds since the epoch.

    Raises:
        InvalidTokenError: if it is not active, or not for us.
    """
    if document.get("active") is not True:
        raise InvalidTokenError("the introspection endpoint says that it is not active")
    claims = {name: value for name, value in document.items() if value is not None and name != "active"}
    if "sub" in expected.required and "sub" not in claims:
        raise MissingRequiredClaimError("no sub")
    if issuer is not None and claims.setdefault("iss", issuer) != issuer:
        raise InvalidIssuerError("another issuer")
    text = json.dumps(claims, ensure_ascii=False)
    kinds = _KIND_CLAIMS if method == "api_key" else frozenset()
    judged = {name: value for name, value in claims.items() if name not in kinds}
    judged["sub"] = _subject(claims)
    return verify_claims(text, judged, expected, now, kind=None, key_id=None, method=method)


def _subject(claims: Mapping[str, Any]) -> str:
    subject, client = claims.get("sub"), claims.get("client_id")
    if not isinstance(subject, str | None) or not isinstance(client, str | None):
        raise MalformedTokenError("sub or client_id is not text")
    its_own = f"{_CLIENT}{client}" if client else None
    if subject is None:
        if "username" in claims or its_own is None:
            raise MissingRequiredClaimError("no sub: the answer does not say whose token it is")
        return its_own
    if subject.startswith(_CLIENT) and subject != its_own:
        raise InvalidTokenError("a sub that would pass for a client")
    return subject


def check_same(local: Principal, remote: Principal, claims: Mapping[str, Any]) -> None:
    """Raise unless the token that was verified here is the one that the endpoint speaks of."""
    if "sub" in claims and local.subject != remote.subject:
        raise InvalidTokenError("the introspection endpoint names another subject")
    if local.client_id and remote.client_id and local.client_id != remote.client_id:
        raise InvalidTokenError("the introspection endpoint names another client")
    if "cnf" in claims and claims["cnf"] != local.claims.get("cnf"):
        raise InvalidTokenError("the introspection endpoint says that it is bound in another way")
    if local.token_id and remote.token_id and local.token_id != remote.token_id:
        raise InvalidTokenError("the introspection endpoint names another token")
