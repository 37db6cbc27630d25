"""The waits of `APIKeyAuth`: after a 429 as the server demands, and for its own limit."""

import asyncio

import httpx
import pytest

from authguard.client import APIKeyAuth
from authguard.client.waiting import RequestPacer, seconds_to_wait
from identity.support import serving, together

from .test_client import BOTH, KEY, Recorder
from .waiting import Time

DATE = "Sun, 29 Nov 2026 06:00:00 GMT"
LATER = "Sun, 29 Nov 2026 06:00:07 GMT"


class World:
    """Have a server, a time and a way to send requests."""

    def __init__(self, origin, server, time):
        self.origin, self.server, self.time = origin, server, time

    def send(self, asynchronous, method="GET", path="/x", *, auth=None, follow=False, **options):
        """Send a request from a thread or an event loop."""
        auth = auth or APIKeyAuth(self.origin, KEY, **self.time.options)

        async def asend():
            async with httpx.AsyncClient(auth=auth, follow_redirects=follow) as client:
                return await client.request(method, self.origin + path, **options)

        if asynchronous:
            return asyncio.run(asend())
        with httpx.Client(auth=auth, follow_redirects=follow) as client:
            return client.request(method, self.origin + path, **options)


@pytest.fixture
def world():
    server = Recorder()
    with serving(server) as origin:
        yield World(origin, server, Time())


def limited(**fields):
    """Return a 429 with these fields."""
    return 429, {name.replace("_", "-"): value for name, value in fields.items()}


@BOTH
def test_waits_as_the_server_says(world, asynchronous):
    """After a 429 the client sleeps for Retry-After, and sends the request again."""
    world.server.answers["/x"] = [limited(retry_after="7"), (200, {})]
    assert world.send(asynchronous).status_code == 200
    assert world.time.sleeps == [7.0]


@BOTH
def test_the_second_try_has_the_key_and_the_body(world, asynchronous):
    """The second try has the same key and body."""
    world.server.answers["/x"] = [limited(retry_after="7"), (201, {})]
    assert world.send(asynchronous, "POST", json={"a": 1}).status_code == 201
    (_, first, body), (_, second, again) = world.server.seen
    assert (body, again) == (b'{"a":1}', b'{"a":1}')
    assert first[b"x-api-key"] == second[b"x-api-key"] == KEY.encode()


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"retry_after": "7"}, 7),
        ({"retry_after": "0"}, 1),
        ({"retry_after": LATER, "date": DATE}, 7),
        ({"retry_after": DATE, "date": LATER}, 1),
        ({"retry_after": "3", "ratelimit": '"minute";r=0;t=9'}, 3),
        ({"ratelimit": '"minute";r=0;t=9'}, 9),
        ({"ratelimit": '"minute";r=0;t=9, "day";r=500;t=4000'}, 9),
        ({"ratelimit": '"minute";r=0;t=9,"day";r=0;t=4000'}, 4000),
        ({"ratelimit": '"a, \\"b\\"; r=0;t=1";r=0;t=8;pk=:cHsdsRa894==:'}, 8),
        ({"retry_after": "soon", "ratelimit": '"minute"; r=0; t=9'}, 9),
        ({"retry_after": "-5"}, None),
        ({"retry_after": "1" * 5000}, None),
        ({"retry_after": "٣"}, None),
        ({"retry_after": LATER, "date": ""}, None),
        ({"retry_after": "Sun, 29 Nov 2026 06:00:07 -0000", "date": DATE}, None),
        ({"ratelimit": '"minute";r=1;t=9'}, None),
        ({"ratelimit": "limit=10, remaining=0, reset=9"}, None),
        ({}, None),
    ],
)
def test_reads_what_the_server_says(fields, seconds):
    """Retry-After is read as seconds or as a date by the server's clock, and RateLimit otherwise."""
    headers = [(name.replace("_", "-"), value.encode()) for name, value in fields.items()]
    assert seconds_to_wait(httpx.Response(429, headers=headers)) == seconds


@pytest.mark.parametrize("status", [200, 301, 401, 403, 503])
def test_waits_after_429_alone(status):
    """A status other than 429 is not waited for."""
    assert seconds_to_wait(httpx.Response(status, headers={"retry-after": "5"})) is None


def test_a_hostile_field_is_read_in_a_moment():
    """A field of a megabyte is read only to its first 4,096 characters."""
    field = '"' + '\\"' * 500_000 + ";r=0;t=1;" * 1000
    assert seconds_to_wait(httpx.Response(429, headers={"ratelimit": field})) is None


@BOTH
def test_without_a_word_the_429_is_the_answer(world, asynchronous):
    """A 429 without a time to wait is returned."""
    world.server.answers["/x"] = limited()
    assert world.send(asynchronous).status_code == 429
    assert world.server.count("/x") == 1


