"""Websockets over real sockets, with each of uvicorn's implementations and a real client."""

import time
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from authguard.testing import issue_token
from support import b64

IMPLEMENTATIONS = ("websockets", "websockets-sansio", "wsproto")
SECONDS = 10  # until a test fails that waits


@pytest.fixture(params=IMPLEMENTATIONS)
def dial(request, serve):
    """Yield a function that opens a websocket, which is closed after the test."""
    with ExitStack() as opened:

        def get(path, *offered, app="sockets", **options):
            server = serve("uvicorn-h11", app, "--ws", request.param)
            url = f"ws://127.0.0.1:{server.port}{path}"
            options |= {"subprotocols": offered or None, "open_timeout": SECONDS, "proxy": None}
            return opened.enter_context(connect(url, **options))

        yield get


@pytest.fixture
def token(environment):
    """Return a function that issues a token for some seconds."""

    def make(seconds):
        claims = {"iss": "https://issuer", "aud": "wire", "exp": time.time() + seconds}
        return issue_token(environment["WIRE_JWT_SECRET"], **claims)

    return make


def entry(text):
    return "authguard.bearer." + b64(text.encode())


def read_to_the_end(socket):
    """Return the messages until the websocket is closed, with the close code and reason."""
    got = []
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            got.append(socket.recv(timeout=SECONDS))
    return got, (closed.value.rcvd.code, closed.value.rcvd.reason)


@pytest.mark.slow
def test_a_token_as_a_subprotocol(dial, token):
    """A token as a subprotocol identifies the caller, and only the name is selected."""
    text = token(60)
    socket = dial("/echo", "authguard", entry(text))
    assert socket.subprotocol == "authguard"
    assert b64(text.encode()) not in str(list(socket.response.headers.raw_items()))
    socket.send("hello")
    assert socket.recv(timeout=SECONDS) == "somebody: hello"


def test_a_bad_token_as_a_subprotocol(dial, token):
    """An invalid token as a subprotocol refuses the handshake with a 401."""
    with pytest.raises(InvalidStatus) as refused:
        dial("/echo", "authguard", entry(token(-1)))
    assert refused.value.response.status_code == 401
    assert 'error="invalid_token"' in refused.value.response.headers["WWW-Authenticate"]


def test_the_field_and_the_subprotocol_are_two_credentials(dial, token):
    """A token in the field and one as a subprotocol are a 400."""
    with pytest.raises(InvalidStatus) as refused:
        dial("/echo", entry(token(60)), additional_headers={"Authorization": f"Bearer {token(60)}"})
    assert refused.value.response.status_code == 400


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/echo", "/clock"])
def test_it_ends_when_the_token_expires(dial, token, path):
    """A websocket is closed when its token expires, whether it is idle or sends."""
    text, opened = token(1), time.time()
    _, closed = read_to_the_end(dial(path, additional_headers={"Authorization": f"Bearer {text}"}))
    assert closed == (1008, "invalid_token")
    assert 0.9 < time.time() - opened < SECONDS


@pytest.mark.slow
def test_it_ends_though_the_client_keeps_sending(dial, token):
    """A websocket whose client keeps sending is closed when its token expires."""
    socket = dial("/echo", "authguard", entry(token(0.5)))
    answered = 0
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            socket.send("x")
            socket.recv(timeout=SECONDS)
            answered += 1
    assert answered
    assert closed.value.rcvd.code == 1008


@pytest.mark.slow
def test_no_message_is_lost_to_a_check(dial, token):
    """No message is lost while the checks interrupt `receive`."""
    socket = dial("/echo", "authguard", entry(token(60)))
    sent = [str(number) for number in range(100)]
    for number in sent:
        socket.send(number)
        time.sleep(0.007)  # out of step with the checks, which are made each 0.05 s
    assert [socket.recv(timeout=SECONDS) for _ in sent] == [f"somebody: {number}" for number in sent]


def test_who_came_anonymously_stays(dial):
    """A websocket of an anonymous caller stays open, with the selected subprotocol."""
    socket = dial("/public/echo", "authguard")
    assert socket.subprotocol == "authguard"
    socket.send("hello")
    assert socket.recv(timeout=SECONDS) == ": hello"


@pytest.mark.parametrize(
    ("offered", "code"),
    [(["authguard"], 4401), (["authguard", "authguard.bearer.eB"], 4400), ([], 4401), (["chat"], 4401)],
)
def test_a_refusal_that_a_browser_can_read(dial, offered, code):
    """A refused handshake is accepted and closed at once with a close code that a browser can read."""
    socket = dial("/echo", *offered, app="codes")
    got, closed = read_to_the_end(socket)
    assert (socket.subprotocol, got, closed[0]) == (offered[0] if offered else None, [], code)


def test_a_client_that_goes_is_no_error(dial, token):
    """A client that closes its websocket causes no error in the server."""
    for _ in range(3):
        socket = dial("/clock", "authguard", entry(token(60)))
        assert socket.recv(timeout=SECONDS) == "tick"
        socket.close()
    assert dial("/public/echo", "authguard").subprotocol == "authguard"
