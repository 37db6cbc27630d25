"""A set of keys of one issuer, and which of them a token must have been signed with."""

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
from authguard._core.options import check_list, type_of
from authguard._core.strict_json import JSONError, parse_object
from authguard.errors import ConfigurationError, InvalidSignatureError

_MOST_KEYS = 100
_KINDS = "a secret, PEM, JWK, JWKS, a path or a list of these"
_NO_LISTS = (bytearray, memoryview)

#: Where keys may be instead, with the spelling for each.
PLACES_OF_KEYS: Mapping[Place, str] = {
    "path": 'a path: Path("/run/secrets/jwt") reads a file',
    "URL": 'a URL: RemoteKeySet("https://…") fetches a key set, and JWTVerifier.from_issuer("https://…") '
    "finds that of an issuer",
}


class KeySet:
    """Keys by `kid`. A token names its key, or there is just one that it can mean (RFC 7515 6).

    Args:
        keys: the keys; HMAC secrets and public keys never together.

    Raises:
        ConfigurationError: for no keys, two keys that cannot be told apart, or a mixed set.
    """

    def __init__(self, keys: Iterable[VerificationKey]) -> None:
        self._keys = tuple(keys)
        if not 0 < len(self._keys) <= _MOST_KEYS:
            raise ConfigurationError(f"a key set holds 1 to {_MOST_KEYS} keys, not {len(self._keys)}")
        if len({key.algorithm in SYMMETRIC for key in self._keys}) > 1:
            raise ConfigurationError("secrets and public keys in one set: use one JWTVerifier for each")
        self._named: dict[str, VerificationKey] = {}
        self._unnamed: dict[str, VerificationKey] = {}
        for key in self._keys:
            if key.key_id is None:
                if key.algorithm in self._unnamed:
                    raise ConfigurationError(
                        f"several keys for {key.algorithm} without kid: give them as JWKs with a kid each, "
                        "so that a token can say which one it means"
                    )
                self._unnamed[key.algorithm] = key
            elif key.key_id in self._named:
                raise ConfigurationError(f"two keys with the kid {key.key_id!r}")
            else:
                self._named[key.key_id] = key
        counts: dict[str, list[VerificationKey]] = {}
        for key in self._keys:
            counts.setdefault(key.algorithm, []).append(key)
        self._only = {algorithm: found[0] for algorithm, found in counts.items() if len(found) == 1}

    def find(self, header: Header) -> VerificationKey | None:
        """The one key that the token can have been signed with, if we have it."""
        algorithm = ALIASES.get(header.algorithm, header.algorithm)
        if header.key_id is None:
            return self._only.get(algorithm)
        key = self._named.get(header.key_id) or self._unnamed.get(algorithm)
        return key if key is not None and key.algorithm == algorithm else None

    def has(self, key_id: str | None) -> bool:
        """Whether there is a key of this name, for whatever algorithm."""
        return key_id in self._named

    def verify(self, token: Token) -> VerificationKey:
        """The key that signed the token.

        Raises:
            InvalidSignatureError: if none of ours did.
        """
        key = self.find(token.header)
        if key is None:
            raise InvalidSignatureError("no key for the token's alg and kid")
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
    listed = check_list(algorithms, "algorithms")
    names = frozenset(ALIASES.get(name, name) for name in listed if isinstance(name, str))
    if others := [type_of(name) for name in listed if not isinstance(name, str)]:
        raise ConfigurationError(f"algorithms are names such as 'ES256', got {', '.join(others)}")
    if not names:
        raise ConfigurationError("algorithms is empty: name the one that your issuer signs with")
    if unknown := names - SYMMETRIC - ASYMMETRIC:
        raise ConfigurationError(
            f"unknown or unsafe algorithms: {', '.join(sorted(map(str, unknown)))}; "
            f"known are {', '.join(sorted(SYMMETRIC | ASYMMETRIC))}"
        )
    if names & SYMMETRIC and names & ASYMMETRIC:
        raise ConfigurationError(
            "HMAC and signature algorithms in one verifier let a public key pass for a secret: use one "
            "JWTVerifier for each"
        )
    return names


def parse_keys(source: object, algorithms: frozenset[str]) -> list[VerificationKey]:
    """Keys from a secret, PEM text, JWK, JWKS (mapping or JSON text), or a list of these.

    Raises:
        ConfigurationError: if it is none of these, or holds no usable key.
    """
    if isinstance(source, Mapping):
        return _from_mapping(source, algorithms)
    if isinstance(source, (str, bytes)):
        return _from_text(source, algorithms)
    if isinstance(source, Iterable) and not isinstance(source, _NO_LISTS) and not hasattr(source, "read"):
        return [key for one in source for key in parse_keys(one, algorithms)]
    raise ConfigurationError(f"keys: expected {_KINDS}, not {_described(source)}")


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
        raise ConfigurationError(f"keys: expected {_KINDS}, not empty text or an empty file")
    if "-----BEGIN" in text:
        return [from_pem(source, algorithms)]
    if text.lstrip().startswith("{") and not text.startswith("{{"):
        try:
            return _from_mapping(parse_object(text), algorithms)
        except JSONError as error:
            raise ConfigurationError(f"keys: text that starts like JSON, and is not: {error}") from error
    check_not_place(source, "keys", advice=PLACES_OF_KEYS)
    if not algorithms & SYMMETRIC:
        if text.startswith("ssh-"):
            raise ConfigurationError(
                "keys: a public key as SSH writes it: ssh-keygen -e -m pkcs8 -f FILE writes it as PEM"
            )
        raise ConfigurationError("keys: neither PEM nor JSON, and no HMAC algorithm to use a secret with")
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
            "a JWK set is an object whose keys are a list of objects (RFC 7517 section 5)"
        )
    types = {member.get("kty") == "oct" for member in members}
    if len(types) > 1:
        raise ConfigurationError("a key set with secrets and public keys in it: keep them apart")
    ids = [member["kid"] for member in members if "kid" in member]
    if len(ids) != len({str(one) for one in ids}):
        raise ConfigurationError("a key set with two keys of the same kid")
    keys: list[VerificationKey] = []
    reasons: list[str] = []
    for member in members:
        try:
            keys.append(from_jwk(member, algorithms))
        except UnusableKeyError as error:
            reasons.append(str(error))  # skipped, as RFC 7517 section 5 has it
    if not keys:
        raise ConfigurationError("no usable key in the set: " + ("; ".join(reasons) or "it is empty"))
    return keys
