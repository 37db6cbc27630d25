"""The trio worker of hypercorn serves requests that block or ask remotes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from frameworks.support import need

need("hypercorn", "trio")

pytestmark = pytest.mark.frameworks

import httpx
import hypercorn.config
import hypercorn.trio
import trio
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from authguard.asgi import AuthGuardMiddleware
from remote.servers import serving, until
from remote.test_trio import API_KEY, make_guard, token


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an application by the trio worker of hypercorn; yield its URL."""
    config = hypercorn.config.Config()
    config.bind = ["127.0.0.1:0"]
    config.accesslog = config.errorlog = None
    ending, bound = threading.Event(), []

    async def until_told(*, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
        while not ending.is_set():
            await trio.sleep(0.02)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            serve = partial(hypercorn.trio.serve, app, config, shutdown_trigger=until_told)
            bound.extend(await nursery.start(serve))

    thread = threading.Thread(target=trio.run, args=(main,))
    thread.start()
    try:
        until(lambda: bound)
        yield bound[0]
    finally:
        ending.set()
        thread.join()


def _user(principal: Any) -> str:
    return f"user {principal.subject}"


def _ask(app: Any, credential: str) -> tuple[list[httpx.Response], httpx.Response]:
    """Return the answers to two requests with a credential, and to one without."""
    with served(app) as url, httpx.Client(trust_env=False, timeout=10) as client:
        headers = {"authorization": f"Bearer {credential}"}
        return [client.get(url, headers=headers) for _ in range(2)], client.get(url)


@pytest.mark.parametrize(
    ("make_credential", "text"),
    [(token, "user ann"), (lambda: "opaque", "user ann"), (lambda: API_KEY, "user kay")],
    ids=["remote keys", "introspection", "key function"],
)
def test_by_a_real_server(make_credential: Callable[[], str], text: str) -> None:
    """Remote keys, introspection and a key function work with a blocking user loader."""
    with serving() as server:
        app = Starlette(routes=[Route("/", lambda request: PlainTextResponse(request.user))])
        app.add_middleware(AuthGuardMiddleware, guard=make_guard(server, user_loader=_user))
        answers, refused = _ask(app, make_credential())
    assert [(each.status_code, each.text) for each in answers] == [(200, text)] * 2
    assert refused.status_code == 401
