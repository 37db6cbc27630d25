"""docs/coming-from/simplejwt.md: the guard verifies the tokens of Simple JWT, and then replaces it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from frameworks.support import need

need("django", "corsheaders", "rest_framework", "rest_framework_simplejwt")

pytestmark = pytest.mark.frameworks

import_module("frameworks.django_project")  # it sets Django up, before the framework is imported

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.utils import get_random_secret_key
from django.test import Client
from django.test.utils import override_settings
from django.urls import path
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from authguard import Guard, JWTVerifier
from migrations.support import PASSWORD, run

PAGE = "simplejwt.md"


@pytest.fixture(name="account", autouse=True)
def _account() -> Iterator[Any]:
    call_command("migrate", verbosity=0)
    users = get_user_model().objects
    user = users.create_user("ann", password=PASSWORD)
    yield user
    users.all().delete()


@contextmanager
def project(views: Any, settings: str, guard: Any = None) -> Iterator[Client]:
    """Yield a client of a project with these views and the settings of a section."""
    modules = {name: ModuleType(name) for name in ("mysite", "mysite.guards", "mysite.urls")}
    vars(modules["mysite.guards"])["guard"] = guard
    vars(modules["mysite.urls"])["urlpatterns"] = views.urlpatterns
    chosen = {name: value for name, value in run(PAGE, settings).scope.items() if name.isupper()}
    with pytest.MonkeyPatch.context() as patch, override_settings(ROOT_URLCONF="mysite.urls", **chosen):
        for name, module in modules.items():
            patch.setitem(sys.modules, name, module)
        for name in ("authentication_classes", "permission_classes"):  # the framework reads them at import
            patch.setattr(APIView, name, getattr(api_settings, f"DEFAULT_{name.upper()}"))
        yield Client(raise_request_exception=False)


@pytest.fixture(name="views", scope="module")
def _views() -> Any:
    return run(PAGE, "Before: views")


@pytest.fixture(name="old")
def _old(views: Any) -> dict[str, str]:
    """Return tokens of the old application."""
    with project(views, "Before: settings") as client:
        return sign_in(client)


def sign_in(client: Client, password: str = PASSWORD) -> dict[str, str]:
    """Return a pair of tokens from a sign-in."""
    return dict(client.post("/api/token/", {"username": "ann", "password": password}).json())


def get(client: Client, token: str = "", path: str = "/api/me") -> Any:
    """Request a view."""
    return client.get(path, headers={"authorization": f"Bearer {token}"} if token else {})


def refresh(client: Client, token: str) -> Any:
    """Exchange a refresh token."""
    return client.post("/api/token/refresh/", {"refresh": token})


@pytest.fixture(name="after", params=["the guard", "without Simple JWT"])
def _after(views: Any, request: pytest.FixtureRequest) -> Iterator[Client]:
    """Yield a client of the project after each of the two steps of the page."""
    first_step = run(PAGE, "After: the guard")
    guard = first_step.guard
    if request.param != "the guard":
        own = run(PAGE, "Without Simple JWT")
        guard = Guard(
            own.tokens.verifier(),
            own.old("access"),
            public_paths=["/api/token"],
            user_loader=first_step.load_user,
        )
        views = SimpleNamespace(
            urlpatterns=[
                path("api/token/", own.ObtainToken.as_view()),
                path("api/token/refresh/", own.RefreshToken.as_view()),
                *views.urlpatterns[2:],
            ]
        )
    with project(views, "After: settings", guard) as client:
        yield client


def test_the_old_application_works(views: Any, old: dict[str, str]) -> None:
    """The old application works as on the page, and a plain view is open in it."""
    with project(views, "Before: settings") as client:
        assert get(client, old["access"]).json() == {"user": "ann"}
        assert get(client).status_code == 401
        assert get(client, path="/api/export").status_code == 200
        assert get(client, old["refresh"]).status_code == 401


def test_old_tokens_stay_valid(after: Client, old: dict[str, str]) -> None:
    """Old access tokens open views, and old refresh tokens bring access tokens."""
    assert get(after, old["access"]).json() == {"user": "ann"}
    new = refresh(after, old["refresh"]).json()["access"]
    assert get(after, new).json() == {"user": "ann"}


def test_new_tokens_are_good_for_one_thing(after: Client) -> None:
    """A refresh token opens no view, and an access token cannot be refreshed."""
    new = sign_in(after)
    assert get(after, new["access"]).json() == {"user": "ann"}
    assert get(after, new["refresh"]).status_code == 401
    assert refresh(after, new["access"]).status_code == 401
    assert get(after, refresh(after, new["refresh"]).json()["access"]).status_code == 200
    assert "access" not in sign_in(after, "wrong")


def test_all_views_are_protected(after: Client, old: dict[str, str]) -> None:
    """Plain views and unknown paths are protected in the new application."""
    assert [get(after, path=path).status_code for path in ("/api/me", "/api/export", "/no")] == [401] * 3
    assert get(after, old["access"], "/api/export").status_code == 200
    assert get(after).headers["WWW-Authenticate"] == 'Bearer realm="api"'


def test_an_inactive_user_is_refused(after: Client, old: dict[str, str], account: Any) -> None:
    """A token of an inactive user is refused, also an old one."""
    account.is_active = False
    account.save()
    assert get(after, old["access"]).status_code == 401


def test_the_code_of_a_bad_token_is_another_one(views: Any, after: Client) -> None:
    """The code of an invalid token differs between the two applications."""
    assert get(after, "a.b.c").json()["code"] == "invalid_token"
    with project(views, "Before: settings") as before:
        assert get(before, "a.b.c").json()["code"] == "token_not_valid"


def test_a_secret_key_of_django_is_long_enough() -> None:
    """A secret key of Django's `startproject` is long enough for a verifier."""
    for prefix in ("", "django-insecure-"):
        key = prefix + get_random_secret_key()
        assert JWTVerifier(key, algorithms=["HS256"], issuer=None, audience=None)
