"""Provide one event loop for the requests of tests; folders import the fixture into their conftest.py."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from starlette.testclient import TestClient

#: They need no event loop, and the client makes them for each request.
_MADE_IN_ANY_THREAD: set[Callable[..., Any]] = {anyio.create_memory_object_stream}
with contextlib.suppress(RuntimeError):  # by older versions of anyio, whose events need one
    anyio.Event()
    _MADE_IN_ANY_THREAD.add(anyio.Event)


class _Portal:
    """Call functions in the loop, except for those that need none: each call changes threads twice."""

    def __init__(self, portal: BlockingPortal) -> None:
        self._portal = portal

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function, and wait for its result."""
        if getattr(function, "__origin__", function) in _MADE_IN_ANY_THREAD:
            return function(*args)
        return self._portal.call(function, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._portal, name)


@pytest.fixture(scope="session", autouse=True)
def one_event_loop() -> Iterator[None]:
    """Run all requests of tests in one event loop, like a server, because starting one takes long."""
    with start_blocking_portal() as portal, pytest.MonkeyPatch.context() as patch:
        patch.setattr(TestClient, "portal", _Portal(portal))
        yield
