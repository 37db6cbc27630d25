"""Websockets over real sockets: each of uvicorn's implementations, and a real client."""

import time
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from authguard.testing import issue_token
from support import b64

IMPLEMENTATIONS = ("websockets", "websockets-sansio", "wsproto")
SECONDS = 10  # after which a test that waits for what does not come has failed


@pytest.fixture(params=IMPLEMENTATIONS)
def dial(request, serve):
    """Opens a websocket, which is closed at the end of the test."""
    with ExitStack() as opened:

        def get(path, *offered, app="sockets", **options):
            server = serve("uvicorn-h11", app, "--ws", request.param)
            url = f"ws://127.0.0.1:{server.port}{path}"
            options |= {"subprotocols": offered or None, "open_timeout": SECONDS, "proxy": None}
            return opened.enter_context(connect(url, **options))

        yield get


@pytest.fixture
def token(environment):
    """Makes a token that is good for some seconds."""

    def make(seconds):
        claims = {"iss": "https://issuer", "aud": "wire", "exp": time.time() + seconds}
        return issue_token(environment["WIRE_JWT_SECRET"], **claims)

    return make


def entry(text):
    return "authguard.bearer." + b64(text.encode())


def read_to_the_end(socket):
    """What comes until it is closed, and how that is done."""
    got = []
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            got.append(socket.recv(timeout=SECONDS))
    return got, (closed.value.rcvd.code, closed.value.rcvd.reason)


def test_a_token_as_a_subprotocol(dial, token):
    """It says who is calling, and the name is chosen and nothing else."""
    text = token(60)
    socket = dial("/echo", "authguard", entry(text))
    assert socket.subprotocol == "authguard"
    assert b64(text.encode()) not in str(list(socket.response.headers.raw_items()))
    socket.send("hello")
    assert socket.recv(timeout=SECONDS) == "somebody: hello"


def test_a_bad_token_as_a_subprotocol(dial, token):
    """The handshake is answered like a request."""
    with pytest.raises(InvalidStatus) as refused:
        dial("/echo", "authguard", entry(token(-1)))
    assert refused.value.response.status_code == 401
    assert 'error="invalid_token"' in refused.value.response.headers["WWW-Authenticate"]


def test_the_field_and_the_subprotocol_are_two_credentials(dial, token):
    """Whichever is good."""
    with pytest.raises(InvalidStatus) as refused:
        dial("/echo", entry(token(60)), additional_headers={"Authorization": f"Bearer {token(60)}"})
    assert refused.value.response.status_code == 400


@pytest.mark.parametrize("path", ["/echo", "/clock"])
def test_it_ends_when_the_token_expires(dial, token, path):
    """One that is idle, and one over which something is sent all the time; not before."""
    text, opened = token(1), time.time()
    _, closed = read_to_the_end(dial(path, additional_headers={"Authorization": f"Bearer {text}"}))
    assert closed == (1008, "invalid_token")
    assert 0.9 < time.time() - opened < SECONDS


def test_it_ends_though_the_client_keeps_sending(dial, token):
    """What is sent after the end is not answered."""
    socket = dial("/echo", "authguard", entry(token(0.5)))
    answered = 0
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            socket.send("x")
            socket.recv(timeout=SECONDS)
            answered += 1
    assert answered
    assert closed.value.rcvd.code == 1008


def test_no_message_is_lost_to_a_check(dial, token):
    """A server's `receive` is interrupted for each; some messages come just then."""
    socket = dial("/echo", "authguard", entry(token(60)))
    sent = [str(number) for number in range(100)]
    for number in sent:
        socket.send(number)
        time.sleep(0.007)  # in step with nothing: the checks are made each 0.05 s
    assert [socket.recv(timeout=SECONDS) for _ in sent] == [f"somebody: {number}" for number in sent]


def test_who_came_anonymously_stays(dial):
    """And has a subprotocol chosen, which browsers need."""
    socket = dial("/public/echo", "authguard")
    assert socket.subprotocol == "authguard"
    socket.send("hello")
    assert socket.recv(timeout=SECONDS) == ": hello"


@pytest.mark.parametrize(
    ("offered", "code"),
    [(["authguard"], 4401), (["authguard", "authguard.bearer.eB"], 4400), ([], 4401), (["chat"], 4401)],
)
def test_a_refusal_that_a_browser_can_read(dial, offered, code):
    """The handshake is accepted, in a way that clients take, and closed at once."""
    socket = dial("/echo", *offered, app="codes")
    got, closed = read_to_the_end(socket)
    assert (socket.subprotocol, got, closed[0]) == (offered[0] if offered else None, [], code)


def test_a_client_that_goes_is_no_error(dial, token):
    """And leaves the server as it was."""
    for _ in range(3):
        socket = dial("/clock", "authguard", entry(token(60)))
        assert socket.recv(timeout=SECONDS) == "tick"
        socket.close()
    assert dial("/public/echo", "authguard").subprotocol == "authguard"
