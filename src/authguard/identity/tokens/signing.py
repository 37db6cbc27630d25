"""Sign with the secret itself for HS256, or with a key set that rotates, encrypted at rest.

The previous secret, if it is still accepted, only verifies and decrypts.

made ──► published ──► signs ──► published only ──► gone
at once       after     until the last token
10 min    it signed has expired
"""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from threading import Lock
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import Algorithm, get_default_algorithms
from sqlalchemy import Connection

from authguard._core.encoding import encode_base64url
from authguard._core.options import MAX_LEEWAY
from authguard.errors import ConfigurationError
from authguard.identity.settings import Settings
from authguard.identity.storage import key_queries as key_store
from authguard.identity.storage.database import Database
from authguard.identity.storage.old_rows.lifetimes import find_longest_lifetime
from authguard.identity.tokens.derive import derive_fernet

#: Seconds for which a new key is published before it signs, because guards fetch key sets every 5 minutes.
PUBLISHED_AHEAD = 600
#: The greatest number of published keys. Guards accept at most 64, and their verifiers 100.
MAX_KEYS = 32
_RELOAD_SECONDS = 60
# `now` of overlapping requests may run backwards a little; more means that the clock was set back.
_JUMP = 5.0
_NEW_TYP = "at+jwt"  # RFC 9068 section 2.1

_encode = json.JSONEncoder(separators=(",", ":")).encode

