"""Hold the keys of one issuer, and find the one that a token must have been signed with."""

from collections.abc import Iterable, Mapping
from typing import Any

from authguard._core.jose.compact import Header, Token
from authguard._core.jose.jwk import (
    ALIASES,
    ASYMMETRIC,
    SYMMETRIC,
    UnusableKeyError,
    VerificationKey,
    from_jwk,
    from_pem,
    from_secret,
)
from authguard._core.jose.secret import Place, check_not_place
from authguard._core.options import check_text_list
from authguard._core.strict_json import JSONError, parse_object
from authguard.errors import Cause, ConfigurationError, InvalidSignatureError

_MAX_KEYS = 100
_KINDS = "a secret, PEM, JWK, JWKS, a path or a list of these"
_NO_LISTS = (bytearray, memoryview)

#: Where keys may be instead, with the spelling for each.
PLACES_OF_KEYS: Mapping[Place, str] = {
    "path": 'a path: Path("/run/secrets/jwt") reads a file',
    "URL": 'a URL: RemoteKeySet("https://…") fetches a key set, and JWTVerifier.from_issuer("https://…") '
    "finds that of an issuer",
}


class KeySet:
    """Hold keys by `kid`. A token names its key, or there is just one that it can mean (RFC 7515 6).

    Args:
        keys: the keys; HMAC secrets and public keys never together.

    Raises:
        ConfigurationError: for no keys, two keys that cannot be told apart, or a mixed set.
    """

    def __init__(self, keys: Iterable[VerificationKey]) -> None:
        self._keys = tuple(keys)
        if not 0 < len(self._keys) <= _MAX_KEYS:
            raise ConfigurationError(f"keys must hold between 1 and {_MAX_KEYS} keys, got {len(self._keys)}")
        if len({key.algorithm in SYMMETRIC for key in self._keys}) > 1:
            raise ConfigurationError(
                "keys must be secrets or public keys, got both: use one JWTVerifier for each"
            )
        self._named: dict[str, VerificationKey] = {}
        self._unnamed: dict[str, VerificationKey] = {}
        for key in self._keys:
            if key.key_id is None:
                if key.algorithm in self._unnamed:
                    raise ConfigurationError(
                        f"keys must have a kid each, got several for {key.algorithm} without kid: give them "
                        "as JWKs, so that a token can say which one it means"
                    )
                self._unnamed[key.algorithm] = key
            elif key.key_id in self._named:
                raise ConfigurationError(f"each key must have a kid of its own, got {key.key_id!r} twice")
            else:
                self._named[key.key_id] = key
        counts: dict[str, list[VerificationKey]] = {}
        for key in self._keys:
            counts.setdefault(key.algorithm, []).append(key)
        self._only = {algorithm: keys[0] for algorithm, keys in counts.items() if len(keys) == 1}

    def find(self, header: Header) -> VerificationKey | None:
        """Return the one key that the token can have been signed with, if we have it."""
        algorithm = ALIASES.get(header.algorithm, header.algorithm)
        if header.key_id is None:
            return self._only.get(algorithm)
        key = self._named.get(header.key_id) or self._unnamed.get(algorithm)
        return key if key is not None and key.algorithm == algorithm else None

    def has(self, key_id: str | None) -> bool:
        """Return whether there is a key of this name, for whatever algorithm."""
        return key_id in self._named

    def verify(self, token: Token) -> VerificationKey:
        """Return the key that signed the token.

        Raises:
            InvalidSignatureError: if none of ours did.
        """
        key = self.find(token.header)
        if key is None:
            raise InvalidSignatureError("no key for the token's alg and kid", cause=Cause.UNKNOWN_KEY)
        if not key.verifies(token.signed, token.signature):
            raise InvalidSignatureError("the signature does not verify")
        return key

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"KeySet({', '.join(f'{key.algorithm} {key.key_id}' for key in self._keys)})"


