"""Failures of verifiers, stores and callbacks: a 503 or a 500, and no call of the application."""

import json
import logging
import secrets
from typing import Any

import pytest

from adapters.faces import ASGI, WSGI, ask_asgi, ask_wsgi
from authguard import (
    ANONYMOUS,
    AccessCookie,
    APIKey,
    APIKeyVerifier,
    Credential,
    Guard,
    InvalidTokenError,
    JWTVerifier,
    MemoryRevocations,
    Principal,
    Refusal,
    VerificationUnavailableError,
    digest_api_key,
)
from authguard.testing import issue_token, override

NOW = 1_800_000_000.0
SECRET = secrets.token_urlsafe(40)
KEY = "sk_live_" + secrets.token_urlsafe(32)
TOKEN = issue_token(SECRET, now=NOW, jti="one", sid="s1")
AUTHORIZATION = [("Authorization", f"Bearer {TOKEN}".encode())]

FACES = [(name, ask_asgi, make) for name, make in ASGI.items()] + [
    (name, ask_wsgi, make) for name, make in WSGI.items()
]


@pytest.fixture(name="face", params=FACES, ids=[face[0] for face in FACES])
def _face(request: pytest.FixtureRequest) -> Any:
    _, ask, make = request.param

    def send(guard: Guard, fields: Any = AUTHORIZATION, path: str = "/private", method: str = "GET") -> Any:
        return ask(make(guard, lambda: NOW), method, path, fields)

    return send


def jwt_verifier() -> JWTVerifier:
    """Return a verifier for TOKEN."""
    return JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)


def twins(function: Any) -> list[Any]:
    """Return test parameters for a function and for an async function that calls it."""

    async def twin(*arguments: Any) -> Any:
        return function(*arguments)

    return [pytest.param(function, id="sync"), pytest.param(twin, id="async")]


def explode(*_: Any) -> Any:
    """Raise an error that contains the token, as a callback with a bug does."""
    raise ValueError(f"cannot handle {TOKEN}")


def down(*_: Any) -> Any:
    """Raise the error of a callback with an unreachable database."""
    raise VerificationUnavailableError("the database is away", retry_after=7)


class Custom:
    """A verifier of an application."""

    def __init__(self, verify: Any) -> None:
        self.verify = verify


class Store:
    """Revocations of an application."""

    def __init__(self, is_revoked: Any) -> None:
        self.is_revoked = is_revoked


def guards_with(callback: Any) -> list[Guard]:
    """Return one guard for each place of a callback that is called before the application."""
    return [
        Guard(Custom(callback)),
        Guard(jwt_verifier(), user_loader=callback),
        Guard(jwt_verifier(), revocations=Store(callback)),
    ]


@pytest.mark.parametrize("callback", twins(explode))
def test_a_callback_that_raises_is_a_500_without_detail(face: Any, callback: Any, caplog: Any) -> None:
    """The answer has no detail of the exception, and the log has it once, without the token."""
    for guard in guards_with(callback):
        caplog.clear()
        answer = face(guard)
        assert answer.status == 500
        assert json.loads(answer.body)["code"] == "internal_error"
        errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert len(errors) == 1
        assert "ValueError" in errors[0].getMessage()
        assert TOKEN not in caplog.text
        assert TOKEN.encode() not in answer.body


@pytest.mark.parametrize("callback", twins(down))
def test_an_outage_is_a_503(face: Any, callback: Any) -> None:
    """An outage is a 503 with `Retry-After`, and not a 401, on which a client would discard a valid token."""
    for guard in guards_with(callback):
        answer = face(guard)
        assert answer.status == 503
        assert answer.headers["retry-after"] == "7"
        assert "www-authenticate" not in answer.headers


def test_an_outage_does_not_close_public_pages(face: Any) -> None:
    """The caller of a public path is anonymous during an outage."""
    guard = Guard(Custom(down), public_paths=["/public"])
    answer = face(guard, path="/public")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("verify", twins(lambda credential: Principal(f"own {len(credential.value)}")))
def test_a_verifier_of_ones_own(face: Any, verify: Any) -> None:
    """An object with `verify(credential)`, which may be async, is a verifier."""
    answer = face(Guard(Custom(verify)))
    assert answer.body == f"own {len(TOKEN)}".encode()