_MAKERS: dict[str, Callable[[], Any]] = {
    "RS256": lambda: rsa.generate_private_key(65537, 3072),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """Hold a key to sign with.

    Attributes:
        kid: its name in the key set; None for an HMAC secret.
        algorithm: its only algorithm.
        key: the private key, or the secret.
        public_jwk: its public part; None for the secret.
        signs_from: seconds since the epoch.
        typ: the `typ` of the tokens that it signs.
    """

    kid: str | None
    algorithm: str
    key: Any = field(repr=False)
    public_jwk: dict[str, Any] | None = None
    signs_from: float = 0.0
    typ: str = "JWT"
    _scheme: Algorithm = field(init=False, repr=False)
    _prepared: Any = field(init=False, repr=False)
    _header: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Prepared once for each key; `jwt.encode` would prepare it for each token.
        scheme = get_default_algorithms()[self.algorithm]
        header = {"alg": self.algorithm, **({"kid": self.kid} if self.kid else {}), "typ": self.typ}
        object.__setattr__(self, "_scheme", scheme)
        object.__setattr__(self, "_prepared", scheme.prepare_key(self.key))
        object.__setattr__(self, "_header", _part(header))

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a JWT in compact form (RFC 7515 section 7.1)."""
        signed = f"{self._header}.{_part(claims)}"
        signature = self._scheme.sign(signed.encode(), self._prepared)
        return f"{signed}.{encode_base64url(signature)}"


def _part(document: dict[str, Any]) -> str:
    return encode_base64url(_encode(document).encode())


def _has_room(stored: list[SigningKey]) -> bool:
    """Return False, so that another key is created.

    Raises:
        ConfigurationError: if guards might not accept the larger key set.
    """
    if len(stored) >= MAX_KEYS:
        raise ConfigurationError(
            f"signing keys must be at most {MAX_KEYS}, since guards take no larger sets, got as many: rotate "
            "again when tokens of the older ones have expired"
        )
    return False


def _opens(fernet: Fernet, encrypted: str) -> bool:
    try:
        fernet.decrypt(encrypted)
    except InvalidToken:
        return False
    return True


class SigningKeys:
    """Keep the keys of the service; thread-safe.

    Args:
        settings: the algorithm, and the period for which a key signs.
        database: stores the key set.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        fernets = [derive_fernet(secret, "signing keys") for secret in settings.secrets]
        self._previous_fernets = fernets[1:]
        self._fernet = MultiFernet(fernets)  # the first one encrypts, all of them decrypt
        self._lock = Lock()
        self._keys: tuple[SigningKey, ...] = ()
        self._loaded_at = 0.0
        if settings.algorithm == "HS256":
            typ = settings.access_token_typ or "JWT"
            self._keys = (SigningKey(None, "HS256", settings.secret, typ=typ),)

    @property
    def is_shared_secret(self) -> bool:
        """Return whether tokens are signed with the secret, so that no key set exists."""
        return self._settings.algorithm == "HS256"

    def current(self, now: float) -> SigningKey:
        """Return the current signing key; create the first one, and the next one when it is due."""
        if self.is_shared_secret:
            return self._keys[0]
        newest = self._newest(now)
        if newest is None or now >= newest.signs_from + self._settings.signing_key_lifetime - PUBLISHED_AHEAD:
            self._add(now, lambda stored: stored[-1:] != ([newest] if newest else []))
        keys = self._keys
        # The first key also signs before its time: another thread or machine, whose clock is ahead, has
        # created it.
        return next((key for key in reversed(keys) if key.signs_from <= now), keys[0])

    def _newest(self, now: float) -> SigningKey | None:
        if self._is_older_than(_RELOAD_SECONDS, now):
            self.load(now)
        return self._keys[-1] if self._keys else None

    def rotate(self, now: float) -> None:
        """Create a new key. It signs in ten minutes; the first one signs at once.

        Raises:
            ConfigurationError: for HS256, where the secret is the key; or if the set has too many keys.
        """
        self._add(now, _has_room)

    def _add(self, now: float, is_done: Callable[[list[SigningKey]], bool]) -> None:
        """Create a new key, unless another process has done so, as `is_done` tells."""
        if self.is_shared_secret:
            raise ConfigurationError(
                "algorithm must be RS256, ES256 or EdDSA to have keys to rotate, got HS256, which signs with "
                "the secret"
            )
        new_key = self._make()  # created before the transaction, because creating an RSA key takes long
        with self._database.write() as connection:
            key_store.lock_signing_keys(connection)
            stored = self._forget(connection, self._read(connection), now)
            if not is_done(stored):
                self._insert(connection, new_key, now + PUBLISHED_AHEAD if stored else now)
        self.load(now)

    def delete(self, now: float) -> int:
        """Delete all keys, so that tokens that they signed are refused, and return their number.

        The keys may be encrypted with another secret.
        """
        with self._database.write() as connection:
            key_store.lock_signing_keys(connection)
            kids = [kid for kid, _ in key_store.list_encrypted_keys(connection)]
            key_store.delete_signing_keys(connection, kids)
        if not self.is_shared_secret:
            self.load(now)
        return len(kids)

    def _insert(self, connection: Connection, key: Any, signs_from: float) -> None:
        algorithm = self._settings.algorithm
        # An installation without keys is new, so no application relies on the type of its tokens yet.
        typ = self._settings.access_token_typ or key_store.find_newest_typ(connection) or _NEW_TYP
        jwk: dict[str, Any] = get_default_algorithms()[algorithm].to_jwk(key.public_key(), as_dict=True)
        kid = secrets.token_urlsafe(12)
        jwk = {name: value for name, value in jwk.items() if name != "key_ops"}
        jwk |= {"kid": kid, "use": "sig", "alg": algorithm}
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        key_store.insert_signing_key(
            connection,
            kid=kid,
            algorithm=algorithm,
            public_jwk=json.dumps(jwk),
            encrypted_key=self._fernet.encrypt(pem).decode(),
            signs_from=signs_from,
            typ=typ,
        )

    def _forget(self, connection: Connection, stored: list[SigningKey], now: float) -> list[SigningKey]:
        """Delete keys whose tokens have all expired, because a newer key has signed for long enough.

        Return the others.
        """
        last = find_longest_lifetime(connection, self._settings.access_lifetime, now) + MAX_LEEWAY
        expired = [
            key.kid for key, successor in pairwise(stored) if key.kid and successor.signs_from + last < now
        ]
        key_store.delete_signing_keys(connection, expired)
        return [key for key in stored if key.kid not in expired]

    def _make(self) -> Any:
        return _MAKERS[self._settings.algorithm]()

    def load(self, now: float) -> None:
        """Read the key set again."""
        if self.is_shared_secret:
            return
        for fernet in self._previous_fernets:
            self._reencrypt(fernet)
        with self._database.read() as connection:
            keys = tuple(self._read(connection))
        with self._lock:
            self._keys, self._loaded_at = keys, now

    def _read(self, connection: Connection) -> list[SigningKey]:
        loaded = {key.kid: key for key in self._keys}
        return [
            loaded.get(row.kid)
            or SigningKey(
                row.kid,
                row.algorithm,
                self._decrypt(row.encrypted_key),
                json.loads(row.public_jwk),
                row.signs_from,
                self._settings.access_token_typ or row.typ,
            )
            for row in key_store.list_signing_keys(connection, self._settings.algorithm)
        ]

    def _reencrypt(self, previous: Fernet) -> None:
        """Encrypt keys again that the previous secret has encrypted, so that it can be removed."""
        with self._database.read() as connection:
            encrypted = key_store.list_encrypted_keys(connection)
        for kid, key in encrypted:
            if _opens(previous, key):
                with self._database.write() as connection:
                    key_store.update_signing_key(connection, kid, self._fernet.rotate(key).decode())

    def _decrypt(self, encrypted: str) -> Any:
        try:
            return load_pem_private_key(self._fernet.decrypt(encrypted), None)
        except InvalidToken:
            raise ConfigurationError(
                "secret must be the one that the signing keys were encrypted with, got another: give that "
                "one as previous_secret, or, to end all sessions, run `authguard keys delete`"
            ) from None

    def public_keys(self, now: float) -> list[dict[str, Any]]:
        """Return the public key set (RFC 7517); empty for HS256."""
        if self.is_shared_secret:
            return []
        if self._newest(now) is None:
            self.current(now)
        return [key.public_jwk for key in self._keys if key.public_jwk]

    def reload(self, now: float) -> None:
        """Read the key set again because a key is not in it, at most once a second."""
        if self._is_older_than(1, now):
            self.load(now)

    def _is_older_than(self, seconds: float, now: float) -> bool:
        """Return whether the keys were read longer ago, or the clock was set back."""
        return not self._loaded_at - _JUMP <= now < self._loaded_at + seconds

    def knows(self, kid: str | None) -> bool:
        """Return whether a key of this name is loaded."""
        return any(key.kid == kid for key in self._keys)

    def source(self) -> tuple[SigningKey, ...]:
        """Return all loaded keys; the same object until they change."""
        return self._keys
