"""`BearerAuth` while the identity service does not answer, limits, is down or answers something else."""

import asyncio

import httpx
import pytest

from authguard.client import BearerAuth
from authguard.errors import LoginError
from identity.support import PASSWORD, serving, together
from remote.servers import refused

from .test_client import BOTH, EMAIL, Recorder, either, get, world

__all__ = ["world"]  # a fixture

LOGIN, REFRESH = "/v1/auth/login", "/v1/auth/refresh"
DATE, LATER = "Sun, 29 Nov 2026 06:00:00 GMT", "Sun, 29 Nov 2026 06:00:07 GMT"


def failure_of(it, asynchronous):
    """Return the LoginError of a request."""
    with pytest.raises(LoginError) as caught:
        either(it, asynchronous)
    return caught.value


def requests_of(it, asynchronous, count):
    """Send requests that start together; return their answers and errors."""
    if not asynchronous:
        return together(count, lambda _: get(it))

    async def main():
        async with httpx.AsyncClient(auth=it.auth) as client:
            requests = [client.get(f"{it.base}/users/me") for _ in range(count)]
            return await asyncio.gather(*requests, return_exceptions=True)

    return asyncio.run(main())


@BOTH
@pytest.mark.parametrize("answer", [(503, {}), (500, {}), (429, {"retry-after": "600"}), (404, {})])
def test_those_who_wait_for_a_sign_in_share_its_failure(world, asynchronous, answer):
    """Requests that wait for a sign-in that fails get its error, and cause no further sign-in."""
    world.recorder.answers[LOGIN] = answer
    errors = requests_of(world, asynchronous, 30)
    assert {type(error) for error in errors} == {LoginError}
    assert {error.status_code for error in errors} == {answer[0]}
    assert len({id(error) for error in errors}) == 30
    assert world.recorder.count(LOGIN) == 1


def test_event_loops_and_threads_share_a_failure(world):
    """After a failure in an event loop, threads and other event loops get its error at once."""
    world.recorder.answers[LOGIN] = (503, {})
    for asynchronous in (True, False, True):
        assert failure_of(world, asynchronous).status_code == 503
    assert world.recorder.count(LOGIN) == 1


@BOTH
@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        ((503, {}), 1),
        ((503, {"retry-after": "7"}), 7),
        ((429, {"retry-after": "600"}), 600),
        ((429, {"retry-after": "0"}), 1),
        ((429, {"ratelimit": '"minute";r=0;t=20'}), 20),
        ((429, {"retry-after": "999999999"}), 3600),
        ((307, {"location": "/elsewhere"}), 1),
    ],
)
def test_a_failed_sign_in_is_tried_again_after_a_time(world, asynchronous, answer, seconds):
    """A failed sign-in is tried again after Retry-After, else after a second; after an hour at the latest."""
    world.recorder.answers[LOGIN] = answer
    assert failure_of(world, asynchronous).status_code == answer[0]
    del world.recorder.answers[LOGIN]
    world.clock.go_on(seconds - 0.01)
    assert failure_of(world, asynchronous).status_code == answer[0]
    assert world.recorder.count(LOGIN) == 1
    world.clock.go_on(0.01)
    assert either(world, asynchronous).status_code == 200


@BOTH
def test_a_date_is_read_by_the_clock_of_the_service(world, asynchronous):
    """A Retry-After with a date counts from the Date of the answer."""
    world.recorder.answers[LOGIN] = (503, {"retry-after": LATER, "date": DATE})
    with serving(world.recorder, date_header=False) as origin:
        world.base = f"{origin}/v1"
        world.auth = BearerAuth(world.base, EMAIL, PASSWORD, clock=world.clock)
        failure_of(world, asynchronous)
        world.clock.go_on(6.9)
        failure_of(world, asynchronous)
        assert world.recorder.count(LOGIN) == 1
        world.clock.go_on(0.1)
        failure_of(world, asynchronous)
        assert world.recorder.count(LOGIN) == 2


@BOTH
def test_a_service_without_an_answer_is_asked_once_a_second(world, asynchronous):
    """A service that cannot be reached is not asked again for a second."""
    base, world.base = world.base, refused()
    world.auth = BearerAuth(world.base, EMAIL, PASSWORD, clock=world.clock)
    first = failure_of(world, asynchronous)
    world.auth._session._base = base  # the service can be reached from now on
    assert (first.status_code, str(failure_of(world, asynchronous))) == (None, str(first))
    assert world.recorder.count(LOGIN) == 0


def test_a_clock_that_is_set_back_ends_a_failure(world):
    """A failure is forgotten when the clock is set back to a time before it."""
    world.recorder.answers[LOGIN] = (429, {"retry-after": "600"})
    failure_of(world, False)
    del world.recorder.answers[LOGIN]
    world.clock.go_on(-3600)
    assert get(world).status_code == 200


