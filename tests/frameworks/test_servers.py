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
from adapters.cases import CASES
from adapters.faces import Answer
from frameworks.faces import FRAMEWORKS
from frameworks.own_answers import CHANGED, OWN
from frameworks.servers import KINDS, SERVED, Server

Ask = Callable[..., Answer]


@pytest.fixture(name="served", params=SERVED, ids=" - ".join, scope="module")
def _served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Ask]]:
    kind, framework = request.param
    server = Server(kind, framework, tmp_path_factory.mktemp("server") / "log")
    try:
        server.wait()
        yield kind, server.ask
    finally:
        server.stop()


@pytest.fixture(name="face")
def _face(served: tuple[str, Ask]) -> Ask:
    return served[1]


@pytest.mark.parametrize("name", CASES)
def test_answer(served: tuple[str, Ask], name: str) -> None:
    """Each server carries the answer of the table, but for the cases of `own_answers.py`."""
    kind, ask = served
    case = CASES[name]
    if statuses := OWN[kind].get(name):
        answer = ask(case.method, case.path, case.fields)
        assert answer.status in statuses, answer
        assert answer.headers.get("content-type") != "application/problem+json"
    else:
        table.check_answer(ask, CHANGED.get(kind, {}).get(name, case))


def test_each_framework_and_each_server_is_tried() -> None:
    """A new row of the tables cannot be forgotten here."""
    assert {kind for kind, _ in SERVED} == set(KINDS) == set(OWN)
    assert {framework for _, framework in SERVED} == set(FRAMEWORKS)


def test_no_server_lets_pass_what_the_table_refuses() -> None:
    """The lists of exceptions have refusals alone, and cases that there are."""
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
