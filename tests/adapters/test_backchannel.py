"""OpenID Connect Back-Channel Logout 1.0, on ASGI and WSGI: each rule of a logout token."""

import asyncio
import io
from typing import Any
from urllib.parse import urlencode

import jwt as pyjwt
import pytest

from authguard import ConfigurationError, MemoryRevocations, Principal, VerificationUnavailableError
from authguard.backchannel import MAX_BODY, BackChannelLogout
from authguard.testing import issue_token
from support import ec_key, jwk, make_token

NOW = 1_800_000_000.0
SECRET = "b4ck-0nly-Secret-of-enough-bytes-6Tz-91"
ISSUER, CLIENT = "https://issuer.example", "our-client"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
FORM = "application/x-www-form-urlencoded"


class World:
    """An endpoint and its store."""

    def __init__(self, **options: Any) -> None:
        self.now = NOW
        self.revocations = MemoryRevocations(clock=lambda: self.now)
        given = {
            "algorithms": ["HS256"],
            "issuer": ISSUER,
            "audience": CLIENT,
            "revocations": self.revocations,
            "replays": Replays(),
            "clock": lambda: self.now,
        }
        keys = options.pop("keys", SECRET)
        self.endpoint = BackChannelLogout(keys, **(given | options))


class Replays:
    """A store of replays that remembers digests."""

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}

    def __call__(self, digest: str, seconds: int) -> bool:
        if digest in self.seen:
            return False
        self.seen[digest] = seconds
        return True


def token(key: str = SECRET, typ: str | None = "logout+jwt", **claims: Any) -> str:
    """Return a valid logout token with some claims changed; a claim that is None is left out."""
    body = {
        "iss": ISSUER,
        "aud": CLIENT,
        "jti": "j1",
        "sub": "ada",
        "sid": "s1",
        "events": {EVENT: {}},
    } | claims
    absent = [name for name, value in body.items() if value is None]
    made = issue_token(key, now=NOW, headers={"typ": typ}, **{n: v for n, v in body.items() if v is not None})
    if absent:
        decoded = pyjwt.decode(made, options={"verify_signature": False})
        made = pyjwt.encode(
            {name: value for name, value in decoded.items() if name not in absent}, key, headers={"typ": typ}
        )
    return made


def ask_asgi(
    endpoint: BackChannelLogout, method: str, kind: str, body: bytes
) -> tuple[int, dict[str, str], bytes]:
    """Send a request by ASGI, in two parts."""
    sent: list[Any] = []
    parts = [
        {"type": "http.request", "body": body[:5], "more_body": True},
        {"type": "http.request", "body": body[5:], "more_body": False},
    ]

    async def receive() -> Any:
        return parts.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {"type": "http", "method": method, "headers": [(b"content-type", kind.encode())]}
    asyncio.run(endpoint.asgi(scope, receive, send))
    fields = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], fields, sent[1]["body"]


