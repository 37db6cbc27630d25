"""Build the environment of the configurations: issuers, keys, users, logouts and stores, in this process."""

import base64
import secrets
import time
from collections.abc import Mapping
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from authguard import APIKey, MemoryRevocations, digest_api_key, in_memory
from authguard.stores import SQLiteStore
from authguard.stores.marks import Mark, make_mark
from authguard.testing import FakeIssuer
from benchmarks import tokens
from benchmarks.api_keys import Store as KeyTable
from benchmarks.tokens import SUBJECT
from benchmarks.traffic import Field, bearer

ORIGIN = "https://api.example"
KEYS = 100  # logouts in the identity store
LOGOUTS = 999  # logouts of others, in memory and in the shared store, because an empty store is not asked
Closable = TypeVar("Closable", bound=Any)
#: The application's own users, as a database would return them.
USERS = {SUBJECT: SimpleNamespace(id=42, subject=SUBJECT, is_authenticated=True, email="ada@example.com")}


def load(principal: Any) -> Any:
    """Return a user, as a plain `user_loader`."""
    return USERS.get(principal.subject)


@in_memory
def load_declared(principal: Any) -> Any:
    """Return a user, by a function that is declared not to block."""
    return USERS.get(principal.subject)


async def load_async(principal: Any) -> Any:
    """Return a user, by an `async` function, like a database driver that already has the row."""
    return USERS.get(principal.subject)


class PlainRevocations:
    """Check logouts by a plain function of the application."""

    def is_revoked(self, principal: Any) -> bool:
        return principal.subject not in USERS


class DeclaredRevocations:
    """Check logouts by a function that is declared not to block."""

    @in_memory
    def is_revoked(self, principal: Any) -> bool:
        return principal.subject not in USERS


class AsyncRevocations:
    """Check logouts by an `async` function."""

    async def is_revoked(self, principal: Any) -> bool:
        return principal.subject not in USERS


class World:
    """Hold the whole environment.

    Args:
        folder: the folder for files and databases.
    """

    def __init__(self, folder: Path) -> None:
        self.issuer = tokens.issuer("HS256")
        self.token, self.forged = self.issuer.token(), self.issuer.forged()
        self.remote = FakeIssuer()
        self.key, self.wrong_key = _key(), _key()
        self.keys: Mapping[str, APIKey] = {self.key: APIKey(SUBJECT, scopes=["read"], tier="free")}
        self.by_digest = {digest_api_key(key): of for key, of in self.keys.items()}
        self.key_file = folder / "keys.toml"
        self.key_file.write_text(f'["{digest_api_key(self.key)}"]\nsubject = "{SUBJECT}"\n# end\n')
        self._opened = ExitStack()
        self.key_table = self.kept(KeyTable(folder, KEYS))
        self.store = self.kept(SQLiteStore(folder / "revocations.db"))
        self.store.revocations.publish(_logouts())
        self._private = ec.generate_private_key(ec.SECP256R1())
        public: Any = ECAlgorithm.to_jwk(self._private.public_key(), as_dict=True)
        self._public = {name: public[name] for name in ("crv", "kty", "x", "y")}
        thumbprint = "".join(f'"{name}":"{self._public[name]}",' for name in sorted(self._public))[:-1]
        self.bound_token = self.issuer.token(cnf={"jkt": _base64url(sha256(b"{%s}" % thumbprint.encode()))})

    def look_up(self, digest: str) -> APIKey | None:
        """Return an API key, by a plain function."""
        return self.by_digest.get(digest)

    async def look_up_async(self, digest: str) -> APIKey | None:
        """Return an API key, by an `async` function."""
        return self.by_digest.get(digest)

    def bound(self, *, proof_of: str = "") -> list[Field]:
        """Return the fields of a request with a bound token, and a new proof of it."""
        claims = {
            "jti": secrets.token_hex(8), "htm": "GET", "htu": f"{ORIGIN}/p", "iat": int(time.time()),
            "ath": _base64url(sha256((proof_of or self.bound_token).encode())),
        }  # fmt: skip
        header = {"typ": "dpop+jwt", "jwk": self._public}
        proof = jwt.encode(claims, self._private, "ES256", header)
        return [("authorization", f"DPoP {self.bound_token}"), ("dpop", proof)]

    def memory(self) -> MemoryRevocations:
        """Return revocations in memory, with the same logouts as those of the store."""
        revocations = MemoryRevocations()
        for mark in _logouts():
            named = {f"{mark.kind}_id" if mark.kind == "token" else mark.kind: mark.name}
            revocations.revoke(**named, until=mark.until)
        return revocations

    def kept(self, opened: Closable) -> Closable:
        """Return an opened resource, and close it at the end."""
        self._opened.callback(opened.close)
        return opened

    def close(self) -> None:
        """Close files, databases and other opened resources, the last one first."""
        self._opened.close()


def opaque(issuer: FakeIssuer) -> tuple[list[Field], list[Field]]:
    """Return the fields of a valid opaque token, and of an invalid one."""
    return [bearer(issuer.issue_opaque(SUBJECT, expires_in=3600))], [bearer(secrets.token_urlsafe(32))]


def _logouts() -> list[Mark]:
    """Yield logouts of other users, of each kind that a look-up must check."""
    until = time.time() + 86_400
    return [
        make_mark(**{named: f"{named} {number}"}, until=until)
        for number in range(LOGOUTS // 3)
        for named in ("token_id", "session", "subject")
    ]


def _key() -> str:
    return "sk_live_" + secrets.token_urlsafe(32)


def _base64url(digest: Any) -> str:
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