@BOTH
def test_what_takes_too_long_is_the_answer(world, asynchronous):
    """A 429 with a time to wait above the maximum is returned."""
    world.server.answers["/x"] = limited(retry_after="91")
    assert world.send(asynchronous).status_code == 429
    assert world.time.sleeps == []


@BOTH
def test_waits_for_max_wait_in_all(world, asynchronous):
    """All pauses of one request together are at most `max_wait`."""
    world.server.answers["/x"] = limited(retry_after="40")
    assert world.send(asynchronous).status_code == 429
    assert world.time.sleeps == [40.0, 40.0]


def test_retry_after_0_ends(world):
    """A server that always answers Retry-After 0 gets one request a second until `max_wait`."""
    world.server.answers["/x"] = limited(retry_after="0")
    auth = APIKeyAuth(world.origin, KEY, max_wait=5, **world.time.options)
    assert world.send(False, auth=auth).status_code == 429
    assert world.time.sleeps == [1.0] * 5


def test_max_wait_0_never_waits(world):
    """With `max_wait=0` a 429 is returned at once."""
    world.server.answers["/x"] = limited(retry_after="1")
    auth = APIKeyAuth(world.origin, KEY, max_wait=0, **world.time.options)
    assert world.send(False, auth=auth).status_code == 429
    assert world.time.sleeps == []


@BOTH
def test_a_stream_is_not_sent_again(world, asynchronous):
    """A body that can be read once is sent once, and its 429 is returned."""
    world.server.answers["/x"] = limited(retry_after="1")

    async def achunks():
        yield b"a"

    content = achunks() if asynchronous else iter([b"a"])
    assert world.send(asynchronous, "POST", content=content).status_code == 429
    assert world.server.count("/x") == 1


@BOTH
def test_another_origins_429_is_its_own(world, asynchronous):
    """The 429 of another origin after a redirect is returned, and that origin gets no key."""
    other = Recorder()
    other.answers["/y"] = limited(retry_after="1")
    with serving(other) as origin:
        world.server.answers["/x"] = (307, {"location": f"{origin}/y"})
        assert world.send(asynchronous, follow=True).status_code == 429
    assert world.time.sleeps == []
    assert b"x-api-key" not in other.seen[0][1]


@BOTH
def test_waits_after_a_redirect_inside_the_origin(world, asynchronous):
    """A request that was redirected within the origin is sent again with the key."""
    world.server.answers = {
        "/x": (307, {"location": "/y"}),
        "/y": [(401, {}), limited(retry_after="2"), (200, {})],
    }
    assert world.send(asynchronous, follow=True).status_code == 200
    assert world.server.seen[-1][1][b"x-api-key"] == KEY.encode()
    assert world.time.sleeps == [2.0]


def test_redirects_that_lose_the_key_end(world):
    """A server that redirects again and again is not followed without an end."""
    world.server.answers = {"/x": (307, {"location": "/y"}), "/y": (401, {})}
    assert world.send(False, follow=True).status_code == 401
    assert len(world.server.seen) < 20


@BOTH
def test_limits_itself(world, asynchronous):
    """With three requests a minute, the fourth waits until the first is a minute old."""
    auth = APIKeyAuth(world.origin, KEY, requests_per_minute=3, **world.time.options)
    for _ in range(3):
        world.send(asynchronous, auth=auth)
        world.time.now += 10
    world.send(asynchronous, auth=auth)
    assert world.time.sleeps == [30.0]


def test_a_second_try_counts(world):
    """The second try after a 429 counts for the client's own limit."""
    world.server.answers["/x"] = [limited(retry_after="7"), (200, {})]
    auth = APIKeyAuth(world.origin, KEY, requests_per_minute=1, **world.time.options)
    assert world.send(False, auth=auth).status_code == 200
    assert world.time.sleeps == [7.0, 53.0]


def test_no_minute_has_more_requests():
    """In no 60 seconds more requests start than the limit, with any number of threads."""
    time = Time()
    pacer = RequestPacer(7, time.clock)

    def start(_):
        begin = time.clock()
        return begin + pacer.reserve()

    starts = []
    for moment in (0.0, 3.5, 59.9, 60.0, 61.2, 500.0):
        time.now = 1000.0 + moment
        starts += together(20, start)
    starts.sort()
    assert all(later - earlier >= 60 for earlier, later in zip(starts, starts[7:], strict=False))
    assert starts[:7] == [1000.0] * 7


@BOTH
def test_another_origin_takes_no_turn(world, asynchronous):
    """Requests to other origins are neither counted nor delayed."""
    auth = APIKeyAuth("http://127.0.0.1:1", KEY, requests_per_minute=1, **world.time.options)
    for _ in range(3):
        assert world.send(asynchronous, auth=auth).status_code == 200
    assert world.time.sleeps == []