def ask_wsgi(
    endpoint: BackChannelLogout, method: str, kind: str, body: bytes
) -> tuple[int, dict[str, str], bytes]:
    """Send a request by WSGI."""
    started: list[Any] = []
    environ = {
        "REQUEST_METHOD": method,
        "CONTENT_TYPE": kind,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    answer = b"".join(endpoint.wsgi(environ, lambda *head: started.append(head)))  # type: ignore[arg-type, return-value]
    status, fields = started[0][:2]
    return int(status[:3]), dict(fields), answer


EACH_FACE = pytest.mark.parametrize("ask", [ask_asgi, ask_wsgi], ids=["asgi", "wsgi"])


def post(ask: Any, world: World, text: str) -> int:
    """Send a logout token, check that the answer is not stored, and return its status."""
    status, fields, body = ask(world.endpoint, "POST", FORM, urlencode({"logout_token": text}).encode())
    assert fields["cache-control"] == "no-store"
    assert fields["content-length"] == str(len(body))
    return int(status)


def caller(
    session: str = "s1", subject: str = "ada", iat: float = NOW - 60, issuer: str = ISSUER
) -> Principal:
    """Return a caller with a token of the issuer."""
    return Principal(subject, issuer=issuer, claims={"sid": session, "iat": iat})


@EACH_FACE
def test_a_session_is_ended(ask: Any) -> None:
    """A logout token ends the session that it names, and no session of another issuer."""
    world = World(replays=Replays())
    assert post(ask, world, token()) == 200
    assert world.revocations.is_revoked(caller())
    assert not world.revocations.is_revoked(caller("s2"))
    assert not world.revocations.is_revoked(caller(issuer="https://other.example"))


@EACH_FACE
def test_all_sessions_of_a_subject_are_ended(ask: Any) -> None:
    """A logout token without a session ends all sessions of its subject that began before it."""
    world = World(replays=Replays())
    assert post(ask, world, token(sid=None)) == 200
    assert world.revocations.is_revoked(caller("s2"))
    assert not world.revocations.is_revoked(caller("s2", subject="bob"))
    assert not world.revocations.is_revoked(caller("s3", iat=NOW + 1))


@EACH_FACE
def test_a_session_without_a_subject_is_ended(ask: Any) -> None:
    """A logout token with a session and no subject ends the session."""
    world = World(replays=Replays())
    assert post(ask, world, token(sub=None)) == 200
    assert world.revocations.is_revoked(caller())


@EACH_FACE
@pytest.mark.parametrize(
    "bad",
    [
        {"iss": "https://other.example"},
        {"iss": None},
        {"aud": "another-client"},
        {"aud": None},
        {"aud": []},
        {"iat": None},
        {"iat": NOW + 31},
        {"iat": True},
        {"exp": None},
        {"exp": NOW - 30},
        {"exp": "later"},
        {"jti": None},
        {"jti": ""},
        {"events": None},
        {"events": {}},
        {"events": {EVENT: True}},
        {"events": [EVENT]},
        {"events": {"http://schemas.openid.net/event/other": {}}},
        {"sub": None, "sid": None},
        {"sub": ""},
        {"sid": 1},
        {"nonce": "n"},
        {"nonce": ""},
        {"typ": "JWT"},
        {"typ": None},
        {"typ": "at+jwt"},
        {"key": SECRET[::-1]},
    ],
    ids=str,
)
def test_a_bad_token_is_400_and_ends_nothing(ask: Any, bad: dict[str, Any]) -> None:
    """A token that breaks a rule of section 2.6 is a 400, ends no session, and notes no replay."""
    replays = Replays()
    world = World(replays=replays)
    assert post(ask, world, token(**bad)) == 400
    assert not world.revocations.is_revoked(caller())
    assert not replays.seen


@EACH_FACE
def test_a_token_without_signature_is_400(ask: Any) -> None:
    """A logout token with `alg: none` is a 400."""
    claims = pyjwt.decode(token(), options={"verify_signature": False})
    unsigned = pyjwt.encode(claims, None, algorithm="none", headers={"typ": "logout+jwt"})
    assert post(ask, World(replays=Replays()), unsigned) == 400


@EACH_FACE
def test_a_token_is_used_once(ask: Any) -> None:
    """A logout token is accepted once: its `jti` is noted until the token has expired."""
    replays = Replays()
    world = World(replays=replays)
    assert [post(ask, world, token()) for _ in range(2)] == [200, 400]
    assert post(ask, world, token(jti="j2")) == 200
    assert set(replays.seen.values()) == {300 + 30 + 1}


@EACH_FACE
def test_a_store_that_is_down_is_503_and_the_token_may_come_again(ask: Any) -> None:
    """An outage of the store is a 503, and the same token is accepted after it."""

    class Down:
        is_down = True

        def revoke(self, **named: Any) -> None:
            if self.is_down:
                raise VerificationUnavailableError("down", retry_after=1)

    down, replays = Down(), Replays()
    world = World(revocations=down, replays=replays)
    assert post(ask, world, token()) == 503
    down.is_down = False
    assert post(ask, world, token()) == 200


@EACH_FACE
def test_replays_that_time_out_are_503(ask: Any) -> None:
    """A `TimeoutError` of the replay store is a 503."""

    def time_out(digest: str, seconds: int) -> bool:
        raise TimeoutError

    assert post(ask, World(replays=time_out), token()) == 503


@EACH_FACE
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b'{"logout_token": "x"}'),
        ("", b""),
        (FORM, b""),
        (FORM, b"logout_token=a&logout_token=b"),
        (FORM, b"logout_token=\xff"),
        (FORM, b"logout_token=%ff%fe.a.b"),
        (FORM, b"logout_token=a.b.c"),
        (FORM, b"&".join([b"a=b"] * 30)),
        (FORM, b"logout_token=" + b"x" * MAX_BODY),
    ],
    ids=["json", "nothing", "empty", "two", "bytes", "odd", "no token", "many fields", "large"],
)
def test_what_is_no_form_with_a_token_is_400(ask: Any, kind: str, body: bytes) -> None:
    """A body that is not a form with one token is a 400 with an error description."""
    status, fields, answer = ask(World(replays=Replays()).endpoint, "POST", kind, body)
    assert (status, fields["cache-control"]) == (400, "no-store")
    assert b"error_description" in answer


@EACH_FACE
def test_other_fields_of_the_form_are_ignored(ask: Any) -> None:
    """The form may have other fields, and its media type may have parameters (section 2.5)."""
    body = urlencode({"other": "x", "logout_token": token()}).encode()
    assert ask(World(replays=Replays()).endpoint, "POST", FORM + "; charset=utf-8", body)[0] == 200


@EACH_FACE
def test_another_method_is_405(ask: Any) -> None:
    """A GET request to the endpoint is a 405 that allows POST."""
    status, fields, _ = ask(World(replays=Replays()).endpoint, "GET", "", b"")
    assert (status, fields["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "bad",
    [{"issuer": ""}, {"audience": ""}, {"revocations": object()}, {"replays": 1}, {"token_lifetime": 0}],
)
def test_options_are_checked(bad: dict[str, Any]) -> None:
    """The constructor refuses invalid options."""
    with pytest.raises(ConfigurationError):
        World(**bad)


def test_a_key_of_one_tenant_signs_logout_tokens_of_this_tenant() -> None:
    """The member `issuer` of a key, as Microsoft Entra ID publishes it, is compared with the `iss`."""
    issuer = "https://login.example/8f2c/v2.0"
    for tenant, status in (("{tenantid}", 200), ("8f2c", 200), ("72f9", 400)):
        key = jwk(ec_key(), kid="a", alg="ES256", issuer=f"https://login.example/{tenant}/v2.0")
        world = World(algorithms=["ES256"], issuer=issuer, keys={"keys": [key]})
        text = make_token(
            {
                "iss": issuer,
                "aud": CLIENT,
                "iat": NOW,
                "exp": NOW + 60,
                "jti": "j",
                "sid": "s",
                "events": {EVENT: {}},
            },
            algorithm="ES256",
            key=ec_key(),
            typ="logout+jwt",
            kid="a",
        )
        body = urlencode({"logout_token": text}).encode()
        assert ask_asgi(world.endpoint, "POST", FORM, body)[0] == status, tenant
