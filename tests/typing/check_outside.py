"""Check the types of tokens outside of requests; this module is never run."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, assert_type

from authguard import Guard, JWTVerifier, Principal, TokenIssuer

tokens = TokenIssuer(Path("key.pem"), issuer="a", audience=["b"], ttl=timedelta(minutes=5), algorithm="ES256")
guard = Guard(tokens.verifier(leeway=5))


def job(token: str | None) -> str:
    """Check a job with a token or None."""
    principal = guard.verify(token, address="192.0.2.1", now=datetime.now(UTC))
    assert_type(principal, Principal)
    return principal.subject


async def message(payload: dict[str, Any]) -> str:
    """Check a message, which may contain anything."""
    principal = await guard.averify(payload.get("token"), header="X-API-Key", now=5.0)
    assert_type(principal, Principal)
    return principal.subject


def login(name: str) -> str:
    """Check that a token is text."""
    token = tokens.issue(name, scopes={"read"}, roles=("a",), session="s", claims={"a": [1]}, ttl=60)
    assert_type(token, str)
    assert_type(tokens.public_keys, dict[str, Any])
    assert_type(tokens.verifier(), JWTVerifier)
    assert_type(tokens.ttl, int)
    return token
