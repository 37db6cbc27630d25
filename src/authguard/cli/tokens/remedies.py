"""Name the option of a guard or verifier that causes a fault, as it is written in an application."""

import re
from collections.abc import Mapping
from typing import Any

from authguard._core.verifier import Verifier
from authguard.cli.tokens.explain import Finding
from authguard.verifiers.introspection import IntrospectionVerifier
from authguard.verifiers.jwt import JWTVerifier

# The option of the verifier that causes a fault, by the code of the finding.
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
# Other faults, by code: the remedy, and the option.
OTHERS = {
    "unproven": ("Send it with its proof.", "Guard(proofs=[DPoP(…)])"),
    "revoked": ("Get a new one: sign in again.", "Guard(revocations=…)"),
    "disabled": ("Enable the key.", "APIKeyVerifier(keys)"),
    "unknown_api_key": ("Compare the key with the keys of the verifier.", "APIKeyVerifier(keys)"),
    "inactive": (
        "The introspection endpoint decides: check the token there.",
        "IntrospectionVerifier(endpoint)",
    ),
    "no_verifier": (
        "Add a verifier for this kind, or for the prefix of the key, to the guard.",
        "Guard(verifiers)",
    ),
    "user": ("The token is valid, but user_loader found no such user.", "Guard(user_loader=…)"),
    "unavailable": ("The check could not be made. Try again.", None),
    "error": ("The application's code raised an error; its log has the traceback.", None),
    "insufficient_scope": (
        "Grant it at the issuer, or change the rule of the path.",
        "Rule(scopes=…, roles=…)",
    ),
    "unaccepted_credential": (
        "The path accepts another kind of credential; here the token is in the Authorization field.",
        "Rule(credentials=…)",
    ),
    "insufficient_user_authentication": ("Sign in again, as the rule asks.", "Rule(acr=…, max_age=…)"),
}
# The option in the hint about a missing scope or role.
_CLAIMS_OPTION = re.compile(r"(?:scope|role)_claims=")
# The option that causes a fault of the code `claim`, by the beginning of its reason.
_CONDITIONS = (
    ("the header parameter ", "header_claims"),
    ("of a client that is not one of client_ids", "client_ids"),
    ("it names no client", "client_ids"),
    ("the claim ", "claims"),
    ("a sub that could be mistaken for a client", "subject_claims"),
)


def option_of(finding: Finding, claims: Mapping[str, Any], verifier: Verifier | None) -> str | None:
    """Return the option that causes a fault, as it is written; None if no option does.

    Args:
        finding: the fault.
        claims: the claims of the token.
        verifier: the verifier that refused it; None if several share the work and none was selected.
    """
    code = "typ" if finding.code == "kind" and "typ is" in finding.reason else finding.code
    if claims_option := _CLAIMS_OPTION.search(finding.advice):
        return f"JWTVerifier({claims_option[0]}…)"
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
    """Return whether an issuer differs from the verifier's only in the tenant."""
    start, placeholder, end = (verifier.issuer or "").partition("{tenantid}")
    issuer = claims.get("iss")
    return placeholder != "" and isinstance(issuer, str) and issuer.startswith(start) and issuer.endswith(end)