def test_a_verifier_that_refuses(face: Any) -> None:
    """An `InvalidTokenError` of a custom verifier is a 401."""

    def verify(credential: Credential) -> Principal:
        raise InvalidTokenError("not mine")

    assert face(Guard(Custom(verify))).status == 401


def test_a_verifier_that_returns_nothing_lets_nobody_in(face: Any) -> None:
    """A verifier that returns None has a bug, and the answer is a 500."""
    assert face(Guard(Custom(lambda _: None))).status == 500


@pytest.mark.parametrize("load", twins(lambda principal: Principal(f"user of {principal.subject}")))
def test_a_user_loader(face: Any, load: Any) -> None:
    """The return value of `user_loader` is the user in the state of the request."""
    assert face(Guard(jwt_verifier(), user_loader=load)).body == b"user of somebody"


@pytest.mark.parametrize("load", twins(lambda principal: None))
def test_a_user_who_is_gone_is_a_401(face: Any, load: Any) -> None:
    """A valid token of a user that `user_loader` does not find is a 401."""
    assert face(Guard(jwt_verifier(), user_loader=load)).status == 401


@pytest.mark.parametrize("revoked", twins(lambda principal: principal.token_id == "one"))
def test_a_revoked_token_is_a_401(face: Any, revoked: Any) -> None:
    """A store of revocations, which may be async, is asked at each request."""
    answer = face(Guard(jwt_verifier(), revocations=Store(revoked)))
    assert answer.status == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_store_that_does_not_answer_lets_nobody_in(face: Any) -> None:
    """A store of revocations that returns None instead of a bool is a 500."""
    assert face(Guard(jwt_verifier(), revocations=Store(lambda _: None))).status == 500


@pytest.mark.parametrize("what", [{"token_id": "one"}, {"subject": "somebody"}, {"session": "s1"}], ids=str)
def test_logging_out_works_at_once_for_a_remembered_token(face: Any, what: dict[str, str]) -> None:
    """A token that was accepted a moment ago is refused after the logout."""
    revocations = MemoryRevocations(clock=lambda: NOW)
    guard = Guard(jwt_verifier(), revocations=revocations)
    assert [face(guard).status, face(guard).status] == [200, 200]
    revocations.revoke(**what, until=NOW + 400)
    assert face(guard).status == 401


@pytest.mark.parametrize("find", twins({digest_api_key(KEY): APIKey("robot")}.get))
def test_keys_from_a_function(face: Any, find: Any) -> None:
    """The keys may come from a function of the digest, which may be async."""
    guard = Guard(APIKeyVerifier(find))
    assert face(guard, [("X-API-Key", KEY.encode())]).body == b"robot"
    assert face(guard, [("X-API-Key", KEY[:-1].encode())]).status == 401


@pytest.mark.parametrize(
    "on_error", twins(lambda request, refusal: refusal.with_json({"why": refusal.error.code}))
)
def test_on_error_replaces_the_body_alone(face: Any, on_error: Any) -> None:
    """A body that `on_error` replaces leaves the status and the challenge unchanged."""
    answer = face(Guard(jwt_verifier(), on_error=on_error), [])
    assert (answer.status, json.loads(answer.body)) == (401, {"why": "missing_credentials"})
    assert answer.headers["www-authenticate"] == 'Bearer realm="api"'
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("on_error", [*twins(explode), pytest.param(lambda *_: None, id="nothing")])
def test_on_error_that_fails_still_refuses(face: Any, on_error: Any) -> None:
    """An `on_error` that raises or returns None makes the refusal a 500."""
    answer = face(Guard(jwt_verifier(), on_error=on_error), [])
    assert answer.status == 500
    assert isinstance(json.loads(answer.body), dict)


def test_a_caller_s_mistake_is_not_logged_by_default(face: Any, caplog: Any) -> None:
    """Refusals of forged tokens are not logged as warnings, and at level INFO at most once a minute."""
    for level, most in ((logging.WARNING, 0), (logging.INFO, 2)):  # a minute may begin between two requests
        caplog.set_level(level, logger="authguard")
        for _ in range(5):
            face(Guard(jwt_verifier()), [("Authorization", b"Bearer a.b.c")])
        assert len(caplog.records) <= most


