"""Providers that hang, drip or send too much: only sign-ins with them wait, and for a short time."""

import asyncio
import gzip
import json
import socket
import threading
from collections import Counter

import httpx
import pytest

from authguard import ConfigurationError, VerificationUnavailableError
from authguard.identity import Identity
from authguard.identity.errors import ProviderUnavailableError
from authguard.identity.limits import Limit, Limiter
from authguard.identity.social.attempts import MAX_ATTEMPTS, Attempts
from authguard.identity.social.client import MAX_ANSWER
from authguard.identity.social.github import GitHub
from authguard.identity.social.openid import OpenIDProvider
from identity.fake_servers import AnsweringServer, hanging
from identity.support import ANN, GENEROUS, ISSUER, PASSWORD, Clock, browser, service_at, together
from support import make_token, no_more_threads, rsa_key

OWN = [f"{ISSUER}{prefix}/auth/{name}/callback" for prefix in ("/api/v1", "/v1") for name in ("op", "github")]


@pytest.fixture
def closing():
    opened = []
    yield lambda provider: opened.append(provider) or provider
    for provider in opened:
        provider.close()


@pytest.fixture
def server():
    """Run a provider that answers."""
    running = AnsweringServer()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def silent():
    """Return the URL of a provider that never answers, and the connections that it accepted."""
    with hanging() as (store, taken):
        yield store.replace("redis", "http").removesuffix("/0"), taken


def provider_at(url, timeout=0.3, **given):
    """Return a provider with discovery."""
    return OpenIDProvider("op", url, "id", "s3cret", redirect_uris=OWN, timeout=timeout, **given)


def github_at(url, timeout=0.3):
    """Return a provider that is only asked to exchange codes."""
    return GitHub("id", "s3cret", redirect_uris=OWN, timeout=timeout, url=url, api_url=url)


WAYS = {
    "authorize": lambda url: lambda provider: provider.authorize_url(state="s", redirect_uri=OWN[0]),
    "exchange": lambda url: lambda provider: provider.exchange("c0de", OWN[0]),
}


@pytest.mark.parametrize("way", WAYS)
def test_breaker_of_a_provider(silent, closing, way):
    """After one attempt without an answer, further requests are refused without asking the provider."""
    url, taken = silent
    provider, ask = closing(provider_at(url)), WAYS[way](url)
    retries = set()
    for _ in range(50):
        with pytest.raises(VerificationUnavailableError) as caught:
            ask(provider)
        retries.add(caught.value.retry_after)
    assert len(taken) == 1
    assert retries == {1}


@pytest.mark.slow
def test_breaker_of_github(silent, closing):
    """A provider without discovery is not asked again after an attempt without an answer."""
    url, taken = silent
    provider = closing(github_at(url))
    for _ in range(20):
        with pytest.raises(VerificationUnavailableError):
            provider.exchange("c0de", OWN[-1])
    assert len(taken) == 1
    assert provider.authorize_url(state="s", redirect_uri=OWN[-1]), "which asks nobody"


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_threads_do_not_wait_for_each_other(silent, closing, way):
    """Of 16 simultaneous callers none waits for another's attempt, because discovery is made once for all."""
    url, taken = silent
    # Long enough for all 16 to begin before the attempt of the first ends, also on a busy machine.
    provider, ask = closing(provider_at(url, timeout=1.5)), WAYS[way](url)
    results = together(16, lambda _: ask(provider))
    assert {type(result) for result in results} == {ProviderUnavailableError}
    assert len(taken) == 1


