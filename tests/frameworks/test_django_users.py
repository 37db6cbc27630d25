"""`request.user` is the caller for all of Django: templates, decorators, sessions and users of a database."""

from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from frameworks.support import need

need("django", "corsheaders", "rest_framework")

pytestmark = pytest.mark.frameworks

from django.contrib.auth import get_user_model
from django.contrib.auth.decorators import login_required, permission_required, user_passes_test
from django.core.management import call_command
from django.http import HttpResponse
from django.template import engines
from django.test import AsyncClient, Client
from django.test.utils import override_settings
from django.urls import include
from django.urls import path as url
from django.views import View

from adapters.answering import ADMIN, AUDIENCE, FORGED, GOOD, ISSUER, NOW, SECRET, bearer, token
from authguard import ANONYMOUS, AccessCookie, Guard, JWTVerifier, Principal, in_memory
from authguard.django import PrincipalUser, current_principal, requires
from authguard.django.users import as_user
from authguard.drivers.loops import running_loop
from authguard.testing import override
from frameworks.django_project import GUARD, STANDARD, Project, urls

KINDS = pytest.mark.parametrize("kind", ["wsgi", "asgi"])
LOGIN_REQUIRED = "django.contrib.auth.middleware.LoginRequiredMiddleware"


def guard(**options: Any) -> Guard:
    """Return a guard with a public path."""
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    return Guard(verifier, **({"public_paths": ["/open"]} | options))


def ask(kind: str, view: Any, *fields: Any, rules: Guard | None = None, **changes: Any) -> Any:
    """Return the answer of a view at a public path."""
    patterns = [url("open", view), url("private", view)]
    project = Project(kind, rules or guard(), *patterns, CLOCK=lambda: NOW, **changes)
    return project.ask("GET", "/open", fields)


def show(request: Any) -> HttpResponse:
    """Answer the class and the name of the user."""
    return HttpResponse(f"{type(request.user).__name__} {request.user}")


@KINDS
def test_a_template_shows_the_caller(kind: str) -> None:
    """A template shows the caller by the names of Django."""

    def page(request: Any) -> HttpResponse:
        shown = "{{ user }} {{ user.username }} {{ user.get_username }}"
        text = "{% if user.is_authenticated %}" + shown + "{% else %}-{% endif %}"
        return HttpResponse(engines["django"].from_string(text).render({"user": request.user}))

    assert ask(kind, page, bearer(GOOD)).body == b"somebody somebody somebody"
    assert ask(kind, page).body == b"-"


@KINDS
def test_decorators_of_django_know_the_caller(kind: str) -> None:
    """Decorators of Django know the caller, and a principal has no permissions of Django."""
    passes = user_passes_test(lambda user: "clerk" in user.roles)
    for decorate in (login_required, passes):
        assert ask(kind, decorate(show), bearer(GOOD)).body == b"PrincipalUser somebody"
    assert ask(kind, login_required(show)).status == 302
    assert ask(kind, passes(show), bearer(ADMIN)).status == 302
    permitted = permission_required("auth.add_user", raise_exception=True)(show)
    assert ask(kind, permitted, bearer(token(scope="auth.add_user"))).status == 403


@KINDS
def test_decorators_of_async_views_know_the_caller(kind: str) -> None:
    """Decorators of async views know the caller by `request.auser()`."""

    async def page(request: Any) -> HttpResponse:
        return HttpResponse((await request.auser()).subject)

    assert ask(kind, login_required(page), bearer(GOOD)).body == b"somebody"
    assert ask(kind, login_required(page)).status == 302


@KINDS
def test_mixins_of_django_know_the_caller(kind: str) -> None:
    """Mixins for classes of views know the caller."""
    from django.contrib.auth.mixins import LoginRequiredMixin, PermissionRequiredMixin

    class Mine(LoginRequiredMixin, View):
        def get(self, request: Any) -> HttpResponse:
            return show(request)

    class Theirs(PermissionRequiredMixin, View):
        permission_required = "auth.add_user"

    assert ask(kind, Mine.as_view(), bearer(GOOD)).body == b"PrincipalUser somebody"
    assert ask(kind, Mine.as_view()).status == 302
    assert ask(kind, Theirs.as_view(), bearer(GOOD)).status == 403


