"""A guard around a Django project and that of the project count a request once."""

from typing import Any

import pytest

from frameworks.support import need

need("django", "corsheaders", "rest_framework")

pytestmark = pytest.mark.frameworks

from adapters.faces import ask_asgi, ask_wsgi
from adapters.test_counts_of_nested_guards import FIELDS, PUBLIC, clock, limited
from adapters.test_terms import Keys
from authguard import Guard, MemoryQuotas, Quota
from authguard.asgi import AuthGuardMiddleware
from authguard.wsgi import AuthGuardMiddleware as WSGIAuthGuardMiddleware
from frameworks.django_project import STANDARD, Project


def send(kind: str, outer: Guard, inner: Guard) -> int:
    """Send a request to a project with a guard around it."""
    project: Any = Project(kind, inner, MIDDLEWARE=STANDARD, CLOCK=clock)
    middleware: Any = WSGIAuthGuardMiddleware if kind == "wsgi" else AuthGuardMiddleware
    ask: Any = ask_wsgi if kind == "wsgi" else ask_asgi
    status: int = ask(middleware(project, guard=outer, clock=clock), "GET", "/private", FIELDS).status
    return status


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_the_guard_of_the_project_counts(kind: str) -> None:
    """The guard of the project counts a request by its rule."""
    keys = Keys()
    guards = Guard(keys, public_paths=PUBLIC), Guard(keys, protected_paths=["/**"])
    assert [send(kind, *guards) for _ in range(2)] == [200, 200]
    assert keys.told == [("/**", "ok")] * 2


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_a_quota_in_one_store_is_taken_once(kind: str) -> None:
    """A quota in a shared store is taken once, by the guard around the project."""
    store = MemoryQuotas(clock=clock)
    guards = limited(store, Quota(2, 60)), limited(store, Quota(2, 60))
    assert [send(kind, *guards) for _ in range(3)] == [200, 200, 429]


def test_a_project_in_an_asgi_application() -> None:
    """A project of WSGI within a guarded ASGI application, as by a2wsgi, counts a request once."""
    keys, store = Keys(), MemoryQuotas(clock=clock)
    outer, inner = limited(store, Quota(2, 60)), Guard(keys, quotas=[Quota(2, 60)], quota_store=store)
    project: Any = Project("wsgi", inner, MIDDLEWARE=STANDARD, CLOCK=clock)

    async def bridge(scope: Any, receive: Any, send: Any) -> None:
        within = lambda environ, start: project({**environ, "asgi.scope": scope}, start)  # noqa: E731 (as a2wsgi)
        status = ask_wsgi(within, "GET", scope["path"], FIELDS).status
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    app = AuthGuardMiddleware(bridge, guard=outer, clock=clock)
    assert [ask_asgi(app, "GET", "/private", FIELDS).status for _ in range(3)] == [200, 200, 429]
