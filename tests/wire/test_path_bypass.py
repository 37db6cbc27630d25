"""Known bypasses of path rules, sent without a credential and byte for byte over real sockets."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from support import VECTORS, needs_vectors
from vectors.path_attacks import ADMIN, METHODS, NOT_PUBLIC, fields, targets
from wire.servers import KINDS, read, request

CONNECTIONS = 4  # at once, because a connection mostly waits for the last packet of the server
HANDSHAKE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
OWN = [
    *(("GET", target, ()) for _, target in targets(ADMIN, NOT_PUBLIC)),
    *(("GET", "/admin", (name.encode() + b": " + value,)) for name, value in fields()),
    *((method, "/admin", ()) for method in METHODS),
]


def _shared():
    """Return the attacks of the shared file."""
    text = (VECTORS / "path_bypass.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(("#", "@scope"))]
    return [_attack(line) for line in lines]


def _attack(line):
    """Return one line of the file as method, target and fields."""
    kind, _, rest = line.partition(" ")
    if kind == "@method":
        method, target = rest.split()
        return method, target, ()
    if kind == "@header":
        field, arrow, goal = rest.partition("  -> ")
        method, target = goal.split() if arrow else ("GET", "/admin")
        return method, target, (field,)
    return "GET", line, ()


def _failures(server, attacks):
    """Return the attacks that a protected handler has answered, or that have made the server fail."""

    def send(attack):
        method, target, extra = attack
        answer = server.send(target, *extra, method=method)
        return b"SECRET" in answer.raw or answer.status >= 500

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return [attack for attack, failed in zip(attacks, pool.map(send, attacks), strict=True) if failed]


@pytest.mark.parametrize("app", ["strict", "weak"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_attack_reaches_a_protected_handler(serve, kind, app):
    """No target, field or method of the project's list makes a protected handler answer."""
    assert _failures(serve(kind, app), OWN) == []


@needs_vectors
@pytest.mark.parametrize("app", ["strict", "weak"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_vector_reaches_a_protected_handler(serve, kind, app):
    """No target, field or method of the shared list makes a protected handler answer."""
    attacks = _shared()
    assert len(attacks) > 100
    assert _failures(serve(kind, app), attacks) == []


@pytest.mark.parametrize("app", ["strict", "weak"])
@pytest.mark.parametrize("path", ["/admin", "/admin/users", "/mount/admin"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_protected_handler_is_there(serve, bearer, kind, app, path):
    """A protected handler answers a request with a valid token, so that its silence is a result."""
    assert b"SECRET" in serve(kind, app).send(path, bearer).body


@pytest.mark.parametrize("target", ["/admin/ws", "/admin/ws?access_token=abc"])
@pytest.mark.parametrize("app", ["strict", "weak"])
@pytest.mark.parametrize("kind", KINDS[:2])
def test_websocket_without_credential_is_refused(serve, kind, app, target):
    """A handshake without a credential in its fields is a 401."""
    assert _shake(serve(kind, app), target) == 401


@pytest.mark.parametrize("kind", KINDS[:2])
def test_websocket_with_a_token_is_accepted(serve, bearer, kind):
    """A handshake with a valid token is accepted."""
    assert _shake(serve(kind), "/admin/ws", bearer) == 101


@pytest.mark.parametrize("kind", KINDS[:2])
def test_lifespan_passes(serve, kind):
    """The server starts the application inside of the guard."""
    assert serve(kind).send("/healthz").body == b"started"


def _shake(server, target, *fields):
    with server.connect() as connection:
        connection.sendall(request(target, *HANDSHAKE, *fields, close=False))
        return int(read(connection, b"\r\n\r\n").split(b" ")[1])
