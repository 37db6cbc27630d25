"""The settings of a Django project: the guard, the order of middleware, and `manage.py check`."""

from types import ModuleType
from typing import Any

import pytest

from frameworks.support import need

need("django", "corsheaders", "rest_framework")

pytestmark = pytest.mark.frameworks

from django.apps import apps
from django.conf import settings
from django.conf.urls.i18n import i18n_patterns
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.test import Client
from django.test.utils import override_settings
from django.urls import include, path, re_path
from django.views import View

from adapters.answering import AUDIENCE, ISSUER, SECRET
from authguard import AccessCookie, ConfigurationError, Guard, JWTVerifier, MemoryRevocations, Rule
from authguard.django import AuthGuardMiddleware, current_principal, get_guard, requires
from frameworks.django_project import CORS_LAYER, EVERYWHERE, GUARD, STANDARD

AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
REMOTE_USER = "django.contrib.auth.middleware.PersistentRemoteUserMiddleware"
STORING, FETCHING = (f"django.middleware.cache.{name}CacheMiddleware" for name in ("Update", "FetchFrom"))
OWN = "authguard.django.AuthGuardMiddleware"


def make_guard(**options: Any) -> Guard:
    """Return a guard."""
    return Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE), **options)


the_guard = make_guard()
made: list[Guard] = []


def build() -> Guard:
    """Return a new guard, as a function of a project."""
    made.append(make_guard())
    return made[-1]


async def abuild() -> Guard:
    """Return a guard as an async function."""
    return make_guard()


def plain_layer(get_response: Any) -> Any:
    """Be middleware as a function."""
    return get_response


def build_nothing() -> None:
    """Return nothing."""


@pytest.mark.parametrize("setting", [the_guard, f"{__name__}.the_guard", lambda: the_guard])
def test_the_guard_is_what_the_setting_leads_to(setting: Any) -> None:
    """The setting may be a guard, its dotted path, or a function that returns it."""
    with override_settings(AUTHGUARD=setting):
        if isinstance(setting, str):
            assert isinstance(get_guard(), Guard)
        else:
            assert get_guard() is the_guard


@pytest.mark.parametrize(("server", "lines"), [("example.com", 1), ("testserver", 0)])
def test_several_processes_with_revocations_in_memory_are_named(server: str, lines: int, caplog: Any) -> None:
    """Several processes with revocations in memory are a warning once, except for the test client."""
    guard = make_guard(revocations=MemoryRevocations())
    chosen = {"AUTHGUARD": guard, "MIDDLEWARE": STANDARD, "ROOT_URLCONF": EVERYWHERE}
    with override_settings(**chosen, ALLOWED_HOSTS=["*"]):
        client = Client(SERVER_NAME=server, headers={"host": "example.com"})
        for _ in range(2):
            client.get("/")
    assert caplog.text.count("the server has several processes, and each has its own revocations") == lines


def test_a_function_is_called_once() -> None:
    """The function of the setting is called once, so that a test overrides the guard of the handlers."""
    made.clear()
    with override_settings(AUTHGUARD=build):
        guards = {get_guard(), AuthGuardMiddleware(lambda request: None).guard, get_guard()}
    assert (len(guards), len(made)) == (1, 1)


@pytest.mark.parametrize(
    ("setting", "got"),
    [
        (None, "got nothing"),
        ("frameworks.nowhere.guard", "got 'frameworks.nowhere.guard' (No module named"),
        ("guard", "got 'guard' (guard doesn't look like a module path)"),
        (f"{__name__}.no_guard", "no_guard' (Module"),
        ("frameworks.test_django_settings.SECRET", "got str"),
        (JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE), "got JWTVerifier"),
        ({"GUARD": "x"}, "got dict"),
        (Guard, "got the class Guard"),
        (abuild, "got an async function, abuild"),
        (build_nothing, "must return a Guard, got NoneType"),
    ],
    ids=lambda value: None if isinstance(value, str) else type(value).__name__,
)
def test_another_setting_is_refused_at_the_start(setting: Any, got: str) -> None:
    """An unusable setting is refused at the start with the correct spelling, and without a secret."""
    with override_settings(AUTHGUARD=setting), pytest.raises(ConfigurationError) as raised:
        get_wsgi_application()
    assert str(raised.value).startswith(("AUTHGUARD in the settings must", "the function of AUTHGUARD"))
    assert got in str(raised.value)
    assert 'write AUTHGUARD = "mysite.guards.guard"' in str(raised.value)
    assert SECRET not in str(raised.value)


