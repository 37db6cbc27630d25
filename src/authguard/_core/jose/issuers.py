"""Decide which issuers a verifier accepts, if it accepts several, as for tenants."""

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias

from authguard._core.options import check_arguments, check_identifier, check_list, check_text, got
from authguard.errors import ConfigurationError, InvalidIssuerError

MAX_TENANTS = 10_000
#: The placeholder of the tenant in an issuer of several tenants, as in the metadata of Microsoft Entra ID.
TENANT = "{tenantid}"
#: A function of the application that tells whether an issuer is accepted.
IssuerCheck: TypeAlias = Callable[[str], bool | Awaitable[bool]]

# A tenant: one segment of a path or one label of a host, so that no tenant changes another part of the
# issuer.
_TENANT = re.compile(r"(?!\.{1,2}\Z)(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2}){1,255}\Z")
# The `issuer` of a key of Microsoft Entra ID.
_OF_KEY = re.compile(r"https://[^/]+/(?P<tenant>[^/]+)/v2\.0\Z")
_BRACES = re.compile(r"[{}*]")


class Issuers:
    """Accept some issuers, or any.

    Args:
        pattern: the value of the option, for errors.
        accepted: the issuers in full; None for any named issuer, about which a function then decides.
    """

    __slots__ = ("accepted", "pattern")

    def __init__(self, pattern: str, accepted: frozenset[str] | None) -> None:
        self.pattern = pattern
        self.accepted = accepted


def check_issuer(issuer: object, expected: "str | Issuers | None") -> None:
    """Raise an error unless the `iss` of a token is expected.

    Whole texts are compared character by character, without decoding or case folding.
    """
    if expected is None or issuer == expected:
        return
    is_text = isinstance(issuer, str) and issuer != ""
    accepted = expected.accepted if isinstance(expected, Issuers) else ()
    if not is_text or (accepted is not None and issuer not in accepted):
        raise InvalidIssuerError("another issuer")


def check_key_issuer(key_issuer: str, issuer: object) -> None:
    """Raise an error if a key belongs to another issuer than the token.

    Microsoft Entra ID publishes keys of several tenants in one set, and names the issuer of each. A key whose
    issuer has `{tenantid}` in it may sign for any tenant. A key of one tenant signs only for this tenant,
    even if the tokens have another form of its issuer, such as `https://sts.windows.net/<tenant>/`.

    Args:
        key_issuer: the member `issuer` of the key.
        issuer: the `iss` of the token, which is compared with the expected issuer elsewhere.
    """
    if TENANT in key_issuer.split("/") or issuer == key_issuer:
        return
    entra = _OF_KEY.match(key_issuer)
    tenant = entra["tenant"] if entra else ""
    if not tenant or not isinstance(issuer, str) or tenant not in issuer.split("/")[3:]:
        raise InvalidIssuerError("signed by a key of another issuer")


def issuers_of(issuer: object, tenants: Iterable[str] | None) -> str | Issuers | None:
    """Check which issuers an option names.

    Args:
        issuer: text, with `{tenantid}` in it if the issuer has tenants; a function; or None for any.
        tenants: identifiers of tenants.

    Raises:
        ConfigurationError: if it has another form, the pattern is of another kind, or tenants are given
            without a pattern.
    """
    if callable(issuer) and not isinstance(issuer, type):
        check_arguments(issuer, "issuer", "iss")
        expected: str | Issuers | None = Issuers(_name_of(issuer), None)
    elif issuer is None:
        expected = None
    elif isinstance(issuer, (list, tuple, set, frozenset)):
        raise ConfigurationError(
            f"issuer must be one issuer, a function, or None, got {got(issuer)}: write a JWTVerifier for "
            "each, as in Guard(first, second), or tenants= where they differ in one part"
        )
    else:
        must = "be text that is not empty, a function, or None"
        text = check_identifier(issuer, "issuer", must=must)
        if _BRACES.search(text):
            return _of_tenants(text, tenants)
        expected = text
    if tenants is not None:
        raise ConfigurationError(
            f"tenants must be given with an issuer that has {TENANT} in it, got an issuer without: write "
            'issuer="https://login.microsoftonline.com/{tenantid}/v2.0"'
        )
    return expected


def check_single_issuer(issuer: object) -> str | None:
    """Check an option that takes a single issuer, or None.

    Raises:
        ConfigurationError: for anything else, such as a pattern, which is not the name of an issuer.
    """
    if issuer is None:
        return None
    text = check_identifier(issuer, "issuer")
    if _BRACES.search(text):
        raise ConfigurationError(
            f"issuer must be one issuer here, got {got(text)}: write a verifier for each tenant"
        )
    return text


def _of_tenants(pattern: str, tenants: Iterable[str] | None) -> Issuers:
    if pattern.count(TENANT) != 1 or _BRACES.search(pattern.replace(TENANT, "")):
        raise ConfigurationError(
            f"issuer must be exact, or have {TENANT} in it once and no other braces or stars, got "
            f"{got(pattern)}: "
            'write issuer="https://login.microsoftonline.com/{tenantid}/v2.0"'
        )
    if tenants is None:
        raise ConfigurationError(
            f"tenants must be given with an issuer that has {TENANT} in it, got None, and a function "
            "as issuer is for tenants that you find in another way: write "
            'tenants=["8f2c…"]'
        )
    names = check_list(tenants, "tenants", '"8f2c…"')
    if not 1 <= len(names) <= MAX_TENANTS:
        raise ConfigurationError(f"tenants must name between 1 and {MAX_TENANTS} tenants, got {len(names)}")
    must = (
        "be the identifier of a tenant as it stands in the issuer: letters, digits and - . _ ~ or "
        "%-encoded, and no pattern"
    )
    for name in names:
        check_text(name, "each of tenants", pattern=_TENANT, must=must)
    return Issuers(pattern, frozenset(pattern.replace(TENANT, name) for name in names))


def _name_of(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