@KINDS
def test_the_middleware_that_requires_a_login_knows_the_caller(kind: str) -> None:
    """LoginRequiredMiddleware knows the caller."""
    layers = [*STANDARD, LOGIN_REQUIRED]
    assert ask(kind, show, bearer(GOOD), MIDDLEWARE=layers).status == 200
    assert ask(kind, show, MIDDLEWARE=layers).status == 302


def test_a_user_is_equal_to_its_principal() -> None:
    """A user is equal to its principal, in either order."""
    principal = Principal("ann", scopes=frozenset({"read"}))
    user = PrincipalUser("ann", scopes=frozenset({"read"}))
    assert user == principal
    assert principal == user
    assert hash(user) == hash(principal)
    assert user != Principal("bob", scopes=frozenset({"read"}))
    assert user != "ann"


def test_a_user_has_what_packages_ask_for() -> None:
    """A user has the attributes of Django's users, without a permission."""
    user = PrincipalUser("ann", scopes=frozenset({"auth.add_user"}))
    assert (user.pk, user.id, user.is_staff, user.is_superuser) == ("ann", "ann", False, False)
    assert (as_user(ANONYMOUS).pk, as_user(ANONYMOUS).id) == (None, None)
    assert (user.is_active, user.is_anonymous) == (True, False)
    assert not user.has_perm("auth.add_user")
    assert not user.has_perms(["auth.add_user"])
    assert user.has_perms([])
    assert not user.has_module_perms("auth")
    assert user.get_all_permissions() == set()
    assert not async_to_sync(user.ahas_perm)("auth.add_user")
    assert not async_to_sync(user.ahas_perms)(["auth.add_user"])
    assert not async_to_sync(user.ahas_module_perms)("auth")
    assert async_to_sync(user.aget_all_permissions)() == set()


@pytest.fixture(name="ann", scope="module")
def _ann() -> Iterator[Any]:
    """Yield a user in a database, which only the thread of the test can read."""
    call_command("migrate", verbosity=0)
    ann = get_user_model().objects.create_user("ann", password="a-Long-0ne", is_staff=True)
    yield ann
    ann.delete()


def signed_in(ann: Any, kind: str = "wsgi") -> Any:
    """Return a test client with a session of Django."""
    client = Client() if kind == "wsgi" else AsyncClient()
    client.force_login(ann)
    return client


def settings_of(rules: Guard, view: Any) -> Any:
    """Return settings of a project with three paths for a view."""
    patterns = [url(path, view) for path in ("open", "private", "maybe")]
    return override_settings(AUTHGUARD=rules, ROOT_URLCONF=urls(*patterns), CLOCK=lambda: NOW)


def test_a_session_of_django_stays_where_no_credential_is_presented(ann: Any) -> None:
    """A session of Django is kept on a public path without a credential, and the guard has no caller."""

    def page(request: Any) -> HttpResponse:
        return HttpResponse(f"{request.user} {current_principal(request).is_authenticated}")

    with settings_of(guard(), page):
        client = signed_in(ann)
        assert client.get("/open").content == b"ann False"
        assert client.get("/private").status_code == 401


def test_a_credential_goes_before_a_session_of_django(ann: Any) -> None:
    """A credential is used instead of a session, and an invalid one makes the caller anonymous."""
    with settings_of(guard(), show):
        client = signed_in(ann)
        good = client.get("/open", headers={"authorization": f"Bearer {GOOD}"})
        assert good.content == b"PrincipalUser somebody"
        for bad in (f"Bearer {FORGED}", f"Bearer {GOOD}, Bearer {GOOD}"):
            answer = client.get("/open", headers={"authorization": bad})
            assert answer.content == b"PrincipalUser ", bad


def test_a_session_of_django_meets_no_requirement(ann: Any) -> None:
    """A session of Django does not meet `requires`."""
    with settings_of(guard(), requires()(show)):
        assert signed_in(ann).get("/open").status_code == 401


def test_a_refused_request_is_nobodys(ann: Any) -> None:
    """A refused request has an anonymous user for outer middleware."""
    with settings_of(guard(), show):
        answer = signed_in(ann).get("/private")
        assert answer.wsgi_request.user.is_anonymous


def load(principal: Principal) -> Any:
    """Return the user of a principal, by the ORM of Django."""
    return get_user_model().objects.filter(username=principal.subject).first()


