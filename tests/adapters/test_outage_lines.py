"""Outages in the log: the first of each reason is a WARNING, and later ones are counted for a minute."""

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from adapters.faces import ask_asgi, ask_wsgi
from authguard import APIKey, APIKeyVerifier, Guard
from authguard import _logs as logs
from authguard._logs.by_reason import LineCounts
from authguard.asgi import AuthGuardMiddleware
from authguard.wsgi import AuthGuardMiddleware as WSGIAuthGuardMiddleware
from support import Monotonic

KEY = "sk_live_" + "k" * 32
FIELDS = [("X-API-Key", KEY.encode())]


@pytest.fixture(name="clock")
def _clock() -> Monotonic:
    return Monotonic()


@pytest.fixture(name="counts")
def _counts(clock: Monotonic) -> LineCounts:
    return LineCounts(60, clock)


def test_the_first_of_each_reason_is_due(counts: LineCounts) -> None:
    """The first outage of each reason is a line at once."""
    assert [counts.take(reason) for reason in ("a", "b", "a", "b")] == ["", "", None, None]


def test_a_minute_later_the_others_are_counted(counts: LineCounts, clock: Monotonic) -> None:
    """The line after a full minute has the number of the outages in between, and none without them."""
    for _ in range(15):
        counts.take("a")
    clock.now += 59.9
    assert counts.take("a") is None
    clock.now += 0.1
    assert counts.take("a") == "; 15 more since the last such line"
    clock.now += 3600
    assert counts.take("a") == ""


def test_reasons_are_bounded(counts: LineCounts) -> None:
    """Many different reasons, which may contain values, leave few lines and little memory."""
    due = [counts.take(f"reason {number}") for number in range(500)]
    assert due.count("") == 65
    assert len(counts._lines) == 65


def test_of_many_threads_one_line_is_due(counts: LineCounts, clock: Monotonic) -> None:
    """Of concurrent outages in many threads, one is a line, and the others are counted."""
    with ThreadPoolExecutor(8) as pool:
        for _ in range(2):
            assert sum(more is not None for more in pool.map(lambda _: counts.take("a"), range(500))) == 1
            clock.now += 60
    assert counts.take("a") == "; 499 more since the last such line"


def test_another_thread_between_two_steps(counts: LineCounts, clock: Monotonic) -> None:
    """Of two outages that find the same old line, one is a line and the other is counted."""
    counts.take("a")
    clock.now += 60
    late, nested = {"is_first": True}, []

    class Racing:
        def __call__(self) -> float:
            if late.pop("is_first", False):
                nested.append(counts.take("a"))
            return clock.now

    counts._monotonic = Racing()
    assert (nested, counts.take("a"), nested) == ([""], None, [""])
    clock.now += 60
    assert counts.take("a") == "; 1 more since the last such line"


def failing(digest: str) -> APIKey:
    """Raise the error of an outage."""
    raise ConnectionError("M4RKER")


def never_called(*given: Any) -> Any:
    """Fail: no request passes."""
    raise AssertionError


FACES: dict[str, Any] = {
    "asgi": (AuthGuardMiddleware, ask_asgi),
    "wsgi": (WSGIAuthGuardMiddleware, ask_wsgi),
}


@pytest.mark.parametrize("face", FACES)
def test_an_outage_of_a_guard_is_one_line(
    face: str, clock: Monotonic, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many requests in an outage leave one WARNING at level INFO, and a counted one a minute later."""
    monkeypatch.setattr(logs, "_outages", LineCounts(60, clock))
    caplog.set_level(logging.INFO, "authguard")
    guard = Guard(APIKeyVerifier(failing))
    middleware, ask = FACES[face]
    app = middleware(never_called, guard=guard)
    assert [ask(app, "GET", f"/reports/{number}", FIELDS).status for number in range(15)] == [503] * 15
    clock.now += 60
    ask(app, "GET", "/last", FIELDS)
    first, second = (each.getMessage() for each in caplog.records if each.levelno == logging.WARNING)
    assert first.startswith("GET '/reports/0': ") and "ConnectionError" in first
    assert second.startswith("GET '/last': ") and second.endswith("; 14 more since the last such line")


def test_at_debug_each_outage_has_a_line(caplog: pytest.LogCaptureFixture) -> None:
    """At level DEBUG the others have a line, too, at that level."""
    caplog.set_level(logging.DEBUG, "authguard")
    app = AuthGuardMiddleware(never_called, guard=Guard(APIKeyVerifier(failing)))
    for _ in range(3):
        ask_asgi(app, "GET", "/reports", FIELDS)
    levels = [each.levelno for each in caplog.records if "ConnectionError" in each.getMessage()]
    assert levels == [logging.WARNING, logging.DEBUG, logging.DEBUG]
