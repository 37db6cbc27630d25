"""The client's auth classes with the identity service and other servers on loopback."""

import asyncio
import threading

import httpx
import pytest

from authguard.client import APIKeyAuth, BearerAuth
from authguard.errors import ConfigurationError, LoginError
from authguard.identity import Identity
from identity.support import CALLER, PASSWORD, Clock, empty, service_at, serving, together

EMAIL = "ann@example.com"
KEY = "sk_test_client-0nly-Key-of-enough-bytes"


class Recorder:
    """Record the requests to an application, and answer some of them itself."""

    def __init__(self, inner=None):
        self.inner, self.seen, self.answers, self.lock = inner, [], {}, threading.Lock()
        self.bodies = {}  # of answers with status 200, by path

    def count(self, path):
        return sum(1 for seen, _, _ in self.seen if seen == path)

    async def __call__(self, scope, receive, send):
        path, headers = scope["path"], dict(scope["headers"])
        body = b""
        if path in self.answers or path in self.bodies or self.inner is None:
            while True:
                event = await receive()
                body += event.get("body", b"")
                if not event.get("more_body"):
                    break
        with self.lock:
            self.seen.append((path, headers, body))
        answer = self.answers.get(path)
        if isinstance(answer, list):
            answer = answer.pop(0)
        own = self.bodies.get(path)
        if answer is None and own is None and self.inner is not None:
            return await self.inner(scope, receive, send)
        status, fields = answer or (200, {})
        pairs = [(name.encode(), value.encode()) for name, value in fields.items()]
        length = (b"content-length", str(len(own or b"")).encode())
        await send({"type": "http.response.start", "status": status, "headers": [*pairs, length]})
        await send({"type": "http.response.body", "body": own or b""})


class World:
    """Have the service, its clock, the clock of the client and their addresses."""


@pytest.fixture
def world(sqlite_url):
    empty(sqlite_url)
    it = World()
    it.clock = Clock()
    with service_at(sqlite_url, clock=it.clock) as it.service:
        it.service.accounts.register(EMAIL, PASSWORD, "Ann", CALLER)
        it.recorder = Recorder(Identity(it.service))
        with serving(it.recorder) as it.origin:
            it.base = f"{it.origin}/v1"
            it.auth = BearerAuth(it.base, EMAIL, PASSWORD, clock=it.clock)
            yield it


def get(it, path="/users/me", **options):
    with httpx.Client(auth=it.auth, **options) as client:
        return client.get(it.base + path)


async def aget(it, path="/users/me"):
    async with httpx.AsyncClient(auth=it.auth) as client:
        return await client.get(it.base + path)


def either(it, asynchronous):
    return asyncio.run(aget(it)) if asynchronous else get(it)


BOTH = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])


@BOTH
def test_signs_in(world, asynchronous):
    """A request is sent as the account."""
    assert either(world, asynchronous).json()["email"] == EMAIL


@pytest.mark.slow
def test_a_hundred_threads_sign_in_once(world):
    """A hundred threads that start together cause one login."""
    assert {answer.status_code for answer in together(100, lambda _: get(world))} == {200}
    assert world.recorder.count("/v1/auth/login") == 1


@pytest.mark.slow
def test_a_hundred_tasks_sign_in_once(world):
    """A hundred tasks that start together cause one login."""

    async def main():
        async with httpx.AsyncClient(auth=world.auth, timeout=30) as client:
            return await asyncio.gather(*(client.get(world.base + "/users/me") for _ in range(100)))

    assert {answer.status_code for answer in asyncio.run(main())} == {200}
    assert world.recorder.count("/v1/auth/login") == 1


@BOTH
def test_refreshes_five_minutes_before_expiry(world, asynchronous):
    """The token is refreshed five minutes before it expires, without a login."""
    either(world, asynchronous)
    world.clock.go_on(28_800 - 301)
    either(world, asynchronous)
    assert world.recorder.count("/v1/auth/refresh") == 0
    world.clock.go_on(1)
    assert either(world, asynchronous).status_code == 200
    assert (world.recorder.count("/v1/auth/refresh"), world.recorder.count("/v1/auth/login")) == (1, 1)


@BOTH
def test_carries_on_while_refresh_is_down(world, asynchronous):
    """A failed refresh has no effect while the token is valid, and is tried again after a pause."""
    either(world, asynchronous)
    world.recorder.answers["/v1/auth/refresh"] = (503, {})
    world.clock.go_on(28_800 - 200)
    assert [either(world, asynchronous).status_code for _ in range(2)] == [200, 200]
    assert world.recorder.count("/v1/auth/refresh") == 1
    world.clock.go_on(200)
    with pytest.raises(LoginError, match="503"):
        either(world, asynchronous)


@BOTH
def test_signs_in_again_after_revocation(world, asynchronous):
    """A session that was ended elsewhere causes a 401, a login and another try."""
    either(world, asynchronous)
    tokens = world.service.accounts.login(EMAIL, PASSWORD, CALLER)
    token = {"Authorization": f"Bearer {tokens.access_token}"}
    assert httpx.post(world.base + "/auth/logout-all", headers=token).status_code == 200
    assert either(world, asynchronous).status_code == 200
    assert world.recorder.count("/v1/auth/login") == 2


def test_a_second_401_is_the_answer(world):
    """A request that gets a second 401 is not tried again."""
    world.recorder.answers["/v1/users/me"] = (401, {})
    assert get(world).status_code == 401
    assert world.recorder.count("/v1/users/me") == 2


