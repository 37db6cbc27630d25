"""Choose the verifier of a guard for a credential; refuse verifiers that cannot be distinguished.

Verifiers of API keys are chosen by field and prefix; those of tokens by the form of the token, and for JWTs
by the issuer. A verifier that accepts tokens of any form is the last choice.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any

from authguard._core.credential.cookies import AccessCookie
from authguard._core.credential.extractor import Extractor
from authguard._core.flow import Flow
from authguard._core.jose.claims import read_claims
from authguard._core.jose.compact import read_compact
from authguard._core.jose.jwk import ALIASES
from authguard._core.model import Credential
from authguard._core.policy.rules import Rule
from authguard._core.verifier import Verified, Verifier, check_key_field
from authguard.errors import ConfigurationError, MalformedTokenError

#: The beginning of each JWT: `{"` in base64url.
_JWT = "eyJ"
#: The option of a guard that is needed to read each kind of credential.
_TO_READ: dict[str, str] = {
    "bearer": "add a JWTVerifier or an IntrospectionVerifier",
    "api_key": "add an APIKeyVerifier",
    "cookie": "write Guard(…, cookie=AccessCookie())",
    "dpop": "write Guard(…, proofs=[DPoP(…)])",
    "header": "give a verifier of tokens a header=",
}


class _Narrowed(Verifier):
    """Ask a verifier only about some of the credentials that it accepts."""

    def __init__(self, verifier: Verifier, admits: Callable[[Credential], bool]) -> None:
        self._verifier = verifier
        self._admits = admits
        self.channel = verifier.channel
        self.has_terms = verifier.has_terms

    def accepts(self, credential: Credential) -> bool:
        return self._verifier.accepts(credential) and self._admits(credential)

    def flow(self, credential: Credential, now: float) -> Flow[Verified] | Verified:
        return self._verifier.flow(credential, now)


class _OfTokenField(Verifier):
    """Ask a verifier about every token in its own field, so that no other verifier is asked about them."""

    def __init__(self, field: str, verifiers: Sequence[Verifier]) -> None:
        if len(verifiers) > 1:
            raise ConfigurationError(
                f"{verifiers[0]!r} and {verifiers[1]!r} must read different fields, got {field} for both: "
                "give each a header= of its own"
            )
        self._field = field
        self._verifier = verifiers[0]
        self.channel = self._verifier.channel

    def accepts(self, credential: Credential) -> bool:
        return credential.method == "header" and credential.header == self._field

    def flow(self, credential: Credential, now: float) -> Flow[Verified] | Verified:
        return self._verifier.flow(credential, now)


def arrange(verifiers: Sequence[Verifier]) -> list[Verifier]:
    """Return the verifiers in the order in which they are asked whether they accept a credential.

    Raises:
        ConfigurationError: if the list is empty, or some verifiers would never be asked.
    """
    if not verifiers:
        raise ConfigurationError("verifiers must be at least one, got none: write Guard(JWTVerifier(…), …)")
    _check_prefixes(verifiers)
    shared_fields = _check_keys([verifier for verifier in verifiers if verifier.is_for_keys])
    of_fields = _of_token_fields(verifiers)
    verifiers = [verifier for verifier in verifiers if verifier.token_header is None]
    any_token = [verifier for verifier in verifiers if verifier.takes_any_token]
    by_issuer, last = _arrange_tokens(verifiers, any_token)
    others = _merged([verifier for verifier in verifiers if not verifier.takes_any_token])
    return [
        *of_fields,
        *by_issuer,
        *(
            _with_prefix(verifier) if _field_of(verifier) in shared_fields else verifier
            for verifier in others
        ),
        *last,
    ]


def extractor_for(verifiers: Sequence[Verifier], cookie: AccessCookie | None, *, dpop: bool) -> Extractor:
    """Return the extractor of the credentials of some verifiers.

    Args:
        verifiers: the verifiers of a guard.
        cookie: the cookie of an access token.
        dpop: whether tokens may have a DPoP proof.
    """
    headers = {verifier.header for verifier in verifiers if verifier.header}
    prefixes = {prefix for verifier in verifiers for prefix in verifier.prefixes}
    tokens = {verifier.token_header for verifier in verifiers if verifier.token_header}
    return Extractor(headers, prefixes, cookie, dpop=dpop, token_headers=tokens)


def check_kinds_of(rules: Iterable[Rule], verifiers: Sequence[Verifier], extractor: Extractor) -> None:
    """Check that callers can present the kinds of credential that rules accept.

    Args:
        rules: the rules of a guard.
        verifiers: those of the guard.
        extractor: finds their credentials.

    Raises:
        ConfigurationError: if a rule accepts a kind that cannot be presented.
    """
    tokens = _verifiers_of_tokens(verifiers)
    presentable = {
        "bearer": bool(tokens),
        "api_key": any(verifier.is_for_keys or verifier.chooses_itself for verifier in verifiers),
        "cookie": bool(tokens) and extractor.cookie is not None,
        "dpop": bool(tokens) and extractor.speaks_dpop,
        "header": bool(extractor.token_fields),
    }
    for rule in rules:
        for kind in sorted(rule.requirement.credentials):
            if not presentable[kind]:
                known = ", ".join(repr(each) for each, is_known in presentable.items() if is_known)
                raise ConfigurationError(
                    f"credentials of {rule!r} must be kinds that the guard reads ({known}), got {kind!r}: "
                    f"{_TO_READ[kind]}"
                )


def sentences_on_unused_places(
    verifiers: Sequence[Verifier], extractor: Extractor, *, subprotocol: bool
) -> Iterator[str]:
    """Yield a sentence for each place of a token that a guard reads, although it has no verifier of tokens.

    A credential in such a place is always refused. API keys with a prefix may be in the subprotocol.

    Args:
        verifiers: those of the guard.
        extractor: finds their credentials.
        subprotocol: whether a websocket's subprotocol may have a token.
    """
    if _verifiers_of_tokens(verifiers):
        return
    places = {
        "cookie": extractor.cookie is not None,
        "proofs with DPoP": extractor.speaks_dpop,
        "subprotocol": subprotocol and not any(verifier.prefixes for verifier in verifiers),
    }
    for option, is_read in places.items():
        if is_read:
            yield (
                f"{option} must be for a verifier of tokens, got none, so that each token there is refused: "
                f"{_TO_READ['bearer']}, or leave {option.partition(' ')[0]} out"
            )


def _verifiers_of_tokens(verifiers: Sequence[Verifier]) -> list[Verifier]:
    """Return the verifiers of tokens in the Authorization field and in the cookie."""
    return [each for each in verifiers if not each.token_header and _takes_tokens(each)]


def _check_prefixes(verifiers: Sequence[Verifier]) -> None:
    """Check that no prefix of API keys is the beginning of each JWT: a verifier of JWTs would get none."""
    jwts = [each for each in _verifiers_of_tokens(verifiers) if each.jwts]
    for verifier in verifiers if jwts else ():
        for prefix in verifier.prefixes:
            if prefix.startswith(_JWT) or _JWT.startswith(prefix):
                raise ConfigurationError(
                    f"{verifier!r} and {jwts[0]!r} must be for different credentials, got the prefix "
                    f"{prefix!r}, with which each JWT begins: give the first another one in prefixes=, or "
                    "prefixes=[] if its keys come in its field only"
                )


def _takes_tokens(verifier: Verifier) -> bool:
    is_for_tokens = verifier.takes_any_token or bool(verifier.jwts) or verifier.chooses_itself
    return is_for_tokens or not verifier.is_for_keys


def _of_token_fields(verifiers: Sequence[Verifier]) -> list[Verifier]:
    """Return the verifiers of tokens in their own fields, one for each field.

    Raises:
        ConfigurationError: if API keys use the same field.
    """
    fields = {verifier.token_header.lower(): verifier for verifier in verifiers if verifier.token_header}
    for verifier in verifiers:
        if (field := _field_of(verifier)) in fields:
            raise ConfigurationError(
                f"{fields[field]!r} and {verifier!r} must read different fields, got {verifier.header} for "
                "both: give one of them another header="
            )
    return [
        _OfTokenField(field, _merged([each for each in verifiers if _token_field_of(each) == field]))
        for field in fields
    ]


def _token_field_of(verifier: Verifier) -> str | None:
    return verifier.token_header.lower() if verifier.token_header else None


def _merged(verifiers: Sequence[Verifier]) -> list[Verifier]:
    """Merge verifiers that share one `together`, such as `JWTVerifier`, at the position of the first."""
    merged: list[Verifier] = []
    seen: set[Any] = set()
    for verifier in verifiers:
        kind = _kind_of(verifier)
        if kind is None:
            merged.append(verifier)
        elif kind not in seen:
            seen.add(kind)
            merged += kind(type(verifier), [other for other in verifiers if _kind_of(other) is kind])
    return merged


def _kind_of(verifier: Verifier) -> Any:
    """Return the class method `together` as a function, which subclasses share; None without one."""
    return getattr(getattr(type(verifier), "together", None), "__func__", None)


def _field_of(verifier: Verifier) -> str | None:
    return verifier.header.lower() if verifier.header else None


def _check_keys(verifiers: Sequence[Verifier]) -> frozenset[str]:
    """Check that the field or the prefix of a key identifies one verifier.

    Returns:
        the fields of several verifiers, in which the prefix decides.
    """
    shared: set[str] = set()
    for verifier in verifiers:
        if verifier.header is not None:
            check_key_field(verifier.header)
    for first, second in combinations(verifiers, 2):
        if first.chooses_itself:
            continue
        if common := _common_prefix(first, second):
            raise ConfigurationError(
                f"{first!r} and {second!r} must be for different keys, got keys that begin with {common!r} "
                "for both, and a key in the Authorization field could be for either: give each prefixes= of "
                "its own, or prefixes=[] to one whose keys come in its field only"
            )
        field = _field_of(first)
        if field is None or field != _field_of(second):
            continue
        unclear = [each for each in (first, second) if not each.prefixes or each.has_unprefixed_keys]
        if unclear:
            raise ConfigurationError(
                f"{first!r} and {second!r} must both have a prefix for each of their keys, since both read "
                f"the field {first.header}, got {unclear[0]!r} for keys without one: give each a header= of "
                "its own, or prefixes= that all its keys have"
            )
        shared.add(field)
    return frozenset(shared)


def _common_prefix(first: Verifier, second: Verifier) -> str | None:
    """Return a prefix that both verifiers would accept: a prefix may be the beginning of another one."""
    for prefix in first.prefixes:
        for other in second.prefixes:
            if prefix.startswith(other) or other.startswith(prefix):
                return max(prefix, other, key=len)
    return None


def _with_prefix(verifier: Verifier) -> Verifier:
    prefixes = tuple(verifier.prefixes)
    return _Narrowed(verifier, lambda credential: credential.value.startswith(prefixes))


def _arrange_tokens(
    verifiers: Sequence[Verifier], any_token: Sequence[Verifier]
) -> tuple[list[Verifier], list[Verifier]]:
    """Order the verifiers that accept tokens of any form.

    Returns:
        the verifiers for JWTs of their issuers, which are the first choice; and the last choice.
    """
    for first, second in combinations(any_token, 2):
        if not (_names_issuers(first) and _names_issuers(second)):
            raise ConfigurationError(
                f"{first!r} and {second!r} must be for different tokens, got two that take any token, of "
                "which the second would never be asked: give header= or prefixes= to one for API keys, "
                "jwt=JWTVerifier(…, issuer=…) to each IntrospectionVerifier if all tokens are JWTs, "
                "accepts(credential) to a verifier of your own"
            )
    local = [verifier for verifier in verifiers if verifier.jwts and not verifier.takes_any_token]
    several = len(any_token) > 1
    by_issuer = [verifier for verifier in any_token if verifier.jwts and (several or local)]
    _check_issuers([*local, *by_issuer], by_issuer)
    # With several, the issuer of an opaque token is unknown.
    return [_of_issuers(verifier) for verifier in by_issuer], [] if several else list(any_token)


def _names_issuers(verifier: Verifier) -> bool:
    return bool(verifier.jwts) and all(issuer is not None for issuer, _ in verifier.jwts)


def _check_issuers(verifiers: Sequence[Verifier], by_issuer: Sequence[Verifier]) -> None:
    for first, second in combinations(verifiers, 2):
        if second not in by_issuer:
            continue  # `JWTVerifier.together` checks verifiers of JWTs
        if not (_names_issuers(first) and _names_issuers(second)):
            raise ConfigurationError(
                f"{first!r} and {second!r} must both name their issuer, since both are for JWTs, got one "
                "that names none: give each an issuer="
            )
        if common := first.jwts & second.jwts:
            issuer, algorithm = min(common, key=str)
            raise ConfigurationError(
                f"{first!r} and {second!r} must be for different tokens, got {algorithm} of {issuer!r} for "
                "both, so one would never be asked: keep one of them"
            )


def _of_issuers(verifier: Verifier) -> Verifier:
    return _Narrowed(verifier, lambda credential: _jwt_of(credential) in verifier.jwts)


def _is_opaque(credential: Credential) -> bool:
    return credential.value.count(".") != 2


def _jwt_of(credential: Credential) -> tuple[str | None, str] | None:
    """Return issuer and algorithm, read before verification, to choose the verifier."""
    if _is_opaque(credential):
        return None
    try:
        token = read_compact(credential.value, padding=True)
        issuer = read_claims(token)[1].get("iss")
    except MalformedTokenError:
        return None
    algorithm = ALIASES.get(token.header.algorithm, token.header.algorithm)
    return (issuer, algorithm) if isinstance(issuer, str) else None
