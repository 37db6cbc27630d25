"""Distinguish access tokens from other kinds of tokens, by the claims with which issuers mark them."""

import re
from collections.abc import Collection
from functools import lru_cache

from authguard.errors import Cause, MalformedTokenError

#: Claims in which issuers name the kind of a token, if `typ` in the header does not.
KIND_CLAIMS = ("token_use", "token_type", "typ", "type")
#: Values of these claims in tokens that are not access tokens, as returned by `kind_of`. Applications use the
#: same claims for other purposes, such as `"type": "user"`, so an unknown value has no meaning.
OTHER_KINDS = frozenset(
    {
        "id",
        "serialized_id",
        "refresh",
        "offline",
        "logout",
        "secevent",
        "state",
        "authorization_code",
        "device_code",
        "reset",
        "password_reset",
        "reset_password",
        "reset_credentials",
        "verify",
        "verification",
        "email_verification",
        "verify_email",
        "email_confirmation",
        "confirm_email",
        "magic_link",
        "execute_actions",
        "initial_access",
        "registration_access",
    }
)
#: Claims that only other tokens have: hashes of other tokens in an ID token (OpenID Connect Core 3.1.3.6),
#: and the object of events in a security event token (RFC 8417 section 2.2).
FOREIGN_CLAIMS = ("at_hash", "c_hash", "s_hash", "events")

_ID_KINDS = frozenset({"id", "serialized_id"})

_SEPARATORS = re.compile(r"[\s_.+/-]+")
_MAX_KIND = 64  # characters; the longest known value has 37, including prefixes and suffixes


def kind_of(value: str) -> str:
    """Return the kind that a claim names, as in `OTHER_KINDS`: `refresh` for `Refresh-Token`.

    RFC 8693 section 3 names it by the last part of a URN: `urn:ietf:params:oauth:token-type:refresh_token`.
    """
    if value[:4].lower() == "urn:":
        value = value.rpartition(":")[2]
    return "" if len(value) > _MAX_KIND else _kind_of_short(value)


# Cached, because all tokens of an issuer name the same kind.
@lru_cache(maxsize=256)
def _kind_of_short(value: str) -> str:
    words = _SEPARATORS.sub("_", value.casefold()).strip("_").removeprefix("application_")
    return words.removesuffix("_jwt").removesuffix("token").removesuffix("_")


def rules_of_kinds(taken: Collection[str], *, id_tokens: bool) -> dict[str, str]:
    """Return the rule for each claim that may mark another kind of token.

    Args:
        taken: claims whose values the application requires, so that they are not marks.
        id_tokens: whether ID tokens are accepted.
    """
    foreign = FOREIGN_CLAIMS[-1:] if id_tokens else FOREIGN_CLAIMS
    rules = dict.fromkeys(KIND_CLAIMS, "kind or ID" if id_tokens else "kind") | dict.fromkeys(
        foreign, "foreign"
    )
    return {name: rule for name, rule in rules.items() if name not in taken}


def check_kind(name: str, value: object, *, bound: bool, id_tokens: bool = False) -> None:
    """Raise an error if one of `KIND_CLAIMS` marks another kind of token.

    Args:
        name: the claim.
        value: its value; each text in a list is judged alone.
        bound: whether the token is bound to a key or a certificate (`cnf`); the guard checks its proof.
        id_tokens: whether it may be an ID token.
    """
    for each in value if isinstance(value, list) else (value,):
        if not isinstance(each, str) or (id_tokens and kind_of(each) in _ID_KINDS):
            continue
        # RFC 9449 section 6.2: a token of this type needs a proof, but this token is not bound to a key.
        is_unbound = not bound and each.casefold() == "dpop"
        if is_unbound or kind_of(each) in OTHER_KINDS:
            raise MalformedTokenError(f"not an access token, says {name}", cause=Cause.KIND, claim=name)


def check_foreign(name: str, value: object) -> None:
    """Raise an error if one of `FOREIGN_CLAIMS` belongs to another kind of token."""
    if isinstance(value, dict) if name == "events" else value is not None:
        raise MalformedTokenError(
            f"not a plain bearer access token: it has {name}", cause=Cause.KIND, claim=name
        )