@pytest.mark.slow
def test_sign_ins_and_other_providers_go_on(url, silent, server, closing):
    """While one provider hangs, logins with a password and with another provider succeed."""
    hung, _ = silent
    server.answers["/login/oauth/access_token"] = 400, {"error": "bad_verification_code"}
    providers = [closing(provider_at(hung, timeout=30)), closing(github_at(server.url, timeout=5))]
    with service_at(url) as service:
        service.accounts.create(ANN["email"], PASSWORD)
        app = Identity(service, providers=providers)

        async def main():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ISSUER) as client:
                stuck = [asyncio.create_task(client.get("/v1/auth/op/authorize")) for _ in range(40)]
                while not silent[1]:
                    await asyncio.sleep(0)
                answer = await client.post("/v1/auth/login", json=ANN)
                assert answer.status_code == 200
                code = {"code": "c0de", "redirect_uri": OWN[-1]}
                assert (await client.post("/v1/auth/github/callback", json=code)).status_code == 400
                assert not any(task.done() for task in stuck)
                for task in stuck:
                    task.cancel()
                await asyncio.gather(*stuck, return_exceptions=True)

        asyncio.run(main())
        silent[1][0].close()


@pytest.mark.slow
def test_answers_of_the_service(url, silent, closing):
    """While a provider hangs, each request to it gets 503 with Retry-After."""
    app_providers = [closing(provider_at(silent[0]))]
    with service_at(url) as service:
        app = Identity(service, providers=app_providers)

        async def main():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ISSUER) as client:
                many = [client.get("/v1/auth/op/authorize") for _ in range(16)]
                return [*await asyncio.gather(*many), await client.get("/v1/auth/op/authorize")]

        answers = asyncio.run(main())
    assert {answer.status_code for answer in answers} == {503}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
    assert len(silent[1]) == 1


class Dripping(threading.Thread):
    """A provider that sends a byte from time to time, without end."""

    def __init__(self, head, drop):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.head, self.drop, self.over = head, drop, threading.Event()

    def run(self):
        """Answer one request."""
        connection, _ = self.listener.accept()
        with connection:
            connection.recv(4096)
            try:
                connection.sendall(self.head)
                while not self.over.wait(0.05):
                    connection.sendall(self.drop)
            except OSError:
                pass


@pytest.mark.parametrize(("head", "drop"), [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b" "),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    (b"HTTP/1.1 200", b" "),
    (b"", b"HTTP"),
])  # fmt: skip
def test_provider_that_drips(closing, head, drop):
    """A deadline is for the whole attempt, and single bytes do not prolong it."""
    dripping = Dripping(head, drop)
    dripping.start()
    try:
        with pytest.raises(VerificationUnavailableError):
            closing(provider_at(dripping.url)).authorize_url(state="s", redirect_uri=OWN[0])
    finally:
        dripping.over.set()
        dripping.join()
        dripping.listener.close()


@pytest.mark.parametrize("path", ["/login/oauth/access_token", "/user", "/user/emails"])
def test_large_answers(server, closing, path):
    """An answer over the limit is an outage at each step."""
    server.answers = {
        "/login/oauth/access_token": (200, {"access_token": "t"}),
        "/user": (200, {"id": 1}),
        "/user/emails": (200, []),
    }
    server.answers[path] = 200, b"[" + b" " * MAX_ANSWER + b"]"
    with pytest.raises(VerificationUnavailableError):
        closing(github_at(server.url, timeout=5)).exchange("c0de", OWN[-1])


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/jwks"])
def test_large_documents(server, closing, path):
    """Metadata and key sets over the limit are an outage."""
    server.answers["/.well-known/openid-configuration"] = (
        200,
        {
            "issuer": server.url,
            "jwks_uri": f"{server.url}/jwks",
            "token_endpoint": f"{server.url}/token",
        },
    )
    server.answers["/token"] = (
        200,
        {"access_token": "t", "id_token": make_token({}, algorithm="RS256", key=rsa_key())},
    )
    server.answers[path] = 200, b" " * (MAX_ANSWER + 1)
    with pytest.raises(VerificationUnavailableError):
        closing(provider_at(server.url, timeout=5)).exchange("c0de", OWN[0])


def test_answers_are_not_inflated(server, closing):
    """A compressed answer, which was not asked for, is refused without inflating it."""
    provider = closing(provider_at(server.url, timeout=5))

    server.answers["/.well-known/openid-configuration"] = 200, gzip.compress(json.dumps({"a": 1}).encode())
    with pytest.raises(VerificationUnavailableError):
        provider.authorize_url(state="s", redirect_uri=OWN[0])
    assert server.seen[0][1]["Accept-Encoding"] == "identity"