def check_algorithms(algorithms: Iterable[str]) -> frozenset[str]:
    """Check an allow list of algorithms (RFC 8725 section 3.1).

    Raises:
        ConfigurationError: if it is empty, unknown, `none`, or mixes HMAC with signatures.
    """
    listed = check_text_list(algorithms, "algorithms", '"ES256"')
    names = frozenset(ALIASES.get(name, name) for name in listed)
    if not names:
        raise ConfigurationError(
            "algorithms must name the one that your issuer signs with, got an empty list"
        )
    if unknown := names - SYMMETRIC - ASYMMETRIC:
        raise ConfigurationError(
            f"algorithms must be among {', '.join(sorted(SYMMETRIC | ASYMMETRIC))}, got unknown or unsafe "
            f"{', '.join(map(repr, sorted(unknown)))}"
        )
    if names & SYMMETRIC and names & ASYMMETRIC:
        raise ConfigurationError(
            f"algorithms must be HMAC or signature algorithms, got both in {', '.join(sorted(names))}: a "
            "public "
            "key would pass for a secret; use one JWTVerifier for each"
        )
    return names


def parse_keys(source: object, algorithms: frozenset[str]) -> list[VerificationKey]:
    """Read keys from a secret, PEM text, JWK, JWKS (mapping or JSON text), or a list of these.

    Raises:
        ConfigurationError: if it is none of these, or holds no usable key.
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
    return type(source).__name__


def _from_text(source: str | bytes, algorithms: frozenset[str]) -> list[VerificationKey]:
    if isinstance(source, bytes) and algorithms & SYMMETRIC and not _is_text(source):
        return [from_secret(source, algorithms, "keys")]
    text = source if isinstance(source, str) else source.decode("latin-1")
    if not text.strip():
        raise ConfigurationError(f"keys must be {_KINDS}, got empty text or an empty file")
    if "-----BEGIN" in text:
        return [from_pem(source, algorithms)]
    if text.lstrip().startswith("{") and not text.startswith("{{"):
        try:
            return _from_mapping(parse_object(text), algorithms)
        except JSONError as error:
            raise ConfigurationError(
                f"keys must be JSON where they start like it, got text that is not: {error}"
            ) from error
    check_not_place(source, "keys", advice=PLACES_OF_KEYS)
    if not algorithms & SYMMETRIC:
        if text.startswith("ssh-"):
            raise ConfigurationError(
                "keys must be PEM or JWK, got a public key as SSH writes it: ssh-keygen -e -m pkcs8 -f FILE "
                "writes it as PEM"
            )
        raise ConfigurationError(
            "keys must be PEM or JSON where algorithms names no HMAC algorithm, got text that is neither"
        )
    return [from_secret(source, algorithms, "keys")]


def _is_text(source: bytes) -> bool:
    """Return whether bytes are text; a random secret may begin like JSON, and is none."""
    try:
        source.decode()
    except UnicodeDecodeError:
        return False
    return True


def _from_mapping(source: Mapping[str, Any], algorithms: frozenset[str]) -> list[VerificationKey]:
    if "keys" not in source:
        return [from_jwk(source, algorithms)]
    members = source["keys"]
    if not isinstance(members, list) or not all(isinstance(member, Mapping) for member in members):
        raise ConfigurationError(
            "keys of a JWK set must be a list of objects (RFC 7517 section 5), got something else"
        )
    types = {member.get("kty") == "oct" for member in members}
    if len(types) > 1:
        raise ConfigurationError("a JWK set must hold secrets or public keys, got both: keep them apart")
    ids = [member["kid"] for member in members if "kid" in member]
    if len(ids) != len({str(key_id) for key_id in ids}):
        raise ConfigurationError("each key of a JWK set must have a kid of its own, got one twice")
    keys: list[VerificationKey] = []
    reasons: list[str] = []
    for member in members:
        try:
            keys.append(from_jwk(member, algorithms))
        except UnusableKeyError as error:
            reasons.append(str(error))  # skipped, as RFC 7517 section 5 has it
    if not keys:
        raise ConfigurationError(
            f"a JWK set must hold a key for the algorithms, got none: {'; '.join(reasons) or 'it is empty'}"
        )
    return keys
