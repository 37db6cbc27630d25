"""Remember tokens of a browser, which no verifier of access tokens accepts."""

from datetime import timedelta
from typing import Any

import jwt
import pytest

from authguard import ConfigurationError, Guard, InvalidTokenError, JWTVerifier, TokenIssuer
from support import AUDIENCE, ISSUER, SECRET, ec_key

NOW = 1_800_000_000.0


def tokens(key: object = SECRET) -> TokenIssuer:
    """Return an issuer with a fixed time."""
    return TokenIssuer(key, issuer=ISSUER, audience=AUDIENCE, clock=lambda: NOW)


@pytest.mark.parametrize("key", [SECRET, ec_key()], ids=["secret", "private key"])
def test_it_says_who_has_signed_in_and_when(key: object) -> None:
    """A remember token has the user, the session and the time of the sign-in, until its lifetime ends."""
    remember = tokens(key).remember_tokens(timedelta(days=30))
    guard = Guard(remember.verifier())
    text = remember.issue("ann", "s1")
    claims = guard.verify(text, now=NOW + 29 * 86_400).claims
    assert (claims["sub"], claims["sid"], claims["auth_time"]) == ("ann", "s1", NOW)
    with pytest.raises(InvalidTokenError):
        guard.verify(text, now=NOW + 30 * 86_400 + 31)


def test_each_has_a_name_of_its_own() -> None:
    """Each token has a `jti` of its own, by which it can be revoked."""
    remember = tokens().remember_tokens(60)
    bodies = [jwt.decode(remember.issue("ann", "s1"), options={"verify_signature": False}) for _ in range(2)]
    assert bodies[0]["jti"] != bodies[1]["jti"]


@pytest.mark.parametrize(
    "options",
    [{}, {"token_types": ["remember+jwt"]}, {"audience": None}, {"audience": f"{ISSUER}#remember"}],
    ids=str,
)
def test_no_verifier_of_access_tokens_takes_it(options: dict[str, Any]) -> None:
    """The type and the audience of a remember token each prevent its use as an access token."""
    text = tokens().remember_tokens(60).issue("ann", "s1")
    given = {"algorithms": ["HS256"], "issuer": ISSUER, "audience": AUDIENCE, **options}
    for verifier in (tokens().verifier(), JWTVerifier(SECRET, **given)):
        with pytest.raises(InvalidTokenError):
            Guard(verifier).verify(text, now=NOW)


def test_an_access_token_is_none_of_them() -> None:
    """An access token is no remember token, also with the same audience."""
    other = TokenIssuer(SECRET, issuer=ISSUER, audience=f"{ISSUER}#remember", clock=lambda: NOW)
    claims = {"auth_time": int(NOW)}
    for issuer in (tokens(), other):
        with pytest.raises(InvalidTokenError):
            Guard(tokens().remember_tokens(60).verifier()).verify(
                issuer.issue("ann", session="s1", claims=claims), now=NOW
            )


@pytest.mark.parametrize("lifetime", [0, 400 * 86_400 + 1, timedelta(days=401), 1.5])
def test_a_lifetime_that_no_browser_keeps_is_refused(lifetime: Any) -> None:
    """A lifetime of more than 400 days, the limit of browsers for a cookie, is refused."""
    with pytest.raises(ConfigurationError, match="lifetime must"):
        tokens().remember_tokens(lifetime)
