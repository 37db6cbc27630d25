"""Check the options that define a verifier's expectations of claims, and log which claims do not fit them."""

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from authguard._core.jose.claim_paths import ClaimName, claim_path, claim_paths, names_at, shown_name
from authguard._core.jose.claims import Expectations, rules_for
from authguard._core.jose.compact import media_type
from authguard._core.jose.conditions import Conditions, Values, claim_conditions, client_list
from authguard._core.jose.issuers import Issuers
from authguard._core.jose.subject import SubjectClaims
from authguard._core.options import (
    MAX_LEEWAY,
    Duration,
    check_flag,
    check_identifier,
    check_identifiers,
    check_list,
    check_seconds,
    check_text_list,
    type_of,
)
from authguard.errors import ConfigurationError

logger = logging.getLogger("authguard")

_LINE = (
    "a token with a valid signature is refused, because it has the %s %s, and %s= is %s: if the token is for "
    "this application, correct %s="
)
# Log lines for each claim of a verifier, because callers may have valid tokens for many other applications of
# the same issuer.
_MAX_VALUES = 3
_MAX_TEXT = 100  # characters
_MAX_NAMES = 5


def expectations(
    *,
    issuer: str | Issuers | None,
    audience: str | Iterable[str] | None,
    leeway: float | Duration,
    required_claims: Iterable[str],
    token_types: Iterable[str | None],
    scope_claims: Iterable[ClaimName],
    role_claims: Iterable[ClaimName],
    tier_claim: ClaimName | None,
    subject_claims: Iterable[ClaimName] | None,
    client_ids: str | Iterable[str] | None,
    claims: Values | None,
    id_tokens: bool = False,
) -> Expectations:
    """Check the options, which are those of `JWTVerifier`.

    Raises:
        ConfigurationError: if an option has the wrong type, or options contradict each other.
    """
    audiences = () if audience is None else check_identifiers(audience, "audience")
    required = check_text_list(required_claims, "required_claims", '"exp"')
    conditions = _conditions(client_ids, claims)
    subject = None if subject_claims is None else _subject(subject_claims, required)
    if subject is not None:
        required = tuple(name for name in required if name != "sub")
    return Expectations(
        issuer=issuer,
        audience=frozenset(audiences),
        leeway=check_seconds(leeway, "leeway", MAX_LEEWAY),
        required=required,
        types=_types(token_types),
        scope_claims=claim_paths(scope_claims, "scope_claims", '"scope"'),
        role_claims=claim_paths(role_claims, "role_claims", '"roles"'),
        tier_claim=None if tier_claim is None else claim_path(tier_claim, "tier_claim"),
        subject_claims=subject,
        conditions=conditions,
        report=_log_unusable,
        report_mismatch=Mismatches().log,
        rules=rules_for(
            [name for name in claims or () if isinstance(name, str)],
            id_tokens=check_flag(id_tokens, "id_tokens"),
        ),
    )


def warn_of_no_expiry(required: Collection[str]) -> None:
    """Log that tokens need no `exp`, if a list that should add a claim has replaced the default.

    A list of `sub` alone is on purpose, and so is an empty list.

    Args:
        required: the required claims of an access token.
    """
    if "exp" not in required and any(name != "sub" for name in required):
        logger.warning(
            "required_claims must contain 'exp', or tokens without it are valid for ever, got %s, which "
            "replaces the default: write required_claims=%s",
            list(required),
            list(dict.fromkeys(("exp", "sub", *required))),
        )


def _subject(names: Iterable[ClaimName], required: Iterable[str]) -> SubjectClaims | None:
    if isinstance(names, (set, frozenset)):  # sorted, because the order would differ between processes
        raise ConfigurationError(
            f"subject_claims must be a list in order of precedence, got {type_of(names)}: write "
            'subject_claims=["sub", "username"]'
        )
    paths = claim_paths(names, "subject_claims", '"sub"')
    if not paths:
        raise ConfigurationError(
            "subject_claims must name at least one, got an empty list: write "
            'subject_claims=["sub", "username"]'
        )
    # The result is the same as without the option, so that the same tokens are refused for the same reasons.
    return None if [path.name for path in paths] == ["sub"] else SubjectClaims(paths, "sub" in required)


def _types(names: Iterable[str | None]) -> frozenset[str | None]:
    types = frozenset(
        None
        if kind is None
        else media_type(check_identifier(kind, "each of token_types", must="be text, or None"))
        for kind in check_list(names, "token_types", '"at+jwt"')
    )
    if not types:
        raise ConfigurationError('token_types must name one, such as "at+jwt", got an empty list')
    return types


def _conditions(client_ids: object, claims: object) -> Conditions | None:
    if client_ids is None and claims is None:
        return None
    return Conditions(
        () if claims is None else claim_conditions(claims),
        None if client_ids is None else client_list(client_ids),
    )


def unusable_claims(expected: Expectations, claims: Mapping[str, Any]) -> list[str]:
    """Return, in words, which claims should grant scopes or roles but cannot be used for that."""
    problems: list[str] = []

    def report(name: ClaimName, why: str) -> None:
        problems.append(f"{shown_name(name)} {why}")

    names_at(claims, expected.scope_claims, report, split=True)
    names_at(claims, expected.role_claims, report, split=False)
    return problems


def _log_unusable(name: ClaimName, why: str) -> None:
    logger.debug("the claim %s %s: it grants no scopes or roles", shown_name(name), why)


class Mismatches:
    """Log the first values of `aud` and `iss` that a verifier does not expect, each once.

    Without this line, a wrong option would look like callers without a valid token: users would be at the
    login page again after each sign-in.
    """

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: dict[str, set[str]] = {"audience": set(), "issuer": set()}

    def log(self, option: str, received: object, expected: object) -> None:
        """Warn of a token with a valid signature; an unverified token could contain any text.

        Args:
            option: `audience` or `issuer`.
            received: the value of the claim.
            expected: the value of the option.
        """
        claim, told = _shown(received), self._told[option]
        if claim in told or len(told) >= _MAX_VALUES:
            return
        told.add(claim)
        logger.warning(_LINE, option, claim, option, _shown(expected or None), option)  # no audience is None


def _shown(value: object) -> str:
    """Return a value in ASCII, so that it cannot forge a log line, and of limited length."""
    if isinstance(value, list):
        more = ", …" if len(value) > _MAX_NAMES else ""
        return " or ".join(map(_shown_name, value[:_MAX_NAMES])) + more if value else "[]"
    return _shown_name(value.pattern if isinstance(value, Issuers) else value)


def _shown_name(value: object) -> str:
    if isinstance(value, str):
        return ascii(value[:_MAX_TEXT]) + ("…" if len(value) > _MAX_TEXT else "")
    return "None" if value is None else f"of the type {type(value).__name__}"
