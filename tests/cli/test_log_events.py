"""`authguard serve --log-format json` writes an event as a JSON object, not as text."""

import json
import logging

import pytest

from authguard.cli.serving.logs import JSONFormatter
from authguard.identity.audit import Audit, Event


def written(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    """Return the lines of all records."""
    return [json.loads(JSONFormatter().format(record)) for record in caplog.records]


def test_an_event_is_a_member(caplog: pytest.LogCaptureFixture) -> None:
    """The event is a member of the line, and its text is the message."""
    caplog.set_level(logging.INFO)
    Audit().record(Event("login", succeeded=False, at=7.0, reason="rate_limited", address="203.0.113.9"))
    (line,) = written(caplog)
    assert line["event"] == {
        "name": "login",
        "succeeded": False,
        "at": 7.0,
        "reason": "rate_limited",
        "address": "203.0.113.9",
    }
    assert json.loads(str(line["message"])) == line["event"]


def test_another_line_of_the_same_logger_has_none(caplog: pytest.LogCaptureFixture) -> None:
    """Another line of the same logger has no event."""

    def fails(event: Event) -> None:
        raise OSError

    caplog.set_level(logging.ERROR)
    Audit(fails).record(Event("login", succeeded=True, at=7.0))
    (line,) = written(caplog)
    assert line["message"] == "the audit hook raised OSError" and "event" not in line
