"""The blocks of docs/refusals.md run as the page says."""

import json
import logging
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from adapters.faces import ask_asgi, raw_asgi
from authguard import DecisionEvent, Guard, JWTVerifier
from support import AUDIENCE, ISSUER, NOW, SECRET, make_token

TEXT = (Path(__file__).parents[2] / "docs" / "refusals.md").read_text(encoding="utf-8")
PAGE, COUNT, WRITE = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def _app(block: str) -> Any:
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    namespace: dict[str, Any] = {"__name__": "refusals", "Guard": Guard, "jwt": jwt}
    exec(compile(block, "refusals.md", "exec"), namespace)
    return raw_asgi(namespace["guard"], lambda: NOW)


def test_a_page_of_ones_own() -> None:
    """A browser gets the page of the application, and a program the problem document."""
    app = _app(PAGE)
    assert ask_asgi(app, "GET", "/", [("Accept", b"text/html")]).body == b"<h1>401</h1>"
    assert json.loads(ask_asgi(app, "GET", "/").body)["status"] == 401


def test_decisions_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decisions are counted by attributes with few values, with the API of OpenTelemetry."""
    added: list[Any] = []

    class Instrument:
        """Be a counter as the API describes it."""

        def get_meter(self, name: str) -> "Instrument":
            return self

        def create_counter(self, name: str) -> "Instrument":
            return self

        def add(self, amount: int, attributes: dict[str, Any]) -> None:
            added.append((amount, attributes))

    module = ModuleType("opentelemetry")
    monkeypatch.setattr(module, "metrics", Instrument(), raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", module)
    ask_asgi(_app(COUNT), "GET", "/some/path")
    ((amount, labels),) = added
    assert (amount, labels["status"], labels["reason"]) == (1, 401, "missing_credentials")
    assert (labels["allowed"], labels["rule"], labels["method"]) == (False, "(default)", "none")


def test_decisions_are_written(caplog: pytest.LogCaptureFixture) -> None:
    """Each decision is logged as one line, also if the path has a line break."""
    caplog.set_level(logging.INFO, "shop.audit")
    token = ("Authorization", f"Bearer {make_token()}".encode())
    ask_asgi(_app(WRITE), "GET", "/a%0Ab", [token])
    (line,) = [record.getMessage() for record in caplog.records if record.name == "shop.audit"]
    event = DecisionEvent(**json.loads(line))
    assert (event.allowed, event.subject, event.path, "\n" in line) == (True, "ann", "/a\nb", False)


def test_the_page_names_each_attribute() -> None:
    """The table of the page has each attribute of an event."""
    table = TEXT.partition("| attribute |")[2].partition("\n\n")[0]
    names = [name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(names) == sorted(DecisionEvent._fields)
