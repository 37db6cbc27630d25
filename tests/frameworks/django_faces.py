"""Replace each face of the adapters with Django: a plugin of pytest, for tests of other folders."""

from typing import Any

from django.http import HttpResponse
from django.urls import path as url

from adapters import faces
from authguard.django import requires
from frameworks.django_project import Project, ask_project, make_project


def _page(request: Any) -> HttpResponse:
    return HttpResponse(request.user.subject)


async def _apage(request: Any) -> HttpResponse:
    return HttpResponse((await request.auser()).subject)


def _decorated(kind: str, view: Any) -> Any:
    def make(guard: Any, clock: Any, requirement: dict[str, Any]) -> Project:
        options = dict(requirement)
        decorate = requires(*options.pop("scopes", ()), **options)
        return Project(kind, guard, url("route", decorate(view)), CLOCK=clock)

    return make, ask_project


_asgi: Any = make_project("asgi")
_wsgi: Any = make_project("wsgi")
faces.raw_asgi, faces.raw_wsgi = _asgi, _wsgi
for name in faces.ASGI:
    faces.ASGI[name] = _asgi
for name in faces.WSGI:
    faces.WSGI[name] = _wsgi
for name in faces.DECORATED:
    is_async = name in ("starlette", "fastapi")
    faces.DECORATED[name] = _decorated("asgi" if is_async else "wsgi", _apage if is_async else _page)
