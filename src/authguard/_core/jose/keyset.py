"""Store the keys of one issuer, and find the one that a token must have been signed with."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from authguard._core.jose.compact import Header, Token
from authguard._core.jose.documents import (
    MAX_TRIED,
    Document,
    distinct,
    group_by_name,
    is_pem_map,
    read_document,
)
from authguard._core.jose.jwk import (
    ALIASES,
    ASYMMETRIC,
    SYMMETRIC,
    UnusableKeyError,
    VerificationKey,
    from_secret,
    secret_bytes,
)
from authguard._core.jose.secret import ODD, Place, check_not_place, check_unwrapped
from authguard._core.options import check_text_list, got, unwrapped
from authguard._core.strict_json import JSONError, parse_object
from authguard.errors import Cause, ConfigurationError, InvalidSignatureError

_MAX_SHOWN = 16  # characters of the name of an algorithm in an error
_MAX_KEYS = 100
_KINDS = "a secret, PEM, JWK, JWKS, a path or a list of these"
_BYTE_ORDER_MARK = "\ufeff"
_LIST_ADVICE = 'write {"keys": […]} around it (RFC 7517 section 5)'
_JWK_MEMBERS = frozenset({"keys", "kty", "kid", "alg", "use", "k", "n", "e", "x", "crv"})
_NO_LISTS = (bytearray, memoryview)
# A secret may also begin with a brace. JSON, the text of a dict, and an incomplete form of them are
# recognised by a name or white space after the brace, the closing brace, or the member that every key has.
_NAME = r"[\w$@:/.-]*"
_LIKE_JSON = re.compile(
    rf"\s*\{{(?:([\"']){_NAME}\1(?:[\s:,}}]|\Z)|\"{_NAME}\Z|(?:[a-z]{{2,}}|[A-Z]{{2,}}):.*\}}\Z"
    rf"|[^{ODD}]*\}}[^{ODD}]*\Z|.*\s|.*kty[\"']?:|.{{256}})",
    re.DOTALL,
)

#: The other sources of keys, with the option for each.
PLACES_OF_KEYS: Mapping[Place, str] = {
    "path": 'a path: Path("/run/secrets/jwt") reads a file',
    "URL": 'a URL: RemoteKeySet("https://…") fetches a key set, and JWTVerifier.from_issuer("https://…") '
    "finds that of an issuer",
}


class KeySet:
    """Store keys by `kid` and algorithm. A token names its key, or is tried with a few (RFC 7515 section 6).

    Args:
        keys: the keys; HMAC secrets and public keys never together. A key that is given twice counts once.
        tries_named: whether a token without `kid` is tried with the keys that have one, if the set has
            several.

    Raises:
        ConfigurationError: if the list is empty, keys cannot be distinguished, too many would be tried, or
            the set is mixed.
    """

    def __init__(self, keys: Iterable[VerificationKey], *, tries_named: bool = False) -> None:
        given = tuple(keys)
        if not 0 < len(given) <= _MAX_KEYS:
            raise ConfigurationError(f"keys must hold between 1 and {_MAX_KEYS} keys, got {len(given)}")
        self._keys = tuple(distinct(given))
        if len({key.algorithm in SYMMETRIC for key in self._keys}) > 1:
            raise ConfigurationError(
                "keys must be secrets or public keys, got both: use one JWTVerifier for each"
            )
        self._named: dict[tuple[str, str], tuple[VerificationKey, ...]] = {}
        self._unnamed: dict[str, tuple[VerificationKey, ...]] = {}
        for (key_id, algorithm), group in group_by_name(self._keys).items():
            if key_id is None:
                self._unnamed[algorithm] = _few(group)
            elif len(group) > 1:
                raise ConfigurationError(
                    f"each key must have a kid of its own, got {key_id!r} twice for {algorithm}"
                )
            else:
                self._named[key_id, algorithm] = (group[0],)
        #: Whether any key has an issuer of its own, with which the issuer of a token must be compared.
        self.has_issuers = any(key.issuer is not None for key in self._keys)
        self._key_ids = frozenset(key.key_id for key in self._keys)
        self._for_nameless = {
            algorithm: self._meant_without_kid(algorithm, tries_named=tries_named)
            for algorithm in {key.algorithm for key in self._keys}
        }

    def _meant_without_kid(self, algorithm: str, *, tries_named: bool) -> tuple[VerificationKey, ...]:
        """Return the keys for a token that names no key (RFC 7515 section 6)."""
        of_algorithm = [key for key in self._keys if key.algorithm == algorithm]
        if tries_named or len(of_algorithm) == 1:
            # If some keys have no kid, the token is tried with these alone.
            return tuple(sorted(of_algorithm, key=lambda key: key.key_id is not None)[:MAX_TRIED])
        return self._unnamed.get(algorithm, ())

    def candidates(self, header: Header) -> tuple[VerificationKey, ...]:
        """Return the keys that may have signed the token: the key that it names, or a few."""
        algorithm = ALIASES.get(header.algorithm, header.algorithm)
        key_id = header.key_id
        if key_id is None:
            return self._for_nameless.get(algorithm, ())
        named = self._named.get((key_id, algorithm))
        if named is not None:
            return named
        return () if key_id in self._key_ids else self._unnamed.get(algorithm, ())

    def find(self, header: Header) -> VerificationKey | None:
        """Return the only key that may have signed the token; None if no key or several may have."""
        candidates = self.candidates(header)
        return candidates[0] if len(candidates) == 1 else None

    def has(self, key_id: str | None) -> bool:
        """Return whether the set has a key of this name, for any algorithm."""
        return key_id is not None and key_id in self._key_ids

    def verify(self, token: Token) -> VerificationKey:
        """Return the key that signed the token.

        Raises:
            InvalidSignatureError: if no known key did.
        """
        candidates = self.candidates(token.header)
        # Nearly always exactly one key fits; this branch saves a call for each first-seen token.
        if len(candidates) == 1 and candidates[0].verifies(token.signed, token.signature):
            return candidates[0]
        if not candidates:
            raise InvalidSignatureError("no key for the token's alg and kid", cause=Cause.UNKNOWN_KEY)
        key = signer_of(token, candidates) if len(candidates) > 1 else None
        if key is None:
            raise InvalidSignatureError("the signature does not verify")
        return key

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"KeySet({', '.join(f'{key.algorithm} {key.key_id}' for key in self._keys)})"


def signer_of(token: Token, candidates: tuple[VerificationKey, ...]) -> VerificationKey | None:
    """Return the key that signed the token, if it is one of these.

    All secrets are tried, even after one matches, so that the time does not disclose which one matched.
    Public keys are not secret, so the first match ends the search.
    """
    if len(candidates) == 1:
        key = candidates[0]
        return key if key.verifies(token.signed, token.signature) else None
    fitting = (key for key in candidates if key.verifies(token.signed, token.signature))
    if candidates and candidates[0].algorithm in SYMMETRIC:
        return next(iter(list(fitting)), None)
    return next(fitting, None)


def _few(group: list[VerificationKey]) -> tuple[VerificationKey, ...]:
    if len(group) > MAX_TRIED:
        raise ConfigurationError(
            f"keys must hold at most {MAX_TRIED} keys for {group[0].algorithm} without kid, got "
            f"{len(group)}: each token would be tried with all of them; leave out the oldest, or give them "
            "as JWKs with a kid"
        )
    return tuple(group)


def check_algorithms(algorithms: Iterable[str], option: str = "algorithms") -> frozenset[str]:
    """Check an allow list of algorithms (RFC 8725 section 3.1).

    Args:
        algorithms: their names.
        option: the name of the option.

    Raises:
        ConfigurationError: if it is empty, unknown, `none`, or mixes HMAC with signatures.
    """
    known = SYMMETRIC | ASYMMETRIC
    is_long = isinstance(algorithms, str) and len(algorithms) > _MAX_SHOWN
    if is_long and not any(name in algorithms for name in known):
        raise ConfigurationError(f'{option} must be a list, got longer text: write {option}=["ES256"]')
    listed = check_text_list(algorithms, option, '"ES256"')
    names = frozenset(ALIASES.get(name, name) for name in listed)
    if not names:
        raise ConfigurationError(f"{option} must name the one that your issuer signs with, got an empty list")
    if unknown := names - known:
        by_fold = {name.lower(): name for name in known}
        # Longer text may be the secret, given as the wrong argument.
        shown = [repr(name) if len(name) <= _MAX_SHOWN else "longer text" for name in sorted(unknown)]
        meant = [repr(by_fold[name.lower()]) for name in sorted(unknown) if name.lower() in by_fold]
        raise ConfigurationError(
            f"{option} must be among {', '.join(sorted(known))}, got unknown or unsafe {', '.join(shown)}"
            f"{': write ' if meant else ''}{', '.join(meant)}"
        )
    if names & SYMMETRIC and names & ASYMMETRIC:
        raise ConfigurationError(
            f"{option} must be HMAC or signature algorithms, got both in {', '.join(sorted(names))}: a "
            "public key would pass for a secret; use one JWTVerifier for each"
        )
    return names


def parse_keys(source: object, algorithms: frozenset[str]) -> list[VerificationKey]:
    """Read keys from a secret, PEM text, JWK, JWKS (mapping or JSON text), or a list of these.

    A mapping may also be of `kid` to PEM, or of `kid` to an HMAC secret.

    Raises:
        ConfigurationError: if it has another form, or contains no usable key.
    """
    if isinstance(source, Mapping):
        return _from_mapping(source, algorithms)
    if isinstance(source, (str, bytes)):
        return _from_text(source, algorithms)
    if isinstance(source, Iterable) and not isinstance(source, _NO_LISTS) and not hasattr(source, "read"):
        return [key for item in source for key in parse_keys(item, algorithms)]
    raise ConfigurationError(f"keys must be {_KINDS}, got {_described(source)}")


def _described(source: object) -> str:
    if source is None:
        return "None: is the variable set that it is read from?"
    if hasattr(source, "read"):
        return 'an open file: give its path, such as Path("keys.pem"), or what read() returns'
    return f"{type(source).__name__}{unwrapped(source)}"


def _from_text(source: str | bytes, algorithms: frozenset[str]) -> list[VerificationKey]:
    if isinstance(source, bytes) and algorithms & SYMMETRIC and not _is_text(source):
        return [from_secret(source, algorithms, "keys")]
    text = source if isinstance(source, str) else _decoded(source)
    text = text.removeprefix(_BYTE_ORDER_MARK)  # a secret with it is refused below
    if not text.strip():
        raise ConfigurationError(f"keys must be {_KINDS}, got empty text or an empty file")
    begins_like_json = text.lstrip().startswith("{") and not text.startswith("{{")
    if begins_like_json and (is_like_json(text) or not algorithms & SYMMETRIC):
        try:
            return _from_document(parse_object(text), algorithms)
        except JSONError as error:
            raise ConfigurationError(
                f"keys must be JSON where they start like it, got text that is not: {error}"
            ) from error
    if "-----BEGIN" in text:
        return _from_document(text, algorithms)
    check_not_place(source, "keys", advice=PLACES_OF_KEYS)
    if not algorithms & SYMMETRIC:
        if text.startswith("ssh-"):
            raise ConfigurationError(
                "keys must be PEM or JWK, got a public key as SSH writes it: ssh-keygen -e -m pkcs8 -f FILE "
                "writes it as PEM"
            )
        if text.lstrip().startswith("["):
            raise ConfigurationError(f"keys must be a JWK set, got a list in JSON: {_LIST_ADVICE}")
        if isinstance(source, bytes) and source.startswith(b"\x30"):
            raise ConfigurationError(
                "keys must be PEM, got DER, its binary form: openssl pkey -pubin -inform DER -in FILE writes "
                "a public key as PEM, and openssl x509 -inform DER -in FILE a certificate"
            )
        raise ConfigurationError(
            "keys must be PEM or JSON where algorithms names no HMAC algorithm, got text that is neither"
        )
    return [_secret_of(source, algorithms)]


def is_like_json(text: str) -> bool:
    """Return whether text is JSON or almost JSON, rather than a secret that begins with a brace."""
    return _LIKE_JSON.match(text) is not None


def _is_text(source: bytes) -> bool:
    """Return whether bytes are text; a random secret may begin like JSON, but is not text."""
    try:
        source.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decoded(source: bytes) -> str:
    return source.decode("utf-8" if _is_text(source) else "latin-1")


def _from_mapping(source: Mapping[str, Any], algorithms: frozenset[str]) -> list[VerificationKey]:
    """Return the keys of a document, or of a mapping of `kid` to HMAC secrets."""
    is_document = is_pem_map(source) or not _JWK_MEMBERS.isdisjoint(source)
    are_texts = bool(source) and all(isinstance(value, (str, bytes)) for value in source.values())
    if is_document or not are_texts or not algorithms & SYMMETRIC:
        return _from_document(source, algorithms)
    return [
        replace(_from_one_secret(secret, algorithms), key_id=_checked_kid(key_id))
        for key_id, secret in source.items()
    ]


def _checked_kid(key_id: object) -> str:
    if isinstance(key_id, str) and key_id:
        return key_id
    raise ConfigurationError(f"each kid of keys must be text that is not empty, got {got(key_id)}")


def _from_one_secret(secret: str | bytes, algorithms: frozenset[str]) -> VerificationKey:
    check_not_place(secret, "keys", advice=PLACES_OF_KEYS)
    return _secret_of(secret, algorithms)


def _secret_of(source: str | bytes, algorithms: frozenset[str]) -> VerificationKey:
    secret_bytes(source, "keys")  # first, because a public key may have several lines
    check_unwrapped(source, "keys")
    return from_secret(source, algorithms, "keys")


def _check_form(document: Mapping[str, Any]) -> None:
    """Refuse a mapping of `kid` to JWK or other text, whose error would be about a key without `kty`."""
    values = list(document.values())
    if not values or is_pem_map(document) or not _JWK_MEMBERS.isdisjoint(document):
        return
    if all(isinstance(value, Mapping) and "kty" in value for value in values):
        raise ConfigurationError(
            "keys must be a JWK set, got a mapping of kid to JWK: write "
            '{"keys": [{**jwk, "kid": kid} for kid, jwk in keys.items()]}'
        )
    if all(isinstance(value, (str, bytes)) for value in values):
        raise ConfigurationError(
            "keys must be a JWK, a JWK set, or a mapping of kid to PEM, got a mapping to other text: secrets "
            'are for HMAC algorithms, as in JWTVerifier({"2026": secret}, algorithms=["HS256"], …)'
        )


def _from_document(source: Document, algorithms: frozenset[str]) -> list[VerificationKey]:
    """Return the keys of a local document; no key is skipped because of the verifier's own options."""
    if not isinstance(source, str):
        _check_form(source)
    reading = read_document(source, algorithms)
    is_one_key = isinstance(source, str) or ("keys" not in source and len(reading.skipped) == 1)
    members = [] if isinstance(source, str) or "keys" not in source else source["keys"]
    is_oct = {member.get("kty") == "oct" for member in members if isinstance(member, Mapping)}
    # Among public keys, secrets are skipped like other keys that no algorithm is for, as in a fetched set.
    if len(is_oct) > 1 and algorithms & SYMMETRIC:
        raise ConfigurationError("a JWK set must hold secrets or public keys, got both: keep them apart")
    for error in reading.skipped:
        if not isinstance(error, UnusableKeyError) or (is_one_key and not reading.keys):
            raise error
    if reading.ambiguous:
        raise ConfigurationError(
            f"each key of a JWK set must have a kid of its own, got {reading.ambiguous[0][0]!r} twice"
        )
    if not reading.keys:
        raise ConfigurationError(
            f"a JWK set must hold a key for the algorithms, got none: {reading.reasons or 'it is empty'}"
        )
    return reading.keys
