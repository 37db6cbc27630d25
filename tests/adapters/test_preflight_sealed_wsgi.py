"""Preflights that are passed to the application on WSGI, and the warning about those that are not."""

import logging
from typing import Any

import pytest

from adapters.preflight_layers import BODIES, WSGIHandlers
from adapters.preflights import SECRET_TEXT, guard, preflight_wsgi
from authguard import Rule
from authguard.wsgi import AuthGuardMiddleware


@pytest.fixture
def handlers() -> WSGIHandlers:
    return WSGIHandlers()


@BODIES
@pytest.mark.parametrize("lazy", [True, False], ids=["a generator", "a list"])
def test_passed_on_sealed(lazy: bool, body: bytes) -> None:
    """The answer has only the status and the CORS fields, and the application gets no body."""
    seen: list[Any] = []
    closed: list[bool] = []

    class Body(list[bytes]):
        def close(self) -> None:
            closed.append(True)

    def app(environ: Any, start_response: Any) -> Any:
        seen.extend([environ["wsgi.input"].read(), environ["CONTENT_LENGTH"]])
        seen.extend([environ["authguard.user"].is_authenticated, "HTTP_TRANSFER_ENCODING" in environ])
        fields = [
            ("Access-Control-Allow-Origin", "*"), ("ACCESS-CONTROL-MAX-AGE", "1"), ("Allow", "GET"),
            ("Vary", "Origin"), ("Set-Cookie", "a=1"), ("Location", "/x"), ("Content-Length", "23"),
            ("X-Secret", SECRET_TEXT), ("WWW-Authenticate", "Basic"), ("ETag", '"1"'),
        ]  # fmt: skip
        start_response(f"209 {SECRET_TEXT}", fields)(SECRET_TEXT.encode())
        return Body([SECRET_TEXT.encode()])

    def generator(environ: Any, start_response: Any) -> Any:
        yield b""
        yield from app(environ, start_response)

    guarded = AuthGuardMiddleware(generator if lazy else app, guard=guard(preflight="pass"))
    answer = preflight_wsgi(guarded, "/private", body, Transfer_Encoding="chunked")
    assert seen == [b"", "0", False, False]
    assert closed == ([] if lazy else [True])
    assert (answer.status, answer.body, answer.read) == (209, b"", [])
    assert answer.headers == {
        "access-control-allow-origin": "*", "access-control-max-age": "1", "allow": "GET", "vary": "Origin",
        "content-length": "0",
    }  # fmt: skip


@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "302 Found", "404 Not Found", "500 Oh"])
def test_a_status_passes_as_it_is(status: str) -> None:
    """The status is that of the application, with a length if the status allows a body."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response(status, [("Location", "/x")])
        return [b"x"]

    answer = preflight_wsgi(AuthGuardMiddleware(app, guard=guard(preflight="pass")))
    assert (answer.status, answer.body) == (int(status[:3]), b"")
    assert answer.headers == ({} if status[:3] == "204" else {"content-length": "0"})


def test_an_application_that_starts_nothing_is_a_bug() -> None:
    """An application that does not call `start_response` is an error."""
    app = AuthGuardMiddleware(lambda environ, start_response: [], guard=guard(preflight="pass"))
    with pytest.raises(RuntimeError, match="start_response"):
        preflight_wsgi(app)


def test_a_rule_passes_on_its_paths_alone(handlers: WSGIHandlers) -> None:
    """A preflight of another path is answered by the guard."""
    app = AuthGuardMiddleware(
        handlers.plain, guard=guard(protected_paths=["/", Rule("/api", preflight="pass")])
    )
    assert preflight_wsgi(app, "/api/x").headers == {
        "Access-Control-Max-Age".lower(): "5",
        "content-length": "0",
    }
    assert preflight_wsgi(app, "/private").headers == {}
    assert handlers.ran == ["/api/x"]


def test_one_warning_names_the_cures(handlers: WSGIHandlers, caplog: pytest.LogCaptureFixture) -> None:
    """Each middleware logs one warning, and not one for each preflight."""
    app = AuthGuardMiddleware(handlers.plain, guard=guard())
    for path in ("/a", "/b"):
        preflight_wsgi(app, path)
    assert len(caplog.records) == 1
    record = caplog.records[0]
    assert (record.name, record.levelno) == ("authguard", logging.WARNING)
    for cure in (
        "OPTIONS '/a'",
        "outside the guard",
        'Rule(…, preflight="pass")',
        'Guard(preflight="pass")',
    ):
        assert cure in record.getMessage()
