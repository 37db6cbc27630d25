"""Configure a Django project for the tests, and handlers of it with the guard of a test."""

import time
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import django
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test.utils import override_settings
from django.urls import re_path

from adapters.faces import Answer, Field, ask_asgi, ask_wsgi
from authguard import Guard
from authguard.django import AuthGuardMiddleware, current_principal

CORS_LAYER = "corsheaders.middleware.CorsMiddleware"
GUARD = "frameworks.django_project.Guarded"
#: The middleware of `django-admin startproject`, with the guard at the documented position.
STANDARD = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    GUARD,
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
#: The fields that this middleware adds to each response.
_OWN_FIELDS = {
    "content-length",
    "cross-origin-opener-policy",
    "referrer-policy",
    "x-content-type-options",
    "x-frame-options",
}

if not settings.configured:
    settings.configure(
        SECRET_KEY="q7%vz!k2m(9xw0f^t4b8hn*1rj6dc@y5s3lg+pua_e-i=o)z7",
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.sessions",
            "corsheaders",
            "rest_framework",
            "authguard.django",
        ],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        MIDDLEWARE=STANDARD,
        LOGGING_CONFIG=None,
        USE_TZ=True,
        CLOCK=time.time,
    )
    django.setup()


class Guarded(AuthGuardMiddleware):
    """Run the middleware with the clock of the test."""

    @staticmethod
    def clock() -> float:
        """Return the time of the test."""
        now: float = settings.CLOCK()
        return now


class OnlySync:
    """Represent middleware that cannot be asynchronous, so that the middleware before it is not, either."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request)


class OnlyAsync:
    """Represent middleware that cannot be synchronous."""

    sync_capable = False
    async_capable = True

    def __init__(self, get_response: Any) -> None:
        from asgiref.sync import markcoroutinefunction

        self.get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> Any:
        return await self.get_response(request)


def urls(*patterns: Any) -> ModuleType:
    """Return a module with these patterns, for `ROOT_URLCONF`."""
    module = ModuleType("urls")
    module.__dict__["urlpatterns"] = list(patterns)
    return module


def subject(request: Any) -> HttpResponse:
    """Answer with the subject of the caller."""
    principal = current_principal(request)
    assert request.auth.principal is principal
    # On open paths, Django's middleware has set its own anonymous user.
    return HttpResponse(getattr(request.user, "subject", principal.subject))


subject.csrf_exempt = True  # type: ignore[attr-defined]  # as the decorator marks it
EVERYWHERE = urls(re_path(r"(?s)^.*$", subject))


class Project:
    """Run a handler with settings of its own, which apply while it answers.

    Args:
        kind: `wsgi` or `asgi`.
        guard: of the setting `AUTHGUARD`.
        patterns: the URLs; without any, a view at each path returns the subject of the caller.
        changes: other settings.
    """

    def __init__(self, kind: str, guard: Any, *patterns: Any, **changes: Any) -> None:
        root = urls(*patterns) if patterns else EVERYWHERE
        self.kind = kind
        self.settings = {"AUTHGUARD": guard, "ROOT_URLCONF": root, **changes}
        with override_settings(**self.settings):
            self.handler = WSGIHandler() if kind == "wsgi" else ASGIHandler()

    def __call__(self, *arguments: Any) -> Any:
        """Answer like the handler."""
        return self._answer(*arguments) if self.kind == "wsgi" else self._aanswer(*arguments)

    def _answer(self, environ: Any, start_response: Any) -> Any:
        with override_settings(**self.settings):
            return self.handler(environ, start_response)

    async def _aanswer(self, scope: Any, receive: Any, send: Any) -> None:
        with override_settings(**self.settings):
            await self.handler(scope, _waiting(receive), send)

    def ask(
        self, method: str, path: str, fields: Iterable[Field] = (), *, body: bytes = b"", **options: Any
    ) -> Answer:
        """Send one request, and leave out the fields that other middleware adds to each response."""
        fields = [*fields, ("Content-Length", b"%d" % len(body))] if body else list(fields)
        ask = ask_wsgi if self.kind == "wsgi" else ask_asgi
        answer = ask(self, method, path, fields, body=body, **options)
        own = _OWN_FIELDS if answer.status == 204 else ()
        # Django writes a space before the value of Set-Cookie, which servers and clients ignore.
        kept = {name: value.strip() for name, value in answer.headers.items() if name not in own}
        return Answer(answer.status, kept, answer.body)


def _waiting(receive: Any) -> Any:
    """Simulate a client that stays connected, because Django waits for its disconnect while it answers."""
    calls: list[bool] = []

    async def wait() -> Any:
        if calls:
            import asyncio

            await asyncio.Event().wait()
        calls.append(True)
        return await receive()

    return wait


def ask_project(app: Any, method: str, path: str, fields: Iterable[Field] = ()) -> Answer:
    """Send one request, like the functions of `adapters.faces`."""
    answer: Answer = app.ask(method, path, fields)
    return answer


def make_project(kind: str, extra: Iterable[str] = ()) -> Callable[[Guard, Callable[[], float]], Project]:
    """Return a function that creates a project with a guard and a clock, as in the table of the adapters.

    Args:
        kind: `wsgi` or `asgi`.
        extra: middleware after that of the guard.
    """

    def make(guard: Guard, clock: Callable[[], float]) -> Project:
        return Project(kind, guard, MIDDLEWARE=[*STANDARD, *extra], CLOCK=clock)

    return make
