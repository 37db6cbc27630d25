"""The gevent worker of gunicorn serves concurrent requests that ask remotes or block."""

import secrets
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from frameworks.support import need

need("gunicorn", "gevent")

pytestmark = pytest.mark.frameworks

from werkzeug.serving import WSGIRequestHandler, make_server

from authguard.testing import FakeIssuer, issue_token
from frameworks.servers import Server

SECRET = "s3cret-of-the-gevent-test"


class _Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        pass


@contextmanager
def _served_issuer() -> Iterator[FakeIssuer]:
    """Serve a fake issuer on loopback."""
    server = make_server("127.0.0.1", 0, lambda *_: [], threaded=True, request_handler=_Quiet)
    issuer = FakeIssuer(f"http://127.0.0.1:{server.server_port}", clients={"api": SECRET})
    server.app = issuer.wsgi
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(name="issuer", scope="module")
def _issuer() -> Iterator[FakeIssuer]:
    with _served_issuer() as issuer:
        yield issuer


@pytest.fixture(name="server", scope="module")
def _server(issuer: FakeIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    environment = {"GEVENT_ISSUER": issuer.url, "GEVENT_SECRET": SECRET}
    log = tmp_path_factory.mktemp("gevent") / "log"
    server = Server("gunicorn gevent", "Flask", log, app="frameworks.gevent_app:app", environment=environment)
    try:
        server.wait()
        yield server
    finally:
        server.stop()


def ask(server: Server, token: str) -> tuple[int, str]:
    """Send a token; return the status, and the body of a 200."""
    answer = server.ask("GET", "/private", [("Authorization", f"Bearer {token}".encode())])
    return answer.status, answer.body.decode() if answer.status == 200 else ""


def ask_together(server: Server, tokens: list[str]) -> list[tuple[int, str]]:
    """Send each token on a connection of its own, all at the same time."""
    with ThreadPoolExecutor(len(tokens)) as pool:
        return list(pool.map(lambda token: ask(server, token), tokens))


def test_many_wait_for_one_key_set(server: Server, issuer: FakeIssuer) -> None:
    """Twenty concurrent callers each get their own user, and the keys are fetched once."""
    answers = ask_together(server, [issuer.issue(f"ann{number}") for number in range(20)])
    assert answers == [(200, f"user ann{number}") for number in range(20)]
    assert issuer.requests.count("GET /jwks") == 1


def test_many_are_introspected(server: Server, issuer: FakeIssuer) -> None:
    """Twenty concurrent opaque tokens each get their own user, and a shared token is introspected once."""
    answers = ask_together(server, [issuer.issue_opaque(f"bob{number}") for number in range(20)])
    assert answers == [(200, f"user bob{number}") for number in range(20)]
    count = issuer.requests.count("POST /introspect")
    assert ask_together(server, [issuer.issue_opaque("eve")] * 20) == [(200, "user eve")] * 20
    assert issuer.requests.count("POST /introspect") == count + 1


def test_a_bad_token_and_an_outage(server: Server, issuer: FakeIssuer) -> None:
    """An invalid token is a 401, and an outage of the issuer a 503."""
    assert ask(server, issuer.issue(aud="https://other.test"))[0] == 401
    assert ask(server, "unknown")[0] == 401
    with issuer.outage():
        assert ask(server, issuer.issue_opaque())[0] == 503


# Callbacks that are `async`


ASYNC_SECRET = secrets.token_urlsafe(40)


@pytest.fixture(name="async_server", scope="module")
def _async_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("gevent") / "async"
    app = "frameworks.gevent_async_app:app"
    server = Server("gunicorn gevent", "Flask", log, app=app, environment={"GEVENT_SECRET": ASYNC_SECRET})
    try:
        server.wait()
        yield server
    finally:
        server.stop()


def ask_each(server: Server, fields: list[tuple[str, bytes]]) -> list[tuple[int, str]]:
    """Send each field on a connection of its own, all at the same time."""
    with ThreadPoolExecutor(len(fields)) as pool:
        answers = list(pool.map(lambda field: server.ask("GET", "/private", [field]), fields))
    return [(answer.status, answer.body.decode()) for answer in answers]


def test_many_wait_for_an_async_loader(async_server: Server) -> None:
    """Concurrent callers each get their own user and context variables, from one event loop."""
    loops = set()
    for _ in range(3):
        tokens = [issue_token(ASYNC_SECRET, subject=f"ann{number}", expires_in=60) for number in range(8)]
        fields = [("Authorization", f"Bearer {token}".encode()) for token in tokens]
        for number, (status, body) in enumerate(ask_each(async_server, fields)):
            assert (status, body.rpartition(" ")[0]) == (200, f"ann{number}: user ann{number}")
            loops.add(body.rpartition(" ")[2])
    assert len(loops) == 1


def test_many_wait_for_an_async_key_function(async_server: Server) -> None:
    """Concurrent API keys are each looked up by an async function without a cache."""
    fields = [("X-API-Key", f"sk_test_{secrets.token_urlsafe(24)}".encode()) for _ in range(8)]
    for status, body in ask_each(async_server, fields):
        assert (status, body.rpartition(" ")[0]) == (200, "robot: user robot")


def test_a_process_with_greenlets_ends() -> None:
    """A program that has used the event loop and its executor ends, and so does its last task."""
    program = """
        from gevent import monkey
        monkey.patch_all()

        import asyncio, threading
        from asgiref.sync import sync_to_async
        from authguard.drivers.kept_loop import wait_for

        kept = []

        async def work():
            try:
                await asyncio.sleep(600)
            finally:
                print("ended")

        async def ask():
            kept.append(asyncio.create_task(work()))
            await asyncio.sleep(0)
            other = await sync_to_async(threading.current_thread, thread_sensitive=False)()
            here = await sync_to_async(threading.current_thread)()
            return here is thread and other is not thread

        thread = threading.current_thread()
        assert wait_for(ask, ())
        """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "ended\n")
