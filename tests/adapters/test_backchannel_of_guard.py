"""The back-channel logout that a guard serves by itself, the same over every adapter."""

from typing import Any
from urllib.parse import urlencode

import pytest

from adapters.faces import ASGI, WSGI, Answer, ask_asgi, ask_wsgi
from adapters.test_backchannel import CLIENT, FORM, ISSUER, NOW, SECRET, Replays, token
from authguard import ConfigurationError, Guard, JWTVerifier, MemoryRevocations, ResourceMetadata
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
    """The endpoint of the issuer of the callers."""
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
    """A guard that serves it."""
    logout = options.get("backchannel_logout") or endpoint()
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    given = {"revocations": getattr(logout, "revocations", None), "backchannel_logout": logout}
    return Guard(verifier, **(given | options))


class Face:
    """An application behind an adapter, and how to send requests to it."""

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
    """Nothing but the option is needed: the path is open, and the next request of the session is 401."""
    assert face.get().status == 200
    answer = face.post(token())
    assert (answer.status, answer.body, answer.headers["cache-control"]) == (200, b"", "no-store")
    assert face.get().status == 401


def test_the_reason_of_a_bad_logout_token_is_in_the_log(face: Face, caplog: pytest.LogCaptureFixture) -> None:
    """Without the token: the issuer is told, too, but its log belongs to somebody else."""
    caplog.set_level("DEBUG", "authguard")
    text = token(aud="another")
    face.post(text)
    assert "back-channel logout: another audience" in caplog.messages
    assert text not in caplog.text


def test_a_bad_logout_token_is_400(face: Face) -> None:
    """Without a challenge, since no credential is asked for."""
    answer = face.post(token(aud="another"))
    assert (answer.status, "www-authenticate" in answer.headers) == (400, False)
    assert face.get().status == 200


def test_another_method_is_405(face: Face) -> None:
    """Nobody else answers at this path."""
    answer = face.get(PATH)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "path", [f"{PATH}/", f"{PATH}/x", "/Backchannel-Logout", "/private/..//backchannel-logout"]
)
def test_no_other_path_is_opened(face: Face, path: str) -> None:
    """It is exactly this one."""
    assert face.post(token(), path=path).status == 401
    assert face.get().status == 200


def test_a_credential_has_no_part_in_it(face: Face) -> None:
    """A bad one is no reason to refuse a logout."""
    assert face.post(token(), ("Authorization", b"Bearer bad")).status == 200
    assert face.get().status == 401


def test_the_path_can_be_chosen() -> None:
    """And stays open beside what the lists say."""
    guard = a_guard(backchannel_logout=endpoint(path="/logouts"), public_paths=["/open"])
    for ask, make in ((ask_asgi, ASGI["asgi"]), (ask_wsgi, WSGI["wsgi"])):
        face = Face(ask, make, guard)
        assert face.post("x", path="/logouts").status == 400
        assert face.post("x").status == 401


@pytest.mark.parametrize("other", [None, MemoryRevocations()], ids=["none", "others"])
def test_logouts_are_written_to_what_the_guard_asks(other: Any) -> None:
    """Else the issuer would be told that somebody is logged out, and nothing would happen."""
    with pytest.raises(ConfigurationError, match="revocations must be those that backchannel_logout writes"):
        a_guard(revocations=other)


def test_the_verdict_says_why() -> None:
    """For `authguard routes` and for people."""
    verdict = a_guard().explain("POST", PATH)
    assert (verdict.protected, verdict.reason) == (False, "back-channel logout")


def test_the_issuer_is_among_the_remotes_of_the_guard() -> None:
    """Its keys are watched, and the connections closed, with those of the verifiers."""
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
    """When the guard is built."""
    with pytest.raises(ConfigurationError):
        a_guard(**wrong)


@pytest.mark.parametrize(
    "path", ["", "backchannel", "/a/*", "//other.example/a", "https://api.example/a", None]
)
def test_the_path_is_checked(path: Any) -> None:
    """When the endpoint is built."""
    with pytest.raises(ConfigurationError, match="path"):
        endpoint(path=path)


def test_it_is_served_beside_the_metadata() -> None:
    """Both have paths of their own."""
    guard = a_guard(resource=ResourceMetadata("https://api.example"))
    for ask, make in ((ask_asgi, ASGI["asgi"]), (ask_wsgi, WSGI["wsgi"])):
        face = Face(ask, make, guard)
        assert face.post("x").status == 400
        assert face.get("/.well-known/oauth-protected-resource").status == 200