@BOTH
def test_a_success_clears_a_failure(world, asynchronous):
    """After a success the next failure is one of its own."""
    world.recorder.answers[LOGIN] = [(503, {})]
    failure_of(world, asynchronous)
    del world.recorder.answers[LOGIN]
    world.clock.go_on(1)
    either(world, asynchronous)
    assert world.auth._session._failure is None


@BOTH
@pytest.mark.parametrize("answer", [(503, {}), (429, {"retry-after": "100"}), (200, {})])
def test_a_valid_token_is_used_while_the_refresh_fails(world, asynchronous, answer):
    """A valid token is used while the refresh fails, also by an answer that cannot be read."""
    either(world, asynchronous)
    world.recorder.answers[REFRESH] = answer
    world.clock.go_on(28_800 - 200)
    assert [either(world, asynchronous).status_code for _ in range(3)] == [200] * 3
    assert world.recorder.count(REFRESH) == 1


@BOTH
def test_a_refresh_waits_for_retry_after_while_the_token_is_valid(world, asynchronous):
    """A refresh is not tried again before Retry-After, and thereafter it is."""
    either(world, asynchronous)
    world.recorder.answers[REFRESH] = (429, {"retry-after": "100"})
    world.clock.go_on(28_800 - 200)
    either(world, asynchronous)
    world.clock.go_on(99)
    either(world, asynchronous)
    assert world.recorder.count(REFRESH) == 1
    world.clock.go_on(1)
    assert either(world, asynchronous).status_code == 200
    assert world.recorder.count(REFRESH) == 2


@BOTH
def test_a_refused_token_does_not_make_each_request_refresh_in_an_outage(world, asynchronous):
    """Requests whose token is refused share the failure of the refresh."""
    either(world, asynchronous)
    world.recorder.answers |= {REFRESH: (503, {}), "/v1/users/me": (401, {})}
    assert {failure_of(world, asynchronous).status_code for _ in range(5)} == {503}
    assert world.recorder.count(REFRESH) == 1


@BOTH
@pytest.mark.parametrize(
    ("body", "lack"),
    [
        (b"<html>Sign in to the network</html>", "is no JSON object: base_url must have the prefix"),
        (b"", "is no JSON object"),
        (b"[]", "is no JSON object"),
        (b'{"expires_in": 60}', "has no access_token"),
        (b'{"access_token": 5, "expires_in": 60}', "has no access_token"),
        (b'{"access_token": "a b", "expires_in": 60}', "has no access_token"),
        (b'{"access_token": "abc"}', "has no expires_in"),
        (b'{"access_token": "abc", "expires_in": null}', "has no expires_in"),
        (b'{"access_token": "abc", "expires_in": []}', "has no expires_in"),
        (b'{"access_token": "abc", "expires_in": "soon"}', "has no expires_in"),
        (b'{"access_token": "abc", "expires_in": 1e999}', "has no expires_in"),
        (
            b'{"access_token": "abc", "expires_in": 60, "refresh_token": 5}',
            "has a refresh_token that is no text",
        ),
    ],
)
def test_the_error_names_what_an_answer_lacks(world, asynchronous, body, lack):
    """An answer that cannot be used is an error without a status, which names the fault."""
    world.recorder.bodies[LOGIN] = body
    error = failure_of(world, asynchronous)
    assert error.status_code is None
    assert str(error).startswith(f"login: the answer of the service {lack}")
    assert "abc" not in str(error) and "<html>" not in str(error)


def test_an_answer_that_cannot_be_read_is_asked_for_once(world):
    """Requests that wait for a sign-in whose answer cannot be read cause no further sign-in."""
    world.recorder.bodies[LOGIN] = b"<html></html>"
    assert {error.status_code for error in requests_of(world, False, 10)} == {None}
    assert world.recorder.count(LOGIN) == 1


def test_a_compressed_answer_is_not_unpacked():
    """An answer that is compressed, although this was not asked for, is an error."""
    server = Recorder()
    server.answers[LOGIN] = (200, {"content-encoding": "gzip"})
    server.bodies[LOGIN] = b"\x1f\x8b" + b"\x00" * 20
    with serving(server) as origin:
        auth = BearerAuth(f"{origin}/v1", EMAIL, PASSWORD)
        with httpx.Client(auth=auth) as client, pytest.raises(LoginError, match="is no JSON object"):
            client.get(f"{origin}/v1/users/me")


@BOTH
def test_a_logout_without_a_session_does_nothing(world, asynchronous):
    """A logout before the first request, or a second logout, sends nothing."""
    asyncio.run(world.auth.alogout()) if asynchronous else world.auth.logout()
    assert world.recorder.seen == []
