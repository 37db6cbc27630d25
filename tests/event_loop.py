"""One event loop for the requests of tests; folders import the fixture into their conftest.py."""

from collections.abc import Iterator

import pytest
from anyio.from_thread import start_blocking_portal
from starlette.testclient import TestClient


@pytest.fixture(scope="session", autouse=True)
def one_event_loop() -> Iterator[None]:
    """Run all requests of tests in one event loop, as a server does: to start one for each is dear."""
    with start_blocking_portal() as portal, pytest.MonkeyPatch.context() as patch:
        patch.setattr(TestClient, "portal", portal)
        yield
