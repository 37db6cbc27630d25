"""The table of `adapters/cases.py` over each server, with a framework, by real processes and sockets."""

from collections.abc import Callable, Iterator

import pytest

from frameworks.support import need

need(
    "litestar",
    "quart",
    "falcon",
    "bottle",
    "hypercorn",
    "granian",
    "daphne",
    "gunicorn",
    "gevent",
    "httptools",
)

pytestmark = pytest.mark.frameworks

from adapters import test_same_answers as table
from adapters.answering import FORGED, GOOD, KEY, api_key, bearer
from adapters.cases import CASES
from adapters.faces import Answer, Field
from frameworks.faces import FRAMEWORKS
from frameworks.own_answers import CHANGED, OWN, WITHOUT_HANDSHAKE_ANSWERS
from frameworks.servers import KINDS, SERVED, Server


@pytest.fixture(name="server", params=SERVED, ids=" - ".join, scope="module")
def _server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    kind, framework = request.param
    server = Server(kind, framework, tmp_path_factory.mktemp("server") / "log")
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.fixture(name="face")
def _face(server: Server) -> Callable[..., Answer]:
    return server.ask


@pytest.mark.parametrize("name", CASES)
def test_answer(server: Server, name: str) -> None:
    """Each server sends the answer of the table, except for the cases of `own_answers.py`."""
    case = CASES[name]
    if statuses := OWN[server.kind].get(name):
        answer = server.ask(case.method, case.path, case.fields)
        assert answer.status in statuses, answer
        assert answer.headers.get("content-type") != "application/problem+json"
    else:
        table.check_answer(server.ask, CHANGED.get(server.kind, {}).get(name, case))


HANDSHAKES: dict[str, tuple[str, list[Field], int, str]] = {
    "nobody": ("/private", [], 401, ""),
    "nobody on a public path": ("/socket", [], 101, "nobody"),
    "a good token": ("/private", [bearer(GOOD)], 101, "somebody"),
    "a good key": ("/private", [api_key(KEY)], 101, "robot"),
    "a forged token": ("/private", [bearer(FORGED)], 401, ""),
    "two tokens": ("/private", [bearer(GOOD), bearer(GOOD)], 400, ""),
    "a scope that is missing": ("/admin", [bearer(GOOD)], 403, ""),
}


@pytest.mark.parametrize("name", HANDSHAKES)
def test_handshake(server: Server, name: str) -> None:
    """An ASGI server opens a websocket for allowed callers, and a WSGI server opens none."""
    path, fields, status, text = HANDSHAKES[name]
    if FRAMEWORKS[server.framework].interface == "wsgi":
        answered, _ = server.open_websocket(path, fields)
        assert answered == status or (status == 101 and answered in (200, 400, 401))
    elif status != 101 and server.kind in WITHOUT_HANDSHAKE_ANSWERS:
        assert server.open_websocket(path, fields) == (403, "")
    else:
        assert server.open_websocket(path, fields) == (status, text)


def test_each_framework_and_each_server_is_tried() -> None:
    """Each framework and each server of the tables is tested."""
    assert {kind for kind, _ in SERVED} == set(KINDS) == set(OWN)
    assert {framework for _, framework in SERVED} == set(FRAMEWORKS)


def test_no_server_lets_pass_what_the_table_refuses() -> None:
    """The exceptions of `own_answers.py` are refusals of existing cases."""
    for own in OWN.values():
        assert own.keys() <= CASES.keys()
        assert all(status == 0 or status >= 400 for statuses in own.values() for status in statuses)
    for changed in CHANGED.values():
        assert all(case.status >= 400 and CASES[name].status >= 400 for name, case in changed.items())


test_htmx = table.test_htmx_is_told_where_to_sign_in
test_htmx_anew = table.test_htmx_is_told_where_to_sign_in_anew
test_caches = table.test_key_and_cookie_responses_are_kept_apart_by_caches
test_no_circle = table.test_a_login_page_that_sends_straight_back_makes_no_circle
test_document = table.test_the_document_of_a_sign_in_has_its_code
test_invalid_tokens = table.test_all_invalid_tokens_get_the_same_answer