def test_what_is_logged_on_debug_cannot_forge_lines(face: Any, caplog: Any) -> None:
    """A path with a line break is one line of the log, which does not contain the token."""
    caplog.set_level(logging.DEBUG, logger="authguard")
    face(Guard(jwt_verifier()), [("Authorization", b"Bearer a.b.c")], path="/x%0aforged")
    (record,) = [record for record in caplog.records if record.name == "authguard"]
    assert "\n" not in record.getMessage()
    assert "a.b.c" not in record.getMessage()


@pytest.mark.parametrize("level", [logging.DEBUG, logging.ERROR])
def test_a_long_method_makes_no_long_line(face: Any, level: int, caplog: Any) -> None:
    """A log line contains only the beginning of a long method and a long path."""
    caplog.set_level(level, logger="authguard")

    async def broken(digest: str) -> APIKey:
        raise ValueError("broken")

    fields = [("X-API-Key", b"sk_test_0123456789abcdef")]
    face(Guard(APIKeyVerifier(broken)), fields, path="/" + "x" * 65_536, method="M" * 65_536)
    (record,) = [record for record in caplog.records if record.name == "authguard"]
    assert len(record.getMessage().partition("\n")[0]) < 500


def test_override_makes_requests_come_from_anybody(face: Any) -> None:
    """In `override`, a request without a credential has the caller of the test, and rules still apply."""
    guard = Guard(jwt_verifier())
    with override(guard, Principal("ada")):
        assert face(guard, []).body == b"ada"
        with guard.override(ANONYMOUS):
            assert face(guard).status == 401
        assert face(guard, []).body == b"ada"
    assert face(guard, []).status == 401
    assert face(guard).body == b"somebody"


def test_a_refusal_can_be_made_anew(face: Any) -> None:
    """`on_error` may replace the status, the fields and the body."""
    teapot = Refusal(418, (("content-type", "text/plain"),), b"short and stout")
    answer = face(Guard(jwt_verifier(), on_error=lambda *_: teapot), [])
    assert (answer.status, answer.body) == (418, b"short and stout")


def test_signing_in_with_a_slash_more_is_guarded_against_other_sites(face: Any) -> None:
    """A POST from another origin to the login page is refused, also with a slash at the end of the path."""
    guard = Guard(jwt_verifier(), login_path="/login", cookie=AccessCookie("session"))
    assert face(guard, [("Sec-Fetch-Site", b"cross-site")], path="/login/", method="POST").status == 403


def test_a_cookie_of_a_development_site_is_warned_of_once(face: Any, caplog: Any) -> None:
    """The warning that a development site needs `secure=False` is logged once, and not for each request."""
    guard = Guard(jwt_verifier(), login_path="/login", cookie=AccessCookie(f"n{secrets.token_hex(8)}"))
    assert guard.cookie is not None
    fields = [("Cookie", f"{guard.cookie.name}={TOKEN}".encode()), ("Accept", b"text/html")]
    assert [face(guard, fields).status for _ in range(2)] == [303, 303]
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "secure=False) for development over plain http" in record.getMessage()
    assert TOKEN not in caplog.text


def test_a_store_in_memory_that_raises_lets_nobody_in(face: Any) -> None:
    """An in-memory store that raises makes the request a 500, also for a token that was accepted before."""
    broken: list[bool] = []

    class Memory:
        in_memory = True

        def is_revoked(self, principal: Principal) -> bool:
            if broken:
                raise RuntimeError("broken")
            return False

    guard = Guard(jwt_verifier(), revocations=Memory())
    assert [face(guard).status, face(guard).status] == [200, 200]
    broken.append(True)
    assert face(guard).status == 500


@pytest.mark.parametrize("verify", twins(lambda credential: ANONYMOUS))
def test_a_verifier_that_finds_nobody_lets_nobody_in(face: Any, verify: Any) -> None:
    """A verifier that returns ANONYMOUS makes the request a 401."""
    assert face(Guard(Custom(verify))).status == 401


def test_a_reason_of_ones_own_verifier_leaks_nothing(face: Any, caplog: Any) -> None:
    """A reason that contains the token and a line break is redacted in the log."""
    caplog.set_level(logging.DEBUG, logger="authguard")

    def verify(credential: Credential) -> Principal:
        raise InvalidTokenError(f"bad\n{credential.value}")

    face(Guard(Custom(verify)))
    (record,) = [record for record in caplog.records if record.name == "authguard"]
    assert "redacted" in record.getMessage()
    assert TOKEN not in record.getMessage()
    assert "\n" not in record.getMessage()
