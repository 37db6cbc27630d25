"""Issue the two kinds of tokens: access tokens are JWTs, refresh tokens are opaque.

A refresh token contains its session and its generation, authenticated by an HMAC with a key that only this
session has. So the database has one row for each session, and stores no token. A checksum distinguishes a
random text from a token without a query. The design is that of Supabase (version 2).

    rt_ base64url( version 1 | session 16 | generation 8 | HMAC 16 | checksum 4 )
"""

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_hex
from typing import Any
from uuid import UUID

from authguard.identity.model import KeyClient, Session, User
from authguard.identity.settings import Settings
from authguard.identity.tokens.derive import derive_key
from authguard.identity.tokens.signing import SigningKeys

_PREFIX = "rt_"
_VERSION = b"\x02"
_LENGTH = 1 + 16 + 8 + 16 + 4
_CHARACTERS = len(_PREFIX) + _LENGTH * 4 // 3


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """Hold the content of a refresh token.

    Attributes:
        session_id: the session it refreshes.
        generation: its number among the session's refresh tokens.
    """

    session_id: str
    generation: int


class RefreshTokens:
    """Make and read refresh tokens.

    Args:
        settings: the secret.
    """

    def __init__(self, settings: Settings) -> None:
        self._keys = [derive_key(secret, "refresh tokens") for secret in settings.secrets]

    def issue(self, session_id: str, generation: int) -> str:
        """Return the refresh token of a session and generation: always the same one."""
        return _token(self._keys[0], UUID(session_id).bytes + generation.to_bytes(8))

    def parse(self, text: str) -> RefreshToken | None:
        """Read a refresh token, without a query; return None if this service has not issued it."""
        if len(text) != _CHARACTERS or not text.isascii() or not text.startswith(_PREFIX):
            return None
        try:
            data = urlsafe_b64decode(text.removeprefix(_PREFIX))
        except (binascii.Error, ValueError):
            return None
        if len(data) != _LENGTH or data[:1] != _VERSION or data[-4:] != _checksum(data[:-4]):
            return None
        # The texts are compared, so that a token has only one spelling.
        if not any(hmac.compare_digest(_token(key, data[1:25]), text) for key in self._keys):
            return None
        return RefreshToken(str(UUID(bytes=data[1:17])), int.from_bytes(data[17:25]))


def _token(key: bytes, session_and_generation: bytes) -> str:
    body = _VERSION + session_and_generation
    session_key = hmac.digest(key, body[1:17], "sha256")
    body += hmac.digest(session_key, body, "sha256")[:16]
    return _PREFIX + urlsafe_b64encode(body + _checksum(body)).decode()


def _checksum(body: bytes) -> bytes:
    return sha256(body).digest()[:4]


def right_claims(user: User) -> dict[str, Any]:
    """Return the claims about the rights of an account.

    Guards read `roles` and `scope` by default; `role` contains only the first role, for other programs.
    """
    scope: dict[str, Any] = {"scope": " ".join(user.scopes)} if user.scopes else {}
    return {"role": user.role, "roles": list(user.roles), **scope}


class AccessTokens:
    """Make access tokens.

    Args:
        settings: issuer, audience and lifetime.
        keys: the signing keys.
    """

    def __init__(self, settings: Settings, keys: SigningKeys) -> None:
        self._settings = settings
        self._keys = keys

    def issue(self, user: User, session: Session, now: float) -> tuple[str, int]:
        """Issue a token for a session; return it with the seconds for which it is valid."""
        claims: dict[str, Any] = {"sub": user.id, "sid": session.id, **right_claims(user)}
        claims |= {"email": user.email, "email_verified": user.email_verified}
        # A refresh is not a sign-in (RFC 9068 section 2.2.1), and neither is a redirect by a provider that
        # asks for nothing.
        auth_time = session.created_at if session.authenticated_at is None else session.authenticated_at
        if auth_time:
            claims["auth_time"] = int(auth_time)
        if session.client_id is not None:
            claims["client_id"] = session.client_id
        lifetime = min(self._settings.access_lifetime, int(session.ends_at - now))
        return self._sign(claims, lifetime, now), lifetime

    def issue_for_client(self, client_id: str, scopes: frozenset[str], now: float) -> str:
        """Issue a token for a client that acts for itself (RFC 6749 section 4.4)."""
        claims = {"sub": client_id, "client_id": client_id, "scope": " ".join(sorted(scopes))}
        return self._sign(claims, self._settings.access_lifetime, now)

    def issue_for_key(self, client: KeyClient, scopes: frozenset[str], lifetime: int, now: float) -> str:
        """Issue a token for an API key, which acts for its owner; the key is the session of the token."""
        claims: dict[str, Any] = {"sub": client.key.user_id, "client_id": client.id}
        claims |= {"sid": client.key.session, "scope": " ".join(sorted(scopes)), "tier": client.key.tier}
        if client.roles:
            claims |= {"role": client.roles[0], "roles": list(client.roles)}
        return self._sign(claims, lifetime, now)

    def _sign(self, claims: dict[str, Any], lifetime: int, now: float) -> str:
        claims |= {
            "iat": int(now),
            "exp": int(now) + lifetime,
            "jti": token_hex(16),
            "iss": self._settings.issuer,
            "aud": self._settings.token_audience,
            "token_type": "access",
        }
        return self._keys.current(now).sign(claims)
