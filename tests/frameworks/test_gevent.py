"""The gevent worker of gunicorn serves concurrent requests that ask remotes or block."""

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

from authguard.testing import FakeIssuer
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
