"""Revocations in the database, which all its processes share."""

import math
import re
import secrets
import time
from contextlib import closing
from pathlib import Path
from threading import Event

import psycopg
import pytest
from sqlalchemy.engine import make_url

from adapters.faces import ask_asgi, ask_wsgi, raw_asgi, raw_wsgi
from authguard import APIKey, APIKeyVerifier, ConfigurationError, Guard, Principal
from authguard._core.answer.decision import Known
from authguard.drivers.blocking import run
from authguard.identity import SQLRevocations, upgrade
from authguard.identity.errors import StoreUnavailableError
from identity.support import NOW, POSTGRES, postgres_database
from support import FakeRequest

PAGE = (Path(__file__).parents[2] / "docs" / "machines.md").read_text(encoding="utf-8")
GRANTS = re.findall(r"^GRANT .*;$", PAGE, re.MULTILINE)
KEY = "sk_live_" + secrets.token_urlsafe(32)


@pytest.fixture
def revocations(url):
    upgrade(url)
    with closing(SQLRevocations(url, clock=lambda: NOW)) as revocations:
        yield revocations


def a_guard(revocations):
    """Return a guard with one API key."""
    return Guard(APIKeyVerifier({KEY: APIKey("robot", key_id="k1")}), revocations=revocations)


def token(**claims):
    """Return the principal of a token without `jti`."""
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
    """A revoked session is refused by the claim `sid`, also for tokens without `jti`."""
    revocations.revoke(session="s1", until=NOW + 60)
    assert revocations.is_revoked(token(**claims)) is revoked


def test_a_subject_may_sign_in_again_also_with_tokens_without_jti(revocations):
    """After the revocation of a subject, tokens that are issued later are accepted."""
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
    """A key is revoked by its id, and a token with the same `kid` is not."""
    revocations.revoke(key_id="k1", until=math.inf)
    assert revocations.is_revoked(who) is revoked


@pytest.mark.parametrize("what", [{}, {"token_id": "a", "key_id": "b"}], ids=str)
def test_exactly_one_thing_is_revoked(revocations, what):
    """A revocation without exactly one thing to revoke is refused."""
    with pytest.raises(ConfigurationError, match="exactly one"):
        revocations.revoke(**what, until=NOW)


@pytest.mark.parametrize(("ask", "make"), [(ask_asgi, raw_asgi), (ask_wsgi, raw_wsgi)], ids=["asgi", "wsgi"])
def test_revoking_a_key_works_at_once_for_a_remembered_key(revocations, ask, make):
    """A guard that remembers a key refuses it at once after its revocation."""
    app = make(a_guard(revocations), lambda: NOW)
    fields = [("X-API-Key", KEY.encode())]
    assert [ask(app, "GET", "/private", fields).status for _ in range(2)] == [200, 200]
    revocations.revoke(key_id="k1", until=NOW + 60)
    assert ask(app, "GET", "/private", fields).status == 401


def test_a_known_caller_is_answered_from_memory(revocations):
    """A known caller is answered from memory, without the flow."""
    guard = a_guard(revocations)
    presented = [(b"x-api-key", KEY.encode())]
    run(guard.decide(FakeRequest("/me", headers=presented), NOW, None))
    assert isinstance(guard.recall(presented, ("GET", "/me", ""), NOW), Known)


@pytest.mark.slow
def test_another_process_knows_when_revoke_returns(revocations, url):
    """Another process has a revocation in its memory as soon as `revoke` returns."""
    with closing(SQLRevocations(url, clock=lambda: NOW)) as other:
        assert not other.is_revoked(token(sid="s1"))
        receipt = revocations.revoke(session="s1", until=NOW + 60)
        assert other.is_known_revoked(token(sid="s1"))
        assert (other.health().mode, other.health().sequence) == ("pushed", receipt.sequence)


@pytest.fixture
def outage():
    """Return the URL of a database, and a function that closes it for all connections."""
    with postgres_database() as url:
        upgrade(url)

        def begin():
            with psycopg.connect(POSTGRES.replace("+psycopg", ""), autocommit=True) as admin:
                name = make_url(url).database
                admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
                )

        yield url, begin


def wait_until_old(revocations):
    """Wait until the memory is older than the bound."""
    while revocations.health().lag < revocations._follower.bound:
        Event().wait(0.01)


@pytest.mark.slow
def test_without_the_database_nobody_is_let_in(outage):
    """Without the database, a question beyond the bound raises StoreUnavailableError."""
    url, begin = outage
    with closing(SQLRevocations(url, bound=0.5)) as revocations:
        assert not revocations.is_revoked(token(sid="s1"))
        begin()
        wait_until_old(revocations)
        with pytest.raises(StoreUnavailableError):
            revocations.is_revoked(token(sid="s1"))
        assert revocations.health().mode == "down"


@pytest.mark.slow
def test_without_the_database_memory_may_answer_longer(outage):
    """With `revocations_down` as `stale`, memory answers beyond the bound, and `revoke` raises."""
    url, begin = outage
    with closing(SQLRevocations(url, bound=0.5, revocations_down=("stale", 60))) as revocations:
        revocations.revoke(session="s2", until=time.time() + 60)
        assert not revocations.is_revoked(token(sid="s1"))
        begin()
        wait_until_old(revocations)
        assert not revocations.is_revoked(token(sid="s1"))
        assert revocations.is_revoked(token(sid="s2"))
        with pytest.raises(StoreUnavailableError):
            revocations.revoke(session="s1", until=NOW + 60)


@pytest.fixture
def guest():
    """Return the URL of a database, and one for a user with the documented rights only."""
    role = f"authguard_test_{secrets.token_hex(6)}"
    with postgres_database() as url:
        upgrade(url)
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as admin:
            admin.execute(f"CREATE ROLE {role} LOGIN")
            for right in GRANTS:
                admin.execute(right.replace("guard;", f"{role};"))
        try:
            yield url, make_url(url).set(username=role).render_as_string(hide_password=False)
        finally:
            with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as admin:
                admin.execute(f"DROP OWNED BY {role}")
                admin.execute(f"DROP ROLE {role}")


@pytest.mark.slow
def test_a_guard_needs_no_more_rights_than_the_documentation_says(guest):
    """With the documented rights a guard reads the log, and cannot revoke."""
    url, for_guard = guest
    with closing(SQLRevocations(url)) as service, closing(SQLRevocations(for_guard)) as guard:
        assert not guard.is_revoked(token(sid="s1"))
        service.revoke(session="s1", until=time.time() + 60)
        assert guard.is_known_revoked(token(sid="s1"))
        with pytest.raises(StoreUnavailableError, match="may not use the tables"):
            guard.revoke(session="s2", until=time.time() + 60)


@pytest.mark.parametrize("wrong", [{"bound": 0.01}, {"revocations_down": "allow"}], ids=str)
def test_modes_are_checked(url, wrong):
    """A bound or a mode that is not valid is refused."""
    with pytest.raises(ConfigurationError, match="must be"):
        SQLRevocations(url, **wrong)


@pytest.mark.parametrize(
    "address",
    ["mariadb://u@h/n", "mysql://u@h/n", "redis://h", "postgresql+asyncpg://u@h/n", "postgresql+psycopg2://u@h/n"],
)  # fmt: skip
def test_a_database_of_another_kind_is_refused(address):
    """The URL of another database is refused, and the error does not show the password."""
    with pytest.raises(ConfigurationError, match="sqlite:///file or postgresql://user@host") as caught:
        SQLRevocations(address.replace("u@", "u:hush@"))
    assert "hush" not in str(caught.value)
