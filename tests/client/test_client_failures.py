"""The client while the service, a caller or another server fails."""

import asyncio
import logging

import httpx
import pytest

from authguard.client import BearerAuth
from authguard.errors import ConfigurationError, LoginError
from identity.support import CALLER, PASSWORD, serving, together
from remote.servers import endless, raw, refused

from .test_client import BOTH, EMAIL, Recorder, aget, either, get, world

__all__ = ["world"]  # a fixture

MARKER = "Wr0ng-Marker!"
LOGIN = "/v1/auth/login"


def log_out(it, asynchronous):
    return asyncio.run(it.auth.alogout()) if asynchronous else it.auth.logout()


def token_of(it):
    """Return the token of the last request to the service."""
    return it.recorder.seen[-1][1][b"authorization"].decode()


@pytest.mark.slow
def test_event_loops_share_one_object(world):
    """Event loops in several threads use one object at the same time, and later ones use its token."""

    async def many():
        return await asyncio.gather(*(aget(world) for _ in range(5)))

    answers = together(4, lambda _: asyncio.run(many()))
    assert {answer.status_code for five in answers for answer in five} == {200}
    assert world.recorder.count(LOGIN) <= 4  # at most one for each loop
    before = world.recorder.count(LOGIN)
    assert asyncio.run(aget(world)).status_code == 200
    assert world.recorder.count(LOGIN) == before


@BOTH
def test_a_refused_refresh_leads_to_a_login(world, asynchronous):
    """A refresh that is refused because the session has ended causes a login."""
    either(world, asynchronous)
    tokens = world.service.accounts.login(EMAIL, PASSWORD, CALLER)
    token = {"Authorization": f"Bearer {tokens.access_token}"}
    assert httpx.post(world.base + "/auth/logout-all", headers=token).status_code == 200
    world.clock.go_on(28_800 - 200)
    assert either(world, asynchronous).status_code == 200
    assert (world.recorder.count("/v1/auth/refresh"), world.recorder.count(LOGIN)) == (1, 2)


@pytest.mark.slow
@BOTH
def test_our_token_is_taken_off_for_another_origin(world, asynchronous):
    """The client removes its own token from a request to another origin."""
    either(world, asynchronous)
    fields = {"Authorization": token_of(world)}
    other = Recorder()
    with serving(other) as origin:

        async def asend():
            async with httpx.AsyncClient(auth=world.auth) as client:
                await client.get(origin, headers=fields)

        if asynchronous:
            asyncio.run(asend())
        else:
            with httpx.Client(auth=world.auth) as client:
                client.get(origin, headers=fields)
    assert b"authorization" not in other.seen[0][1]


def test_another_credential_for_another_origin_stays(world):
    """Another credential on a request to another origin is sent."""
    get(world)
    other = Recorder()
    with serving(other) as origin, httpx.Client(auth=world.auth) as client:
        client.get(origin, headers={"Authorization": "Bearer theirs"})
    assert other.seen[0][1][b"authorization"] == b"Bearer theirs"


@BOTH
def test_a_logout_that_was_not_stored_is_an_error(world, asynchronous):
    """After a logout with a 503 the session continues, and a second logout ends it."""
    either(world, asynchronous)
    world.recorder.answers["/v1/auth/logout"] = (503, {})
    with pytest.raises(LoginError, match="logout: the service answered 503"):
        log_out(world, asynchronous)
    del world.recorder.answers["/v1/auth/logout"]
    assert either(world, asynchronous).status_code == 200
    assert world.recorder.count(LOGIN) == 1
    field = token_of(world)
    log_out(world, asynchronous)
    assert httpx.get(world.base + "/users/me", headers={"Authorization": field}).status_code == 401


@BOTH
def test_a_service_that_cannot_be_reached(world, asynchronous):
    """A service that cannot be reached is a LoginError without a status."""
    world.base = refused()
    world.auth = BearerAuth(world.base, EMAIL, PASSWORD)
    with pytest.raises(LoginError, match="cannot be reached") as caught:
        either(world, asynchronous)
    assert caught.value.status_code is None


@BOTH
def test_an_endless_answer_is_not_read(world, asynchronous):
    """An answer to the login without an end is dropped after 64 KiB."""
    with raw(endless) as world.base:
        world.auth = BearerAuth(world.base, EMAIL, PASSWORD)
        with pytest.raises(LoginError, match="cannot be read"):
            either(world, asynchronous)


@BOTH
def test_a_wrong_password_is_not_tried_again_and_again(world, asynchronous):
    """A refused login is not repeated for five minutes, so that the account is not locked."""
    world.auth = BearerAuth(world.base, EMAIL, MARKER, clock=world.clock)
    for _ in range(3):
        with pytest.raises(LoginError, match="login: the service answered 401"):
            either(world, asynchronous)
    assert world.recorder.count(LOGIN) == 1
    world.clock.go_on(300)
    with pytest.raises(LoginError):
        either(world, asynchronous)
    assert world.recorder.count(LOGIN) == 2


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan"), None, "10", True])
def test_timeout_is_checked(timeout):
    """A timeout that is no positive number is refused."""
    with pytest.raises(ConfigurationError, match="timeout"):
        BearerAuth("https://api.example.com/v1", EMAIL, PASSWORD, timeout=timeout)


@BOTH
def test_secrets_are_in_no_log_and_no_repr(world, asynchronous, caplog):
    """Neither the password nor a token is in a log record or in the repr."""
    caplog.set_level(logging.DEBUG)
    either(world, asynchronous)
    tokens = world.auth._session._tokens
    log_out(world, asynchronous)
    world.auth = BearerAuth(world.base, EMAIL, MARKER, clock=world.clock)
    with pytest.raises(LoginError) as caught:
        either(world, asynchronous)
    told = caplog.text + repr(tokens) + repr(world.auth) + repr(caught.value) + str(caught.value)
    assert "/v1/auth/login" in told
    for secret in (PASSWORD, MARKER, tokens.access, tokens.refresh):
        assert secret not in told


@BOTH
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b'{"access_token": "a", "expires_in": ' + b"[" * 30_000,
        b'{"access_token": "a", "expires_in": NaN}',
        b'{"access_token": "a", "expires_in": "nan"}',
        b'{"access_token": "a", "expires_in": 1e999}',
        b'{"access_token": "a\\r\\nX-Admin: 1", "expires_in": 60}',
        b'{"access_token": "\\u00e9", "expires_in": 60}',
        b'{"access_token": "\\ud800", "expires_in": 60}',
        b'{"access_token": "a b", "expires_in": 60}',
        b'{"access_token": "a", "expires_in": 1' + b"0" * 400 + b"}",
        b'["access_token"]',
        b'"access_token"',
    ],
)
def test_an_answer_that_cannot_be_used(world, asynchronous, body):
    """An answer that cannot be used is a LoginError, which does not show the answer."""
    world.recorder.bodies[LOGIN] = body
    with pytest.raises(LoginError) as caught:
        either(world, asynchronous)
    assert caught.value.__cause__ is None and "X-Admin" not in str(caught.value)