def test_breaker_tries_again():
    """After the pause an attempt is made, and its success ends the pause."""
    clock = Clock(0.0)
    attempts = Attempts("op", 0.05, clock)
    forever = threading.Event()
    with pytest.raises(VerificationUnavailableError):
        attempts.run(forever.wait)
    with pytest.raises(VerificationUnavailableError, match="a short time ago"):
        attempts.run(lambda: 1)
    clock.go_on(2)
    assert attempts.run(lambda: 2) == 2
    assert attempts.run(lambda: 3) == 3
    forever.set()


def test_pause_is_short():
    """A provider that has failed several times is tried again within five seconds."""
    clock = Clock(0.0)
    attempts = Attempts("op", 0.01, clock)
    forever = threading.Event()
    for _ in range(10):
        with pytest.raises(VerificationUnavailableError) as caught:
            attempts.run(forever.wait)
        assert 1 <= caught.value.retry_after <= 5
        clock.go_on(5)
    forever.set()


@pytest.mark.parametrize("error", [ValueError("x"), VerificationUnavailableError("500")])
def test_other_failures_open_no_breaker(error):
    """A prompt failure of a provider causes no pause."""
    attempts = Attempts("op", 5, Clock(0.0))

    def fail():
        raise error

    for _ in range(10):
        with pytest.raises(type(error)):
            attempts.run(fail)
    assert attempts.run(lambda: 1) == 1


def test_attempts_that_were_left_behind_are_bounded():
    """Attempts that hang are limited in number, and a further attempt is refused."""
    attempts = Attempts("op", 30, Clock(0.0))
    inside, forever = threading.Semaphore(0), threading.Event()

    def hang():
        inside.release()
        return forever.wait()

    callers = [threading.Thread(target=attempts.run, args=(hang,)) for _ in range(MAX_ATTEMPTS)]
    for caller in callers:
        caller.start()
    for _ in callers:
        inside.acquire()
    with pytest.raises(VerificationUnavailableError, match="under way"):
        attempts.run(lambda: 1)
    forever.set()
    for caller in callers:
        caller.join()
    assert attempts.run(lambda: 1) == 1


def test_attempts_without_a_thread_take_no_room(monkeypatch):
    """An attempt without a thread is an outage, and does not count against the limit."""
    attempts = Attempts("op", 30, Clock(0.0))
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_more_threads)
        for _ in range(MAX_ATTEMPTS + 1):
            with pytest.raises(VerificationUnavailableError, match="no thread"):
                attempts.run(lambda: 1)
    assert attempts.run(lambda: 1) == 1


@pytest.mark.parametrize("timeout", [0, -1, 61, "5", True, None, float("nan")])
def test_timeout_is_checked(timeout):
    """A timeout that is out of range or no number is refused when the provider is built."""
    with pytest.raises(ConfigurationError, match="timeout must be"):
        provider_at("https://op.example", timeout=timeout)


@pytest.mark.slow
def test_authorize_is_limited_by_address(url, server, closing):
    """Sign-ins with a provider are limited by address with 429, and another address is not limited."""
    limiter = Limiter(limits=GENEROUS | {"authorize_address": Limit(3, 900)})
    events = []
    with service_at(url, limiter=limiter, hook=events.append) as service:
        client = browser(Identity(service, providers=[closing(github_at(server.url))]))
        answers = [client.get("/v1/auth/github/authorize") for _ in range(5)]
        assert Counter(answer.status_code for answer in answers) == {303: 3, 429: 2}
        assert answers[-1].headers["retry-after"]
        assert ("authorize", "rate_limited") in {(event.name, event.reason) for event in events}
        app = Identity(service, providers=[closing(github_at(server.url))])

        async def elsewhere(scope, receive, send):
            await app(scope | {"client": ("203.0.113.5", 1)}, receive, send)

        assert browser(elsewhere).get("/v1/auth/github/authorize").status_code == 303
