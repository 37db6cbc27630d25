"""Check the options that define a verifier's expectations of claims."""

import logging
from collections.abc import Iterable, Mapping
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
    check_identifiers,
    check_list,
    check_seconds,
    check_text,
    check_text_list,
    type_of,
)
from authguard.errors import ConfigurationError

logger = logging.getLogger("authguard")


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
        rules=rules_for(
            [name for name in claims or () if isinstance(name, str)],
            id_tokens=check_flag(id_tokens, "id_tokens"),
        ),
    )


def _subject(names: Iterable[ClaimName], required: Iterable[str]) -> SubjectClaims | None:
    if isinstance(names, (set, frozenset)):  # the order would differ between processes
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
    # As without the option, so that the same tokens are refused for the same reasons.
    return None if [path.name for path in paths] == ["sub"] else SubjectClaims(paths, "sub" in required)


def _types(names: Iterable[str | None]) -> frozenset[str | None]:
    types = frozenset(
        None if kind is None else media_type(check_text(kind, "each of token_types", must="be text, or None"))
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
    found: list[str] = []

    def report(name: ClaimName, why: str) -> None:
        found.append(f"{shown_name(name)} {why}")

    names_at(claims, expected.scope_claims, report, split=True)
    names_at(claims, expected.role_claims, report, split=False)
    return found


def _log_unusable(name: ClaimName, why: str) -> None:
    logger.debug("the claim %s %s: it grants no scopes or roles", shown_name(name), why)