def test_a_missing_setting_is_refused_at_the_start() -> None:
    """A missing setting is refused at the first request of the test client."""
    with override_settings():
        if hasattr(settings, "AUTHGUARD"):
            del settings.AUTHGUARD
        with pytest.raises(ConfigurationError, match="must lead to a Guard, got nothing"):
            Client().get("/")


ORDERS = {
    "before Django's own users": ([SESSIONS, GUARD, AUTHENTICATION], AUTHENTICATION, "request.user"),
    "before users of a proxy": ([SESSIONS, AUTHENTICATION, GUARD, REMOTE_USER], REMOTE_USER, "request.user"),
    "before CORS": ([GUARD, CORS_LAYER], CORS_LAYER, "preflights"),
    "before what stores pages": ([GUARD, STORING, FETCHING], STORING, "distinguish callers"),
    "after what answers from the cache": ([STORING, FETCHING, GUARD], FETCHING, "from the cache"),
}


@pytest.mark.parametrize("name", ORDERS)
def test_the_wrong_order_is_refused_at_the_start(name: str) -> None:
    """A wrong order of middleware is refused with both names, the reason and the correction."""
    layers, other, reason = ORDERS[name]
    with override_settings(AUTHGUARD=the_guard, MIDDLEWARE=layers):
        with pytest.raises(ConfigurationError) as raised:
            WSGIHandler()
        with pytest.raises(SystemCheckError, match=r"\(authguard\.E002\)"):
            call_command("check")
    text = str(raised.value)
    assert text.startswith(f"MIDDLEWARE must have {other} ")
    assert reason in text
    assert text.endswith((f"move {GUARD} below it", f"move {GUARD} above it"))


@pytest.mark.parametrize(
    "layers",
    [
        STANDARD,
        [OWN],
        [STORING, CORS_LAYER, SESSIONS, AUTHENTICATION, REMOTE_USER, GUARD, FETCHING],
        [f"{__name__}.plain_layer", GUARD, f"{__name__}.plain_layer"],
    ],
)
def test_the_right_order_is_taken(layers: list[str]) -> None:
    """A correct order of middleware is accepted."""
    with override_settings(AUTHGUARD=the_guard, MIDDLEWARE=layers, ROOT_URLCONF=EVERYWHERE):
        WSGIHandler()
        call_command("check")


def test_twice_is_refused() -> None:
    """The middleware of a guard is refused if it is listed twice."""
    with (
        override_settings(AUTHGUARD=the_guard, MIDDLEWARE=[OWN, GUARD]),
        pytest.raises(ConfigurationError, match="once, got it 2 times"),
    ):
        WSGIHandler()


def test_around_a_whole_application_is_refused() -> None:
    """The middleware is refused around a whole WSGI application."""
    with override_settings(AUTHGUARD=the_guard, MIDDLEWARE=[GUARD]):
        application = WSGIHandler()
        with pytest.raises(ConfigurationError, match="must stand in the setting MIDDLEWARE"):
            AuthGuardMiddleware(application)


@pytest.mark.parametrize(
    ("changes", "identifier"),
    [
        ({"AUTHGUARD": None}, r"\(authguard\.E001\)"),
        ({"MIDDLEWARE": []}, r"\(authguard\.E003\)"),
    ],
)
def test_the_check_says_what_is_wrong(changes: dict[str, Any], identifier: str) -> None:
    """`manage.py check` reports a missing guard or middleware."""
    given = {"AUTHGUARD": the_guard, "MIDDLEWARE": STANDARD, "ROOT_URLCONF": EVERYWHERE}
    with override_settings(**(given | changes)), pytest.raises(SystemCheckError, match=identifier):
        call_command("check")


