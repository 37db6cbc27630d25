"""Name the option of a guard or verifier that decides a fault, as it is written in an application."""

from collections.abc import Mapping
from typing import Any

from authguard._core.verifier import Verifier
from authguard.cli.tokens.explain import Finding
from authguard.verifiers.introspection import IntrospectionVerifier
from authguard.verifiers.jwt import JWTVerifier

# The option of the verifier that a fault is about, by the code of the finding.
_OPTIONS = {
    "algorithm": "algorithms",
    "kid": "keys",
    "signature": "keys",
    "issuer": "issuer",
    "audience": "audience",
    "claim": "required_claims",
    "typ": "token_types",
    "expired": "leeway",
    "not_yet_valid": "leeway",
}
# What else refuses, by its code: what to do, and the option.
OTHERS = {
    "unproven": ("It has to be sent with its proof.", "Guard(proofs=[DPoP(…)])"),
    "revoked": ("Get a new one: sign in again.", "Guard(revocations=…)"),
    "disabled": ("Enable the key where it is kept.", "APIKeyVerifier(keys)"),
    "unknown_api_key": ("Compare the key with those that the verifier has.", "APIKeyVerifier(keys)"),
    "inactive": (
        "The introspection endpoint has the last word: look there.",
        "IntrospectionVerifier(endpoint)",
    ),
    "no_verifier": ("Give the guard a verifier for this kind, or the prefix of the key.", "Guard(verifiers)"),
    "user": ("The principal is good; the application knows no such user.", "Guard(user_loader=…)"),
    "unavailable": ("Nothing is known about the token. Try again.", None),
    "error": ("The code of the application raised: its log has the traceback.", None),
    "insufficient_scope": (
        "Have the issuer grant it, or change the rule of the path.",
        "Rule(scopes=…, roles=…)",
    ),
    "unaccepted_credential": (
        "The path takes another kind; a token is looked at here as one in the Authorization field.",
        "Rule(credentials=…)",
    ),
    "insufficient_user_authentication": ("Sign in again, as the rule asks.", "Rule(acr=…, max_age=…)"),
}
# The option that a fault of the code `claim` is about, by the beginning of its reason.
_CONDITIONS = (
    ("the header parameter ", "header_claims"),
    ("of a client that is none of client_ids", "client_ids"),
    ("it names no client", "client_ids"),
    ("the claim ", "claims"),
    ("a sub that would pass for a client", "subject_claims"),
)


def option_of(finding: Finding, claims: Mapping[str, Any], verifier: Verifier | None) -> str | None:
    """Return the option that a fault is about, as it is written; None for no option.

    Args:
        finding: the fault.
        claims: what the token says.
        verifier: the one that has refused it; None where several share the work, and none was for it.
    """
    code = "typ" if finding.code == "kind" and "typ is" in finding.reason else finding.code
    if code in OTHERS:
        return OTHERS[code][1]
    if verifier is None:
        return f"JWTVerifier({_OPTIONS[code]}=…)" if code in ("issuer", "algorithm") else None
    option = _OPTIONS.get(code)
    if code == "claim" or (code == "invalid" and isinstance(verifier, IntrospectionVerifier)):
        option = next((each for start, each in _CONDITIONS if finding.reason.startswith(start)), option)
    if code == "issuer" and isinstance(verifier, JWTVerifier) and _is_of_a_tenant(claims, verifier):
        option = "tenants"
    return None if option is None else f"{type(verifier).__name__}({option}=…)"


def _is_of_a_tenant(claims: Mapping[str, Any], verifier: JWTVerifier) -> bool:
    """Return whether an issuer is as the verifier writes it, but for the tenant."""
    start, placeholder, end = (verifier.issuer or "").partition("{tenantid}")
    issuer = claims.get("iss")
    return placeholder != "" and isinstance(issuer, str) and issuer.startswith(start) and issuer.endswith(end)
