"""The back-channel logout that a guard serves, with the same answers by each adapter."""

import asyncio
from typing import Any
from urllib.parse import urlencode

import pytest

from adapters.faces import ASGI, WSGI, Answer, ask_asgi, ask_wsgi
from adapters.test_backchannel import CLIENT, FORM, ISSUER, NOW, SECRET, Replays, token
from authguard import ConfigurationError, Guard, JWTVerifier, MemoryRevocations, ResourceMetadata
from authguard.asgi import AuthGuardMiddleware
from authguard.backchannel import BackChannelLogout
from authguard.testing import issue_token

PATH = "/backchannel-logout"
AUDIENCE = "https://api.example"
CALLER = issue_token(
    SECRET,
    now=NOW,
    sub="ada",
    sid="s1",
    iss=ISSUER,
    aud=AUDIENCE,
)
FACES = [(name, ask_asgi, make) for name, make in ASGI.items()] + [
    (name, ask_wsgi, make) for name, make in WSGI.items()
]


def endpoint(revocations: Any = None, **options: Any) -> BackChannelLogout:
    """Return a back-channel logout endpoint for the issuer of the callers."""
    return BackChannelLogout(
        SECRET,
        algorithms=["HS256"],
        issuer=ISSUER,
        audience=CLIENT,
        revocations=revocations or MemoryRevocations(clock=lambda: NOW),
        replays=Replays(),
        clock=lambda: NOW,
        **options,
    )


def a_guard(**options: Any) -> Guard:
    """Return a guard that serves a back-channel logout endpoint."""
    logout = options.get("backchannel_logout") or endpoint()
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    given = {"revocations": getattr(logout, "revocations", None), "backchannel_logout": logout}
    return Guard(verifier, **(given | options))


class Face:
    """An application behind an adapter, with methods that send requests to it."""

    def __init__(self, ask: Any, make: Any, guard: Guard) -> None:
        self.ask, self.app = ask, make(guard, lambda: NOW)

    def get(self, path: str = "/private", text: str = CALLER) -> Answer:
        """Send a request with an access token."""
        answer: Answer = self.ask(self.app, "GET", path, [("Authorization", f"Bearer {text}".encode())])
        return answer

    def post(self, text: str, *fields: Any, path: str = PATH) -> Answer:
        """Send a logout token."""
        body = urlencode({"logout_token": text}).encode()
        form = [("Content-Type", FORM.encode()), ("Content-Length", str(len(body)).encode())]
        answer: Answer = self.ask(self.app, "POST", path, [*form, *fields], body=body)
        return answer


@pytest.fixture(name="face", params=FACES, ids=[face[0] for face in FACES])
def _face(request: pytest.FixtureRequest) -> Face:
    return Face(*request.param[1:], a_guard())


def test_the_session_of_a_logout_token_is_ended(face: Face) -> None:
    """A guard with the option serves the logout path, and refuses the next request of the ended session."""
    assert face.get().status == 200
    answer = face.post(token())
    assert (answer.status, answer.body, answer.headers["cache-control"]) == (200, b"", "no-store")
    assert face.get().status == 401


def test_the_reason_of_a_bad_logout_token_is_in_the_log(face: Face, caplog: pytest.LogCaptureFixture) -> None:
    """The log has the reason of a refused logout token, and not the token."""
    caplog.set_level("DEBUG", "authguard")
    text = token(aud="another")
    face.post(text)
    assert "back-channel logout: another audience" in caplog.messages
    assert text not in caplog.text


def test_a_bad_logout_token_is_400(face: Face) -> None:
    """An invalid logout token is a 400 without a challenge, and ends no session."""
    answer = face.post(token(aud="another"))
    assert (answer.status, "www-authenticate" in answer.headers) == (400, False)
    assert face.get().status == 200