@pytest.mark.parametrize(
    ("layers", "warned"),
    [(STANDARD[:3], True), ([*STANDARD[:3], OWN], False), (STANDARD, False), (["not.there"], False)],
    ids=["none", "guard", "own class", "unknown"],
)
def test_a_project_without_the_middleware_is_warned_at_the_start(
    layers: list[str], warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A project without the middleware gets a warning at the start, because no path is guarded."""
    with override_settings(AUTHGUARD=the_guard, MIDDLEWARE=layers):
        apps.get_app_config("authguard").ready()
    assert ("so that nothing is guarded" in caplog.text) is warned


@pytest.mark.parametrize(("name", "is_shown"), [("session", True), ("access_token", False)])
def test_the_check_knows_cookies_that_django_would_show(name: str, is_shown: bool) -> None:
    """The check warns about a cookie whose value is in Django's error reports."""
    cookie = AccessCookie(name, secure=False)
    with override_settings(AUTHGUARD=make_guard(cookie=cookie), ROOT_URLCONF=EVERYWHERE):
        if is_shown:
            with pytest.raises(SystemCheckError, match=r"\(authguard\.W004\)"):
                call_command("check", fail_level="WARNING")
        else:
            call_command("check", fail_level="WARNING")


def view(request: Any, **_: Any) -> HttpResponse:
    """Answer a request."""
    return HttpResponse()


def urls(*patterns: Any) -> Any:
    """Return a URLconf."""
    module: Any = ModuleType("urls")
    module.urlpatterns = list(patterns)
    return module


WITH_PREFIX = path("api/", include([path("admin/<int:id>/", view)]))


@pytest.mark.parametrize(
    ("patterns", "warned"),
    [
        ([WITH_PREFIX], True),
        ([WITH_PREFIX, path("admin/", view)], False),
        ([WITH_PREFIX, re_path("^(?P<rest>.*)$", view)], False),
    ],
    ids=["prefix", "both", "unknown"],
)
def test_the_check_knows_a_pattern_that_misses_the_prefix(patterns: list[Any], warned: bool) -> None:
    """The check warns about a rule without the prefix of an included URLconf."""
    chosen = {"AUTHGUARD": make_guard(protected_paths=["/admin"]), "ROOT_URLCONF": urls(*patterns)}
    with override_settings(**chosen):
        if warned:
            with pytest.raises(SystemCheckError, match=r"\(authguard\.W005\) .*write '/api/admin'"):
                call_command("check", fail_level="WARNING")
        else:
            call_command("check", fail_level="WARNING")


def test_the_check_knows_a_pattern_that_misses_its_beginning() -> None:
    """The check warns if a view at `/admin/` lacks the requirement of `/admin/*`."""
    chosen = {
        "AUTHGUARD": make_guard(protected_paths=["/", Rule("/admin/*", roles=["admin"])]),
        "ROOT_URLCONF": urls(path("admin/", view), path("admin/<int:id>/", view)),
    }
    with (
        override_settings(**chosen),
        pytest.raises(SystemCheckError, match=r"authguard\.W005\) .*write '/admin', which covers both"),
    ):
        call_command("check", fail_level="WARNING")


REPORTS = path("reports/", view)
TOO = "another path of the same page: write a rule for '/{}/reports', too"


@pytest.mark.parametrize(
    ("patterns", "text"),
    [
        ([path("<slug:tenant>/", include([REPORTS]))], r"write '/\*/reports'"),
        ([path("<slug:tenant>/", view), path("<slug:tenant>/reports/", view)], r"write '/\*/reports'"),
        ([re_path(r"^api/reports/$", view)], "write '/api/reports'"),
        ([re_path(r"^(?P<v>v\d+)/", include([REPORTS]))], r"write '/\*/reports'"),
        ([re_path(r"^(api|rest)/reports/?$", view)], "write '/api/reports'"),
        ([re_path(r"^(?:api/)?reports/$", view)], TOO.format("api")),
        ([re_path(r"^(?P<language>[a-z]{2}/)?reports/$", view)], TOO.format(r"\*")),
        (i18n_patterns(REPORTS), r"write '/\*/reports'"),
        (i18n_patterns(REPORTS, prefix_default_language=False), TOO.format(r"\*")),
        (
            i18n_patterns(path("api/", include([REPORTS])), prefix_default_language=False),
            "write '/api/reports'",
        ),
    ],
    ids=["slug", "home", "regex", "version", "choice", "optional", "parameter", "i18n", "default", "both"],
)
@pytest.mark.parametrize("languages", [2, 100])
def test_the_check_knows_each_kind_of_prefix(patterns: list[Any], text: str, languages: int) -> None:
    """The check warns about a prefix that is a parameter, a regular expression or a language."""
    chosen = {
        "AUTHGUARD": make_guard(protected_paths=["/", Rule("/reports", scopes=["admin"])]),
        "ROOT_URLCONF": urls(*patterns),
        "LANGUAGES": [("en", "English"), ("de", "Deutsch"), *((f"x{n}", "X") for n in range(languages - 2))],
        "LANGUAGE_CODE": "en",
    }
    with override_settings(**chosen), pytest.raises(SystemCheckError, match=rf"authguard\.W005\) .*{text}"):
        call_command("check", fail_level="WARNING")


@pytest.mark.parametrize(
    ("patterns", "rules"),
    [
        ([path("<slug:tenant>/", include([REPORTS]))], ["/*/reports"]),
        ([re_path(r"reports", view), WITH_PREFIX], ["/reports"]),
        ([re_path(r"^(?=x)reports", view), WITH_PREFIX], ["/admin"]),
        ([re_path(r"^(?:[^/]+/){2}reports/$", view)], ["/reports"]),
        ([re_path(r"^[-\w]+/$", view), WITH_PREFIX], ["/admin"]),
        ([re_path(r"^(?:api/)?reports/$", view)], ["/reports", "/api/reports"]),
        (i18n_patterns(REPORTS, prefix_default_language=False), ["/reports", "/*/reports"]),
        (i18n_patterns(REPORTS, prefix_default_language=False), ["/reports", "/de/reports"]),
        (i18n_patterns(REPORTS), ["/en/reports", "/de/reports"]),
    ],
    ids=["slug", "search", "unread", "repeated", "page", "optional", "default", "spelled", "i18n"],
)
def test_the_check_has_no_false_alarm_about_prefixes(patterns: list[Any], rules: list[str]) -> None:
    """The check is silent if the prefix is in a rule, or if another pattern may have the page."""
    chosen = {
        "AUTHGUARD": make_guard(protected_paths=["/", *(Rule(rule, scopes=["admin"]) for rule in rules)]),
        "ROOT_URLCONF": urls(*patterns),
        "LANGUAGES": [("en", "English"), ("de", "Deutsch")],
        "LANGUAGE_CODE": "en",
    }
    with override_settings(**chosen):
        call_command("check", fail_level="WARNING")


def test_a_view_that_no_middleware_has_seen_says_so() -> None:
    """A view without the middleware raises an error with advice for the project and for a test."""
    from django.test import RequestFactory

    request = RequestFactory().get("/")
    for call in (requires()(lambda request: None), current_principal):
        with pytest.raises(RuntimeError, match=f'add "{OWN}" to MIDDLEWARE; in a test with a RequestFactory'):
            call(request)


def test_a_decorator_says_what_it_cannot_guard() -> None:
    """A decorator refuses a class that is no view, a missing call, or a call without a request."""

    class Plain:
        """Be no view."""

    with pytest.raises(ConfigurationError, match=r"a class of django\.views\.View, got the class"):
        requires()(Plain)
    with pytest.raises(ConfigurationError, match="write @requires"):
        requires(View)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="no request among the arguments"):
        requires()(lambda number: number)(1)
