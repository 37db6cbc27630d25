"""Refusals at level INFO: one line a minute for each reason, without any value of the request."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from adapters.faces import ask_asgi, ask_wsgi
from authguard import Guard, JWTVerifier, Rule
from authguard import _logs as logs
from authguard._logs.by_reason import LineCounts
from authguard.asgi import AuthGuardMiddleware
from authguard.errors import (
    Cause,
    ExpiredTokenError,
    InsufficientScopeError,
    InvalidTokenError,
    MissingCredentialsError,
    RefusedError,
)
from authguard.testing import issue_token
from authguard.wsgi import AuthGuardMiddleware as WSGIAuthGuardMiddleware
from support import SECRET, Monotonic


@pytest.fixture(name="clock")
def _clock() -> Monotonic:
    return Monotonic()


@pytest.fixture(name="log")
def _log(
    clock: Monotonic, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Callable[[RefusedError], None]:
    """Log refusals of requests at level INFO, with a clock of the test."""
    caplog.set_level(logging.INFO, "authguard")
    monkeypatch.setattr(logs, "_refusals", LineCounts(60, clock))
    return logs._log_counted


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines, and clear them."""
    results = [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]
    caplog.clear()
    return results


def test_the_first_of_each_reason_is_a_line(
    log: Callable[[RefusedError], None], caplog: pytest.LogCaptureFixture
) -> None:
    """The line has the status, the code and the cause."""
    for error in (MissingCredentialsError(), ExpiredTokenError(), InsufficientScopeError()):
        for _ in range(5):
            log(error)
    assert lines(caplog) == [
        "refused with 401: missing_credentials",
        "refused with 401: invalid_token (expired)",
        "refused with 403: insufficient_scope",
    ]


def test_a_minute_later_the_others_are_counted(
    log: Callable[[RefusedError], None], clock: Monotonic, caplog: pytest.LogCaptureFixture
) -> None:
    """The next line of a reason, a minute later or more, has the number of the refusals in between."""
    for _ in range(5):
        log(ExpiredTokenError())
    clock.now += 60
    log(ExpiredTokenError())
    assert lines(caplog) == [
        "refused with 401: invalid_token (expired)",
        "refused with 401: invalid_token (expired); 4 more since the last such line",
    ]


def test_errors_of_the_application_are_bounded(
    log: Callable[[RefusedError], None], caplog: pytest.LogCaptureFixture
) -> None:
    """The number and length of lines are limited for codes of an application."""
    for number in range(500):
        error = RefusedError()
        error.status_code, error.code = 400, f"own-{number}\n" + "x" * 100  # type: ignore[misc]
        log(error)
    texts = lines(caplog)
    assert len(texts) == 65
    assert max(map(len, texts)) < 80
    assert not any("\n" in line for line in texts)


def test_a_cause_that_is_none_is_not_shown(
    log: Callable[[RefusedError], None], caplog: pytest.LogCaptureFixture
) -> None:
    """A cause that is not a `Cause` is not shown, since the application may set it to any text."""
    log(InvalidTokenError("M4RKER", cause="M4RKER"))  # type: ignore[arg-type]
    log(InvalidTokenError("M4RKER", cause=Cause.AUDIENCE))
    assert lines(caplog) == ["refused with 401: invalid_token", "refused with 401: invalid_token (audience)"]


def _guard() -> Guard:
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    return Guard(verifier, protected_paths=[Rule("/admin", scopes=["admin"]), "/"])


async def _asgi_app(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError


def _wsgi_app(environ: Any, start_response: Any) -> Any:
    raise AssertionError


@pytest.mark.parametrize("face", ["asgi", "wsgi"])
def test_requests(face: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines contain neither the path, nor the query, nor the credential."""
    monkeypatch.setattr(logs, "_refusals", LineCounts())
    caplog.set_level(logging.INFO, "authguard")
    texts = [
        issue_token(SECRET, expires_in=-100),
        issue_token("M4RKER" + SECRET),
        issue_token(SECRET),
        "M4RKER",
    ]
    app: Any = (
        AuthGuardMiddleware(_asgi_app, guard=_guard())
        if face == "asgi"
        else WSGIAuthGuardMiddleware(_wsgi_app, guard=_guard())
    )
    ask = ask_asgi if face == "asgi" else ask_wsgi
    ask(app, "GET", "/M4RKER?token=M4RKER")
    for text in texts:
        ask(app, "GET", "/admin?M4RKER", [("Authorization", f"Bearer {text}".encode())])
    assert lines(caplog) == [
        "refused with 401: missing_credentials",
        "refused with 401: invalid_token (expired)",
        "refused with 401: invalid_token (signature)",
        "refused with 403: insufficient_scope",
        "refused with 401: invalid_token",
    ]


def test_above_info_nothing_is_counted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No refusal is counted above level INFO."""
    counts = LineCounts()
    monkeypatch.setattr(logs, "_refusals", counts)
    caplog.set_level(logging.WARNING, "authguard")
    ask_asgi(AuthGuardMiddleware(_asgi_app, guard=_guard()), "GET", "/")
    assert counts._lines == {}
