"""Servers for the tests of this folder."""

import pytest

from remote.servers import serving


@pytest.fixture
def server():
    """An HTTP server on loopback."""
    with serving() as server:
        yield server
