"""Provide servers for the tests of this folder."""

from collections.abc import Iterator

import pytest

from remote.servers import Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    """Run an HTTP server on loopback."""
    with serving() as server:
        yield server
