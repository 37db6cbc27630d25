"""A page for a cookie with `no_store` is kept neither by browsers nor by the cache of Django."""

from itertools import count
from typing import Any

import pytest

from frameworks.support import need

need("django", "corsheaders", "rest_framework")

from django.core.cache import cache
from django.http import HttpResponse
from django.urls import path as url
from django.views import View

from adapters.answering import GOOD, NOW, cookie
from adapters.test_no_store import guard
from authguard.django import requires
from frameworks.django_project import GUARD, Project

pytestmark = pytest.mark.frameworks

KINDS = pytest.mark.parametrize("kind", ["wsgi", "asgi"])
CACHED = [
    "django.middleware.cache.UpdateCacheMiddleware",
    GUARD,
    "django.middleware.cache.FetchFromCacheMiddleware",
]


def plain(request: Any) -> HttpResponse:
    """Answer as a plain view."""
    return HttpResponse("page")


async def awaited(request: Any) -> HttpResponse:
    """Answer as an `async` view."""
    return HttpResponse("page")


class Page(View):
    """Be a class of `async` views."""

    async def get(self, request: Any) -> HttpResponse:
        """Answer the page."""
        return HttpResponse("page")


VIEWS = {
    "plain": plain,
    "guarded": requires()(plain),
    "awaited": requires()(awaited),
    "class": requires()(Page).as_view(),
}


@KINDS
@pytest.mark.parametrize("view", VIEWS)
def test_a_browser_keeps_no_page(kind: str, view: str) -> None:
    """A page for a cookie has `private, no-store`, also behind `requires`."""
    app = Project(kind, guard(), url("page", VIEWS[view]), CLOCK=lambda: NOW)
    answer = app.ask("GET", "/page", [cookie(GOOD)])
    assert (answer.status, answer.headers["cache-control"]) == (200, "private, no-store")
    assert "Cookie" in answer.headers["vary"]


@KINDS
def test_the_cache_of_django_keeps_no_page(kind: str) -> None:
    """The cache of Django does not keep a page for a cookie."""
    numbers = count()
    app = Project(
        kind,
        guard(),
        url("page", lambda request: HttpResponse(str(next(numbers)))),
        MIDDLEWARE=CACHED,
        CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        CLOCK=lambda: NOW,
    )
    cache.clear()
    answers = [app.ask("GET", "/page", [cookie(GOOD)]) for _ in range(2)]
    assert [answer.body for answer in answers] == [b"0", b"1"]
    assert answers[0].headers["cache-control"] == "private, no-store"
