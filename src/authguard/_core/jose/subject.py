"""Determine the subject of a token: the one named by its claims, or the client itself."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from authguard._core.jose.claim_paths import ClaimPath, shown_name
from authguard.errors import InvalidTokenError, MalformedTokenError, MissingRequiredClaimError

#: The prefix of a client's own subject (7 characters).
CLIENT_PREFIX = "client:"
#: Claims that name the client; the last two are those of Okta and of Microsoft, and of other applications.
CLIENT_CLAIMS = ("client_id", "azp", "cid", "appid")

_MAX_NUMBER = 2**63


class SubjectClaims(NamedTuple):
    """Define which claims name the subject.

    Attributes:
        paths: the claims; the first one that is present and not empty is used.
        required: whether one of them must be present, so that a client never replaces a user.
    """

    paths: tuple[ClaimPath, ...]
    required: bool


def subject_of(
    claims: Mapping[str, Any], subject: str | None, client: str | None, chosen: SubjectClaims | None
) -> str:
    """Return the subject of a token, if it is not simply its `sub`.

    The prefix of a client, such as in `client:billing`, distinguishes it from a user of the same name. A user
    who could choose `client:billing` as `sub` would be mistaken for that client, so such a subject is
    accepted only in that client's tokens.

    Args:
        claims: of the token.
        subject: its `sub`.
        client: the client that it names.
        chosen: the claims that name the subject; None for `sub`.
    """
    if chosen is not None:
        first_claim = _first(claims, chosen.paths)
        if first_claim is not None:
            path, subject = first_claim
            if shown_name(path.name) in CLIENT_CLAIMS:  # a tuple of one name has the same meaning
                return f"{CLIENT_PREFIX}{subject}"
        elif chosen.required:
            raise MissingRequiredClaimError("none of subject_claims")
        else:
            subject = None
    elif subject == "":
        raise MalformedTokenError("sub is empty", claim="sub")
    of_client = f"{CLIENT_PREFIX}{client}" if client else None
    if subject is None:
        if of_client is None or _names_user(claims, chosen):
            raise MissingRequiredClaimError("no sub, and it is not a client's own token", claim="sub")
        return of_client
    if subject[: len(CLIENT_PREFIX)] == CLIENT_PREFIX and subject != of_client:
        raise InvalidTokenError("a sub that could be mistaken for a client", claim="sub")
    return subject


def _first(claims: Mapping[str, Any], paths: tuple[ClaimPath, ...]) -> tuple[ClaimPath, str] | None:
    """Return the first of the claims that is present and not empty, and its value as text.

    A whole number is accepted, because some issuers number their users.
    """
    for path in paths:
        value = path.find(claims)
        if value is None or value == "":
            continue
        if type(value) is int and 0 <= value < _MAX_NUMBER:
            return path, str(value)
        if type(value) is not str:
            name = shown_name(path.name)
            raise MalformedTokenError(f"{name} is neither text nor a whole number", claim=name)
        return path, value
    return None


def _names_user(claims: Mapping[str, Any], chosen: SubjectClaims | None) -> bool:
    """Return whether a token names a user by `username` (RFC 7662); as a chosen claim, it may be empty."""
    username = claims.get("username")
    return username is not None and not (chosen is not None and username == "")