def test_another_method_is_405(face: Face) -> None:
    """A GET request to the logout path is a 405 that allows POST."""
    answer = face.get(PATH)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "path", [f"{PATH}/", f"{PATH}/x", "/Backchannel-Logout", "/private/..//backchannel-logout"]
)
def test_no_other_path_is_opened(face: Face, path: str) -> None:
    """A path that only resembles the logout path is protected."""
    assert face.post(token(), path=path).status == 401
    assert face.get().status == 200


def test_a_credential_has_no_part_in_it(face: Face) -> None:
    """An invalid access token in the request does not prevent the logout."""
    assert face.post(token(), ("Authorization", b"Bearer bad")).status == 200
    assert face.get().status == 401


def test_the_path_can_be_chosen() -> None:
    """An endpoint with a path of its own stays open when the guard has other public paths."""
    guard = a_guard(backchannel_logout=endpoint(path="/logouts"), public_paths=["/open"])
    for ask, make in ((ask_asgi, ASGI["asgi"]), (ask_wsgi, WSGI["wsgi"])):
        face = Face(ask, make, guard)
        assert face.post("x", path="/logouts").status == 400
        assert face.post("x").status == 401


@pytest.mark.parametrize("other", [None, MemoryRevocations()], ids=["none", "others"])
def test_logouts_are_written_to_what_the_guard_asks(other: Any) -> None:
    """A guard with revocations other than those of its logout endpoint is refused."""
    with pytest.raises(ConfigurationError, match="revocations must be those that backchannel_logout writes"):
        a_guard(revocations=other)


def test_the_verdict_says_why() -> None:
    """`explain` gives the back-channel logout as the reason why the path is open."""
    verdict = a_guard().explain("POST", PATH)
    assert (verdict.protected, verdict.reason) == (False, "back-channel logout")


def test_the_issuer_is_among_the_remotes_of_the_guard() -> None:
    """The health of the guard lists the remote of the endpoint beside those of its verifiers."""
    logout = BackChannelLogout.from_issuer(
        ISSUER, audience=CLIENT, revocations=MemoryRevocations(), replays=Replays(), token_lifetime=60
    )
    guard = a_guard(backchannel_logout=logout)
    assert [remote.name for remote in guard.health()] == [
        remote.name for remote in JWTVerifier.from_issuer(ISSUER, audience=CLIENT).health(None)
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"backchannel_logout": True},
        {"backchannel_logout": PATH},
        {"login_path": PATH},
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    """The guard refuses options that contradict the logout endpoint."""
    with pytest.raises(ConfigurationError):
        a_guard(**wrong)


@pytest.mark.parametrize(
    "path", ["", "backchannel", "/a/*", "//other.example/a", "https://api.example/a", None]
)
def test_the_path_is_checked(path: Any) -> None:
    """The endpoint refuses a path that is not an absolute local path without a pattern."""
    with pytest.raises(ConfigurationError, match="path"):
        endpoint(path=path)


def test_it_is_served_beside_the_metadata() -> None:
    """A guard serves the logout endpoint and the resource metadata, each at its own path."""
    guard = a_guard(resource=ResourceMetadata("https://api.example"))
    for ask, make in ((ask_asgi, ASGI["asgi"]), (ask_wsgi, WSGI["wsgi"])):
        face = Face(ask, make, guard)
        assert face.post("x").status == 400
        assert face.get("/.well-known/oauth-protected-resource").status == 200


@pytest.mark.parametrize("path", [PATH, "/.well-known/oauth-protected-resource"])
def test_a_handshake_at_its_path_does_not_reach_the_application(path: str) -> None:
    """A handshake at a path that the guard serves is refused, and does not reach the application."""
    guard = a_guard(resource=ResourceMetadata("https://api.example"))
    reached: list[str] = []
    sent: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["path"])

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    scope = {"type": "websocket", "path": path, "headers": [], "subprotocols": []}
    asyncio.run(AuthGuardMiddleware(app, guard=guard)(scope, receive, send))
    assert (reached, sent) == ([], ["websocket.close"])
