"""The blocks of docs/flask.md run, and its tables have all options."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import authguard.flask

TEXT = (Path(__file__).parents[2] / "docs" / "flask.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
SECRET = "fl4sk-0nly-Secret-of-enough-bytes-5Wd"


def test_the_blocks_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test of the page passes, and its blueprint requires the scope."""
    monkeypatch.setenv("JWT_SECRET", SECRET)
    namespace: dict[str, Any] = {"__name__": "flask_page"}
    exec(compile("".join(BLOCKS), "flask.md", "exec"), namespace)
    namespace["test_the_dashboard"]()
    assert namespace["app"].test_client().get("/dashboard").status_code == 401
    tokens = [namespace["tokens"].issue("1", scopes=scopes) for scopes in ([], ["reports"])]
    clients = [namespace["app"].test_client(token=token) for token in tokens]
    assert [client.get("/reports/all").status_code for client in clients] == [403, 200]


def test_options_of_the_client_are_in_the_table() -> None:
    """The table has the options that Flask's own client does not have."""
    named = set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE))
    assert set(inspect.signature(authguard.flask.AuthGuardClient).parameters) - {"given", "options"} <= named


def test_each_public_name_is_told() -> None:
    """Each public name is in this page or in docs/login.md."""
    login = (Path(__file__).parents[2] / "docs" / "login.md").read_text(encoding="utf-8")
    names = set(authguard.flask.__all__) - {"AuthGuardMiddleware"}
    assert {name for name in names if name not in TEXT + login} == set()
