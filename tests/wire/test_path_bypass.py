"""What has defeated path rules elsewhere, byte for byte over real sockets, without a credential."""

from pathlib import Path

import pytest

from wire.servers import KINDS, read, request

VECTORS = Path(__file__).resolve().parents[2].parent / "shared" / "vectors" / "path_bypass.txt"
HANDSHAKE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)

needs_vectors = pytest.mark.skipif(not VECTORS.is_file(), reason="the shared vectors are not here")


def _lines():
    return [line for line in VECTORS.read_text().splitlines() if line.strip() and not line.startswith("#")]


def _attack(line):
    """One line of the file as method, target and fields."""
    kind, _, rest = line.partition(" ")
    if kind == "@method":
        method, target = rest.split()
        return method, target, ()
    if kind == "@header":
        field, arrow, goal = rest.partition("  -> ")
        method, target = goal.split() if arrow else ("GET", "/admin")
        return method, target, (field,)
    return "GET", line, ()


@needs_vectors
@pytest.mark.parametrize("app", ["strict", "weak"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_vector_reaches_a_protected_handler(serve, kind, app):
    """No target, field or method of the list makes a protected handler answer."""
    server = serve(kind, app)
    attacks = [_attack(line) for line in _lines() if not line.startswith("@scope")]
    failures = []
    for method, target, fields in attacks:
        answer = server.send(target, *fields, method=method)
        if b"SECRET" in answer.raw or answer.status >= 500:
            failures.append((method, target, fields, answer.status))
    assert len(attacks) > 100
    assert failures == []


@pytest.mark.parametrize("app", ["strict", "weak"])
@pytest.mark.parametrize("path", ["/admin", "/admin/users", "/mount/admin"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_protected_handler_is_there(serve, bearer, kind, app, path):
    """With a good token the handler does answer, so that its silence means something."""
    assert b"SECRET" in serve(kind, app).send(path, bearer).body


@pytest.mark.parametrize("target", ["/admin/ws", "/admin/ws?access_token=abc"])
@pytest.mark.parametrize("app", ["strict", "weak"])
@pytest.mark.parametrize("kind", KINDS[:2])
def test_websocket_without_credential_is_refused(serve, kind, app, target):
    """A handshake without a credential in its fields is answered with 401."""
    assert _shake(serve(kind, app), target) == 401


@pytest.mark.parametrize("kind", KINDS[:2])
def test_websocket_with_a_token_is_accepted(serve, bearer, kind):
    """A handshake with a good token is accepted."""
    assert _shake(serve(kind), "/admin/ws", bearer) == 101


@pytest.mark.parametrize("kind", KINDS[:2])
def test_lifespan_passes(serve, kind):
    """The application inside the guard is started by the server."""
    assert serve(kind).send("/healthz").body == b"started"


def _shake(server, target, *fields):
    with server.connect() as connection:
        connection.sendall(request(target, *HANDSHAKE, *fields, close=False))
        return int(read(connection, b"\r\n\r\n").split(b" ")[1])
