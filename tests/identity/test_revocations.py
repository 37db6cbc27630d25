"""Revocations that all processes share which use the database."""

import math
import secrets

import pytest

from adapters.faces import ask_asgi, ask_wsgi, raw_asgi, raw_wsgi
from authguard import APIKey, APIKeyVerifier, ConfigurationError, Guard, Principal
from authguard.identity import SQLRevocations, upgrade
from identity.support import NOW

KEY = "sk_live_" + secrets.token_urlsafe(32)


@pytest.fixture
def revocations(url):
    upgrade(url)
    return SQLRevocations(url, clock=lambda: NOW)


def token(**claims):
    """A token without `jti`."""
    return Principal("ann", claims=claims)


@pytest.mark.parametrize(
    ("claims", "revoked"),
    [
        ({"sid": "s1"}, True),
        ({"sid": "s1", "iat": NOW + 1}, True),
        ({"sid": "s2"}, False),
        ({"sid": 1}, False),
        ({}, False),
    ],
    ids=str,
)
def test_a_session_is_revoked_also_for_tokens_without_jti(revocations, claims, revoked):
    """The claim `sid` is enough, whatever else the token has."""
    revocations.revoke(session="s1", until=NOW + 60)
    assert revocations.is_revoked(token(**claims)) is revoked


def test_a_subject_may_sign_in_again_also_with_tokens_without_jti(revocations):
    """What has been issued after the logout is good."""
    revocations.revoke(subject="ann", until=NOW + 60)
    assert revocations.is_revoked(token(iat=NOW))
    assert revocations.is_revoked(token())
    assert not revocations.is_revoked(token(iat=NOW + 1))


@pytest.mark.parametrize(
    ("who", "revoked"),
    [
        (Principal("robot", key_id="k1", method="api_key"), True),
        (Principal("robot", key_id="k2", method="api_key"), False),
        (Principal("robot", method="api_key"), False),
        (Principal("ann", key_id="k1"), False),
        (Principal("ann", key_id="k1", token_id="t1", method="cookie"), False),
    ],
    ids=["key", "other-key", "no-name", "bearer", "cookie"],
)
def test_a_key_is_revoked_by_its_name(revocations, who, revoked):
    """And no token whose issuer's key has the same `kid`."""
    revocations.revoke(key_id="k1", until=math.inf)
    assert revocations.is_revoked(who) is revoked


@pytest.mark.parametrize("what", [{}, {"token_id": "a", "key_id": "b"}, {"key_id": ""}], ids=str)
def test_exactly_one_thing_is_revoked(revocations, what):
    """None or two are a mistake."""
    with pytest.raises(ConfigurationError, match="exactly one"):
        revocations.revoke(**what, until=NOW)


@pytest.mark.parametrize(("ask", "make"), [(ask_asgi, raw_asgi), (ask_wsgi, raw_wsgi)], ids=["asgi", "wsgi"])
def test_revoking_a_key_works_at_once_for_a_remembered_key(revocations, ask, make):
    """A key that was let in a moment ago is refused by every guard that asks the database."""
    app = make(
        Guard(APIKeyVerifier({KEY: APIKey("robot", key_id="k1")}), revocations=revocations), lambda: NOW
    )
    fields = [("X-API-Key", KEY.encode())]
    assert [ask(app, "GET", "/private", fields).status for _ in range(2)] == [200, 200]
    SQLRevocations(revocations._database, clock=lambda: NOW).revoke(key_id="k1", until=NOW + 60)
    assert ask(app, "GET", "/private", fields).status == 401


@pytest.mark.parametrize(
    "address",
    ["postgres://u@h/n", "mysql://u@h/n", "redis://h", "postgresql+asyncpg://u@h/n", "postgresql+psycopg2://u@h/n"],
)  # fmt: skip
def test_a_database_of_another_kind_is_refused(address):
    """The error names the two kinds, and not the rest of the URL, where a password may be."""
    with pytest.raises(ConfigurationError, match="sqlite:///file or postgresql://user@host") as caught:
        SQLRevocations(address.replace("u@", "u:hush@"))
    assert "hush" not in str(caught.value)
