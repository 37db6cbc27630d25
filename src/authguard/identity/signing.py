"""Signing keys: the secret itself for HS256, or a key set that rotates, encrypted at rest.

made ──► published ──► signs ──► published only ──► gone
at once       after     until the last token
10 min    it signed has expired
"""

import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from threading import Lock
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import Algorithm, get_default_algorithms
from sqlalchemy import Connection

from authguard._core.flow import Call, Flow
from authguard._core.jose import Token, read_compact
from authguard._core.model import Credential
from authguard._core.verifier import Verified, Verifier, as_flow
from authguard.errors import ConfigurationError, InvalidSignatureError
from authguard.identity import store
from authguard.identity.database import Database
from authguard.identity.derive import derive_key
from authguard.identity.settings import Settings
from authguard.verifiers.jwt import JWTVerifier

#: Seconds for which a new key is published before it signs: guards fetch key sets every 5 minutes.
PUBLISHED_AHEAD = 600
_RELOAD_SECONDS = 60
_LEEWAY = 300  # the most that a guard allows

_encode = json.JSONEncoder(separators=(",", ":")).encode

_MAKERS: dict[str, Callable[[], Any]] = {
    "RS256": lambda: rsa.generate_private_key(65537, 3072),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key to sign with.

    Attributes:
        kid: its name in the key set; None for the secret.
        algorithm: the one algorithm it is for.
        key: the private key, or the secret.
        public_jwk: its public part; None for the secret.
        signs_from: seconds since the epoch.
    """

    kid: str | None
    algorithm: str
    key: Any = field(repr=False)
    public_jwk: dict[str, Any] | None = None
    signs_from: float = 0.0
    _scheme: Algorithm = field(init=False, repr=False)
    _prepared: Any = field(init=False, repr=False)
    _header: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Once for each key, and not for each token, as `jwt.encode` would do it.
        scheme = get_default_algorithms()[self.algorithm]
        header = {"alg": self.algorithm, **({"kid": self.kid} if self.kid else {}), "typ": "JWT"}
        object.__setattr__(self, "_scheme", scheme)
        object.__setattr__(self, "_prepared", scheme.prepare_key(self.key))
        object.__setattr__(self, "_header", _part(header))

    def sign(self, claims: dict[str, Any]) -> str:
        """A JWT in compact form (RFC 7515 section 7.1)."""
        signed = self._header + b"." + _part(claims)
        signature = urlsafe_b64encode(self._scheme.sign(signed, self._prepared))
        return (signed + b"." + signature.rstrip(b"=")).decode()


def _part(document: dict[str, Any]) -> bytes:
    return urlsafe_b64encode(_encode(document).encode()).rstrip(b"=")


class SigningKeys:
    """The keys of the service; safe to use from several threads.

    Args:
        settings: which algorithm, and how long a key signs.
        database: where a key set is kept.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._fernet = Fernet(urlsafe_b64encode(derive_key(settings.secret, "signing keys")))
        self._lock = Lock()
        self._keys: tuple[SigningKey, ...] = ()
        self._loaded_at = 0.0
        if settings.algorithm == "HS256":
            self._keys = (SigningKey(None, "HS256", settings.secret),)

    @property
    def is_shared_secret(self) -> bool:
        """Whether tokens are signed with the secret: there is no key set then."""
        return self._settings.algorithm == "HS256"

    def current(self, now: float) -> SigningKey:
        """The key to sign with now; makes the first one, and the next one when it is time."""
        if self.is_shared_secret:
            return self._keys[0]
        newest = self._newest(now)
        if newest is None or now >= newest.signs_from + self._settings.signing_key_lifetime - PUBLISHED_AHEAD:
            self._add(now, lambda found: found[-1:] != ([newest] if newest else []))
        return [key for key in self._keys if key.signs_from <= now][-1]

    def _newest(self, now: float) -> SigningKey | None:
        if now >= self._loaded_at + _RELOAD_SECONDS:
            self.load(now)
        return self._keys[-1] if self._keys else None

    def rotate(self, now: float) -> None:
        """Make a new key. It signs in ten minutes; the first one, at once.

        Raises:
            ConfigurationError: for HS256, where the secret is the key.
        """
        self._add(now, lambda _: False)

    def _add(self, now: float, faster: Callable[[list[SigningKey]], bool]) -> None:
        """Make a new key, unless another process was faster."""
        if self.is_shared_secret:
            raise ConfigurationError("HS256 signs with the secret: there are no keys to rotate")
        made = self._make()  # before the transaction: RSA keys take a while
        with self._database.write() as connection:
            store.lock_signing_keys(connection)
            found = self._read(connection)
            if not faster(found):
                self._insert(connection, made, now + PUBLISHED_AHEAD if found else now)
            self._forget(connection, found, now)
        self.load(now)

    def _insert(self, connection: Connection, key: Any, signs_from: float) -> None:
        algorithm = self._settings.algorithm
        jwk: dict[str, Any] = get_default_algorithms()[algorithm].to_jwk(key.public_key(), as_dict=True)
        kid = secrets.token_urlsafe(12)
        jwk = {name: value for name, value in jwk.items() if name != "key_ops"}
        jwk |= {"kid": kid, "use": "sig", "alg": algorithm}
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        store.insert_signing_key(
            connection,
            kid=kid,
            algorithm=algorithm,
            public_jwk=json.dumps(jwk),
            encrypted_key=self._fernet.encrypt(pem).decode(),
            signs_from=signs_from,
        )

    def _forget(self, connection: Connection, found: list[SigningKey], now: float) -> None:
        """Forget keys whose successor has signed for longer than any of their tokens can be valid."""
        last = self._settings.access_lifetime + _LEEWAY
        gone = [
            key.kid for key, successor in pairwise(found) if key.kid and successor.signs_from + last < now
        ]
        store.delete_signing_keys(connection, gone)

    def _make(self) -> Any:
        return _MAKERS[self._settings.algorithm]()

    def load(self, now: float) -> None:
        """Read the key set again."""
        if self.is_shared_secret:
            return
        with self._database.read() as connection:
            keys = tuple(self._read(connection))
        with self._lock:
            self._keys, self._loaded_at = keys, now

    def _read(self, connection: Connection) -> list[SigningKey]:
        known = {key.kid: key for key in self._keys}
        return [
            known.get(row.kid)
            or SigningKey(
                row.kid,
                row.algorithm,
                self._decrypt(row.encrypted_key),
                json.loads(row.public_jwk),
                row.signs_from,
            )
            for row in store.list_signing_keys(connection, self._settings.algorithm)
        ]

    def _decrypt(self, encrypted: str) -> Any:
        try:
            return load_pem_private_key(self._fernet.decrypt(encrypted), None)
        except InvalidToken:
            raise ConfigurationError("secret: the signing keys were encrypted with another one") from None

    def public_keys(self, now: float) -> list[dict[str, Any]]:
        """The public key set (RFC 7517); empty for HS256."""
        if self.is_shared_secret:
            return []
        if self._newest(now) is None:
            self.current(now)
        return [key.public_jwk for key in self._keys if key.public_jwk]

    def reload(self, now: float) -> None:
        """Read the key set again because of a key that is not in it, at most once a second."""
        if now >= self._loaded_at + 1:
            self.load(now)

    def knows(self, kid: str | None) -> bool:
        """Whether a key of this name is at hand."""
        return any(key.kid == kid for key in self._keys)

    def source(self) -> tuple[SigningKey, ...]:
        """All keys at hand; the same object until they change."""
        return self._keys


class OwnTokens(Verifier):
    """Verifies the tokens of this service with its own keys, whichever process has made them.

    Args:
        settings: issuer and audience.
        keys: the keys.
    """

    def __init__(self, settings: Settings, keys: SigningKeys) -> None:
        self._settings = settings
        self._keys = keys
        self._built: tuple[tuple[SigningKey, ...], JWTVerifier | None] = ((), None)

    def accepts(self, credential: Credential) -> bool:
        """Whether it looks like a JWT."""
        return credential.method != "api_key" and credential.value.count(".") == 2

    def flow(self, credential: Credential, now: float) -> Flow[Verified] | Verified:
        """Verify with the key set at hand, read again if the key is not in it."""
        token = read_compact(credential.value)
        if self._keys.is_shared_secret or self._keys.knows(token.header.key_id):
            return self._verifier().verify(token, credential, now)
        return self._verify_anew(token, credential, now)

    def _verify_anew(self, token: Token, credential: Credential, now: float) -> Flow[Verified]:
        yield from Call(self._keys.reload, now)
        return (yield from as_flow(self._verifier().verify(token, credential, now)))

    def _verifier(self) -> JWTVerifier:
        keys, verifier = self._built
        if verifier is None or keys is not self._keys.source():
            keys = self._keys.source()
            verifier = self._build(keys)
            self._built = (keys, verifier)
        return verifier

    def _build(self, keys: tuple[SigningKey, ...]) -> JWTVerifier:
        jwks = [key.public_jwk for key in keys if key.public_jwk]
        if not self._keys.is_shared_secret and not jwks:
            raise InvalidSignatureError("nothing has been signed yet")
        return JWTVerifier(
            {"keys": jwks} if jwks else self._settings.secret,
            algorithms=[self._settings.algorithm],
            issuer=self._settings.issuer,
            audience=self._settings.token_audience,
            leeway=0,
            required_claims=("exp", "sub", "iat", "jti"),
            role_claims=("role",),
        )
