"""The blocks of docs/django.md are a project that works as the page says."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from frameworks.support import need

need("django", "corsheaders", "rest_framework")

pytestmark = pytest.mark.frameworks

from django.conf import settings as django_settings
from django.core.management import call_command
from django.test import Client
from django.test.utils import override_settings

from authguard import Principal
from authguard.django import get_guard
from authguard.testing import issue_token, override
from frameworks import django_project  # noqa: F401  # it sets Django up

PAGE = (Path(__file__).parents[2] / "docs" / "django.md").read_text(encoding="utf-8")
GUARDS, SETTINGS, VIEWS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SECRET = "djang0-d0cs-Secret-of-enough-bytes-3Lm"


def _module(name: str, source: str) -> ModuleType:
    module = ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
    return module


@pytest.fixture(name="client")
def _client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("JWT_SECRET", SECRET)
    monkeypatch.setitem(sys.modules, "mysite", ModuleType("mysite"))
    monkeypatch.setitem(sys.modules, "mysite.guards", _module("mysite.guards", GUARDS))
    monkeypatch.setitem(sys.modules, "mysite.urls", _module("mysite.urls", VIEWS))
    settings: dict[str, Any] = {}
    exec(compile(SETTINGS, "settings.py", "exec"), settings)
    chosen = {name: value for name, value in settings.items() if name.isupper()}
    chosen["INSTALLED_APPS"] = [*django_settings.INSTALLED_APPS]
    assert set(settings["INSTALLED_APPS"]) <= set(chosen["INSTALLED_APPS"])
    with override_settings(ROOT_URLCONF="mysite.urls", **chosen):
        yield Client()


def bearer(**claims: Any) -> dict[str, str]:
    """Return the field of a caller."""
    given = {"iss": "https://auth.example.com", "aud": "https://api.example.com", "subject": "ann"} | claims
    return {"authorization": f"Bearer {issue_token(SECRET, **given)}"}


def test_the_settings_pass_the_check(client: Client) -> None:
    """`manage.py check` reports nothing."""
    call_command("check", fail_level="WARNING")


def test_the_views_are_guarded(client: Client) -> None:
    """The views are guarded by the rules and by their decorators."""
    assert client.get("/me").status_code == 401
    assert client.get("/me", headers=bearer(scopes=["a"])).json() == {"user": "ann", "scopes": ["a"]}
    assert client.get("/write", headers=bearer()).status_code == 403
    assert client.get("/write", headers=bearer(scopes=["write"])).json() == {"user": "ann"}
    assert client.get("/accounts", headers=bearer(roles=["boss"])).status_code == 401
    assert client.get("/reports", headers=bearer()).status_code == 403


def test_tests_of_the_project_are_anybody(client: Client) -> None:
    """A test of the project sets the caller by `override`, as on the page."""
    with override(get_guard(), Principal("ann", scopes=["write"])):
        assert client.get("/write").json() == {"user": "ann"}
    assert client.get("/write").status_code == 401
