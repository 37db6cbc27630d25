"""Read the answer of an introspection endpoint: RFC 7662 section 2.2, RFC 9701 section 5."""

import json
from collections.abc import Mapping
from typing import Any

from authguard._core.jose.claims import Expectations, verify_claims
from authguard._core.jose.subject import CLIENT_PREFIX
from authguard._core.jose.token_kind import KIND_CLAIMS
from authguard._core.model import Method, Principal
from authguard.errors import (
    Cause,
    InvalidIssuerError,
    InvalidTokenError,
)


def principal_of(
    document: Mapping[str, Any], expected: Expectations, issuer: str | None, method: Method, now: float
) -> Principal:
    """Return the principal of the credential that the endpoint was asked about.

    Args:
        document: the answer.
        expected: the expectations; the issuer is not checked.
        issuer: the issuer of the credential, which an answer need not repeat.
        method: how the credential was carried.
        now: seconds since the epoch.

    Raises:
        InvalidTokenError: if it is not active, or not for us.
    """
    if document.get("active") is not True:
        raise InvalidTokenError("the introspection endpoint says that it is not active", cause=Cause.INACTIVE)
    claims = {name: value for name, value in document.items() if value is not None and name != "active"}
    if issuer is not None and claims.setdefault("iss", issuer) != issuer:
        expected.report_mismatch("issuer", claims["iss"], issuer)
        raise InvalidIssuerError("another issuer")
    text = json.dumps(claims, ensure_ascii=False)
    # For an API key, an endpoint may return any value there.
    kinds = KIND_CLAIMS if method == "api_key" else ()
    judged = {name: value for name, value in claims.items() if name not in kinds}
    return verify_claims(text, judged, expected, now, kind=None, key_id=None, method=method)


def check_same(local: Principal, remote: Principal, claims: Mapping[str, Any]) -> None:
    """Raise an error unless the answer of the endpoint is about the token that was verified here."""
    # An answer without a subject names no user; its client is used instead.
    names_subject = "sub" in claims or remote.subject != f"{CLIENT_PREFIX}{remote.client_id}"
    if names_subject and not _is_same_subject(local, remote):
        raise InvalidTokenError("the introspection endpoint names another subject")
    if local.client_id and remote.client_id and local.client_id != remote.client_id:
        raise InvalidTokenError("the introspection endpoint names another client")
    if "cnf" in claims and claims["cnf"] != local.claims.get("cnf"):
        raise InvalidTokenError("the introspection endpoint says that it is bound in another way")
    if local.token_id and remote.token_id and local.token_id != remote.token_id:
        raise InvalidTokenError("the introspection endpoint names another token")


def _is_same_subject(local: Principal, remote: Principal) -> bool:
    if local.subject == remote.subject:
        return True
    # A token without `sub` belongs to its client; the answer may have the client's name as `sub` (RFC 9068
    # section 2.2).
    return remote.subject == remote.client_id and local.subject == f"{CLIENT_PREFIX}{remote.client_id}"
