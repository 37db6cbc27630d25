"""Start servers at their first use, and stop them at the end of the session."""

import secrets
from collections.abc import Callable, Iterator

import pytest

from authguard.testing import issue_token
from wire.servers import KINDS, Server, start, stop


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    return {"WIRE_JWT_SECRET": secrets.token_urlsafe(48), "WIRE_API_KEY": "sk_live_" + secrets.token_hex(24)}


@pytest.fixture(scope="session")
def bearer(environment: dict[str, str]) -> str:
    token = issue_token(environment["WIRE_JWT_SECRET"], iss="https://issuer", aud="wire", expires_in=3600)
    return f"Authorization: Bearer {token}"


@pytest.fixture(scope="session")
def serve(environment: dict[str, str]) -> Iterator[Callable[..., Server]]:
    """Return a function that returns the server of a kind with an application; each is started once."""
    running: dict[tuple[str, str, tuple[str, ...]], Server] = {}

    def get(kind: str, app: str = "strict", *options: str) -> Server:
        key = (kind, app, options)
        if key not in running:
            running[key] = start(kind, app, environment, *options)
        return running[key]

    yield get
    for server in running.values():
        stop(server)


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest, serve: Callable[..., Server]) -> Server:
    """Return each server with the strict application."""
    return serve(request.param)