def test_streamed_body_is_sent_again(world):
    """The body of the second try is that of the first, also from a generator."""
    world.recorder.answers["/v1/things"] = [(401, {}), (200, {})]
    with httpx.Client(auth=world.auth) as client:
        assert client.post(world.base + "/things", content=iter([b"a", b"b"])).status_code == 200
    assert [body for path, _, body in world.recorder.seen if path == "/v1/things"] == [b"ab", b"ab"]


@pytest.mark.slow
@BOTH
def test_logout_ends_the_session(world, asynchronous):
    """After a logout the token is refused, and the next request signs in."""
    either(world, asynchronous)
    field = world.recorder.seen[-1][1][b"authorization"].decode()
    asyncio.run(world.auth.alogout()) if asynchronous else world.auth.logout()
    assert httpx.get(world.base + "/users/me", headers={"Authorization": field}).status_code == 401
    assert either(world, asynchronous).status_code == 200
    assert world.recorder.count("/v1/auth/login") == 2


@BOTH
def test_cookies_of_a_refused_refresh_are_not_sent_with_the_password(world, asynchronous):
    """Cookies of a refused refresh are not sent with the login."""
    either(world, asynchronous)
    world.recorder.answers["/v1/auth/refresh"] = (401, {"set-cookie": "a=b; Path=/"})
    world.clock.go_on(28_800 - 200)
    assert either(world, asynchronous).status_code == 200
    logins = [fields for path, fields, _ in world.recorder.seen if path == "/v1/auth/login"]
    assert len(logins) == 2
    assert not [fields for fields in logins if b"cookie" in fields]


def test_wrong_password_is_a_clear_error(world):
    """A wrong password is an error with the status, without password and address."""
    world.auth = BearerAuth(world.base, EMAIL, "Wr0ng-Marker!", clock=world.clock)
    with pytest.raises(LoginError) as caught:
        get(world)
    assert caught.value.status_code == 401
    assert str(caught.value) == "login: the service answered 401"
    assert "Marker" not in repr(world.auth) and EMAIL not in repr(world.auth)


def test_a_base_url_without_its_prefix_is_a_clear_error(world):
    """A base URL without the prefix of the API is an error that names the option."""
    world.recorder.answers["/login"] = (404, {})
    world.auth = BearerAuth(world.base.removesuffix("/v1"), EMAIL, PASSWORD, clock=world.clock)
    with pytest.raises(LoginError, match="answered 404: base_url must have the prefix of the API, such as"):
        get(world)


def test_password_does_not_follow_a_redirect(world):
    """A redirected login is an error, and the password is not sent to the other server."""
    other = Recorder()
    with serving(other) as origin:
        world.recorder.answers["/v1/auth/login"] = (307, {"location": f"{origin}/take"})
        with pytest.raises(LoginError, match="307"):
            get(world, follow_redirects=True)
    assert other.seen == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bearer", "key"])
def test_redirect_to_another_origin_has_no_credential(world, kind):
    """A redirect to another origin is followed without a token or key."""
    other = Recorder()
    if kind == "key":
        world.auth = APIKeyAuth(world.base, KEY)
    with serving(other) as origin:
        world.recorder.answers["/v1/away"] = (307, {"location": f"{origin}/here"})
        assert get(world, "/away", follow_redirects=True).status_code == 200
    first = world.recorder.seen[-1][1]
    assert b"authorization" in first or b"x-api-key" in first
    assert [path for path, _, _ in other.seen] == ["/here"]
    assert not {b"authorization", b"x-api-key"} & other.seen[0][1].keys()


@pytest.mark.parametrize("kind", ["bearer", "key"])
def test_request_to_another_origin_has_no_credential(world, kind):
    """A request to another origin has neither token nor key, and causes no login."""
    auth = world.auth if kind == "bearer" else APIKeyAuth(world.base, KEY)
    other = Recorder()
    with serving(other) as origin, httpx.Client(auth=auth) as client:
        assert client.get(f"{origin}/here").status_code == 200
    assert not {b"authorization", b"x-api-key"} & other.seen[0][1].keys()
    assert world.recorder.seen == []


def test_key_survives_a_redirect_inside_the_origin():
    """A redirect within the origin is followed with the key."""
    server = Recorder()
    server.answers = {"/a": (307, {"location": "/b"}), "/b": [(401, {}), (200, {})]}
    with (
        serving(server) as origin,
        httpx.Client(auth=APIKeyAuth(origin, KEY), follow_redirects=True) as client,
    ):
        assert client.get(f"{origin}/a").status_code == 200
    assert server.seen[-1][1][b"x-api-key"] == KEY.encode()


def test_key_goes_by_another_field():
    """The key is sent in a field with another name."""
    server = Recorder()
    with serving(server) as origin, httpx.Client(auth=APIKeyAuth(origin, KEY, header="X-Key")) as client:
        client.get(origin)
    assert server.seen[0][1][b"x-key"] == KEY.encode()


@pytest.mark.parametrize(
    "make",
    [lambda url: BearerAuth(url, EMAIL, PASSWORD), lambda url: APIKeyAuth(url, KEY)],
    ids=["bearer", "key"],
)
def test_plain_http_is_for_loopback(make):
    """Plain http is refused except for loopback."""
    with pytest.raises(ConfigurationError, match="plain http"):
        make("http://api.example.com/v1")


def test_key_is_not_in_repr():
    """The repr does not show the key."""
    assert KEY not in repr(APIKeyAuth("https://api.example.com", KEY))
