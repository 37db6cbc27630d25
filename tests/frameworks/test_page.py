"""docs/frameworks.md has the results of the tests, and its blocks run."""

import re
import sys
from types import ModuleType
from typing import Any

import pytest

from frameworks.support import need

need("litestar", "quart", "falcon", "bottle", "hypercorn", "granian", "daphne", "gunicorn", "gevent")

pytestmark = pytest.mark.frameworks

from authguard.testing import issue_token
from frameworks import page
from frameworks.faces import FRAMEWORKS

SECRET = "frame-0nly-Secret-of-enough-bytes-3Vm"
BLOCKS = dict(
    re.findall(
        r"^```python\n# ([^\n]+)\n(.*?)^```$", page.PATH.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
)
#: Names with pages of their own, and interfaces, which are no frameworks.
ELSEWHERE = {"ASGI", "WSGI", "Starlette", "FastAPI", "Flask", "Django on ASGI", "Django on WSGI"}


def test_the_tables_are_of_today() -> None:
    """The tables are current; run `frameworks.page` as a program to write them again."""
    assert page.PATH.read_text(encoding="utf-8") == page.written()


def test_each_framework_has_a_block_and_a_place_of_the_caller() -> None:
    """Each framework has a block, and a description of the caller."""
    assert set(FRAMEWORKS) == {*BLOCKS, *ELSEWHERE}
    assert all(framework.caller for framework in FRAMEWORKS.values())


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_is_a_guarded_application(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block serves the caller of a valid token, and refuses others, except at the root."""
    monkeypatch.setenv("JWT_SECRET", SECRET)
    module = ModuleType("application")
    monkeypatch.setitem(sys.modules, "application", module)
    exec(compile(BLOCKS[name], "docs/frameworks.md", "exec"), vars(module))
    good = {"subject": "ada", "iss": "https://auth.example.com", "aud": "https://api.example.com"}

    def ask(path: str, **token: Any) -> tuple[int, bytes]:
        text = issue_token(token.pop("key", SECRET), **{**good, **token})
        fields = [("Authorization", f"Bearer {text}".encode())] if token.get("subject") != "" else []
        answer = FRAMEWORKS[name].ask(module.app, "GET", path, fields)
        return answer.status, answer.body

    assert ask("/dashboard") == (200, b"ada")
    assert ask("/dashboard", key=SECRET[::-1])[0] == 401
    assert [ask(path, subject="")[0] for path in ("/dashboard", "/other", "/")] == [401, 401, 404]