@pytest.mark.parametrize("client_class", [Client, AsyncClient])
def test_a_user_loader_may_use_the_orm(ann: Any, client_class: Any) -> None:
    """A user loader may use the ORM, in the thread with the connection of the request."""
    rules = guard(user_loader=load)
    with settings_of(rules, show):
        client = client_class()
        headers = {"authorization": f"Bearer {token(sub='ann')}"}
        ask = client.get if client_class is Client else async_to_sync(client.get)
        assert ask("/private", headers=headers).content == b"User ann"
        gone = {"authorization": f"Bearer {token(sub='gone')}"}
        assert ask("/private", headers=gone).status_code == 401


@pytest.mark.parametrize("client_class", [Client, AsyncClient])
def test_an_async_user_loader(ann: Any, client_class: Any) -> None:
    """An async user loader is awaited."""

    async def aload(principal: Principal) -> Any:
        return await get_user_model().objects.aget(username=principal.subject)

    with settings_of(guard(user_loader=aload), show):
        client = client_class()
        ask = client.get if client_class is Client else async_to_sync(client.get)
        answer = ask("/private", headers={"authorization": f"Bearer {token(sub='ann')}"})
        assert answer.content == b"User ann"


@pytest.mark.parametrize("client_class", [Client, AsyncClient])
def test_a_user_loader_in_memory_is_called_at_once(client_class: Any) -> None:
    """A user loader in memory is called in the event loop on ASGI, and in the request's thread on WSGI."""
    in_loop: list[bool] = []

    @in_memory
    def find(principal: Principal) -> Any:
        in_loop.append(running_loop() is not None)
        return get_user_model()(username=principal.subject)

    with settings_of(guard(user_loader=find), show):
        client = client_class()
        ask = client.get if client_class is Client else async_to_sync(client.get)
        answer = ask("/private", headers={"authorization": f"Bearer {token(sub='ann')}"})
        assert answer.content == b"User ann"
    assert in_loop == [client_class is AsyncClient]


def test_permissions_of_a_loaded_user_are_those_of_django(ann: Any) -> None:
    """Permissions of a loaded user are those of Django."""
    from django.contrib.auth.models import Permission

    permission = Permission.objects.get(codename="add_user")
    ann.user_permissions.add(permission)
    permitted = permission_required("auth.add_user", raise_exception=True)(show)
    with settings_of(guard(user_loader=load), permitted):
        headers = {"authorization": f"Bearer {token(sub='ann')}"}
        assert Client().get("/private", headers=headers).content == b"User ann"
    ann.user_permissions.clear()


def test_override_in_the_test_clients_of_django() -> None:
    """`override` sets the caller in the test clients of Django."""
    rules = guard()
    with settings_of(rules, requires("write")(show)):
        for user, status in [(Principal("ann", scopes=["write"]), 200), (Principal("ann"), 403)]:
            with override(rules, user):
                answer = Client().get("/private")
                assert answer.status_code == status
                assert answer.wsgi_request.user == user
                assert async_to_sync(AsyncClient().get)("/private").status_code == status
        assert Client().get("/private").status_code == 401


def test_views_below_include_have_the_caller() -> None:
    """Views in an included URLconf have the caller."""
    part = urls(url("deep", requires("read")(show)))
    with override_settings(
        AUTHGUARD=guard(),
        ROOT_URLCONF=urls(url("part/", include(part))),
        CLOCK=lambda: NOW,
        MIDDLEWARE=[GUARD],
    ):
        answer = Client().get("/part/deep", headers={"authorization": f"Bearer {GOOD}"})
        assert answer.content == b"PrincipalUser somebody"
        assert Client().get("/part/deep").status_code == 401


def test_a_cookie_in_the_test_client_needs_no_hidden_field() -> None:
    """A cookie in the test client needs no further field, unless the client checks CSRF."""
    rules = guard(cookie=AccessCookie("session", secure=False))
    with settings_of(rules, show):
        for client_class in (Client, AsyncClient):
            client, strict = client_class(), client_class(enforce_csrf_checks=True)
            client.cookies["session"] = strict.cookies["session"] = GOOD
            post = client.post if client_class is Client else async_to_sync(client.post)
            strictly = strict.post if client_class is Client else async_to_sync(strict.post)
            assert post("/private").status_code == 200
            assert post("/private", headers={"sec-fetch-site": "cross-site"}).status_code == 403
            assert post("/private", headers={"origin": "https://evil.example"}).status_code == 403
            assert strictly("/private").status_code == 403
