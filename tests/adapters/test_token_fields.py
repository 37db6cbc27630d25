"""JWTs in a field of their own, as Google IAP and Cloudflare Access send them, by each adapter."""

from typing import Any

import pytest
from fastapi import FastAPI

from adapters.answering import (
    AUDIENCE,
    INVALID_REQUEST,
    INVALID_TOKEN,
    ISSUER,
    KEY,
    NOW,
    SECRET,
    Case,
    cookie,
    token,
)
from adapters.answering import api_key as key
from adapters.answering import bearer as authorization
from adapters.faces import ASGI, DECORATED, WSGI, Field, ask_asgi, ask_wsgi
from adapters.test_websockets import Echoing, entry, shake
from authguard import (
    AccessCookie,
    APIKey,
    APIKeyVerifier,
    ClientAuth,
    ConfigurationError,
    Credential,
    Guard,
    IntrospectionVerifier,
    JWTVerifier,
    MemoryRevocations,
    Principal,
    Rule,
)
from authguard._core.answer.decision import Allow, Deny
from authguard._core.verifier import Verified, Verifier
from authguard.asgi import AuthGuardMiddleware
from authguard.drivers import run
from authguard.fastapi import CurrentUser, install
from support import FakeRequest, claims, make_token

IAP = "X-Goog-IAP-JWT-Assertion"
ACCESS = "Cf-Access-Jwt-Assertion"
IAP_SECRET = "1Ap-0nly-Secret-of-enough-bytes-4Kx9Qw"
GOOD = make_token(claims(sub="somebody", iss="https://iap.example", exp=NOW + 600, iat=NOW), key=IAP_SECRET)
EXPIRED = make_token(claims(iss="https://iap.example", exp=NOW - 600, iat=NOW - 900), key=IAP_SECRET)
BEARER = token()


def iap(header: str = IAP, issuer: str = "https://iap.example", secret: str = IAP_SECRET) -> JWTVerifier:
    return JWTVerifier(secret, algorithms=["HS256"], issuer=issuer, audience=AUDIENCE, header=header)


def plain() -> JWTVerifier:
    return JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)


def guard(**options: Any) -> Guard:
    return Guard(
        iap(),
        plain(),
        APIKeyVerifier({KEY: APIKey("robot")}),
        cookie=AccessCookie("session", secure=False),
        protected_paths=["/private", Rule("/admin", scopes=["admin"])],
        public_paths=["/public"],
        **options,
    )


def field(text: str, name: str = IAP) -> Field:
    return (name, text.encode("latin-1"))


BAD_TOKEN = {"status": 401, "challenge": INVALID_TOKEN}
BAD_REQUEST = {"status": 400, "challenge": INVALID_REQUEST}
CASES = {
    "a good token": Case(fields=[field(GOOD)], subject="somebody"),
    "a name in other case": Case(fields=[field(GOOD, IAP.lower())], subject="somebody"),
    "white space around": Case(fields=[field(f" {GOOD} ")], subject="somebody"),
    "beside Basic": Case(fields=[field(GOOD), authorization("eDp5", "Basic ")], subject="somebody"),
    "beside the cookie": Case(fields=[cookie(BEARER), field(GOOD)], subject="somebody"),
    "beside a bad cookie": Case(fields=[cookie("x"), field(GOOD)], subject="somebody"),
    "a good token on a public page": Case(path="/public", fields=[field(GOOD)], subject="somebody"),
    "a bad token on a public page": Case(path="/public", fields=[field(EXPIRED)]),
    "a good token without the scope": Case(path="/admin", fields=[field(GOOD)], status=403),
    "a bearer token": Case(fields=[authorization(BEARER)], subject="somebody"),
    "an API key": Case(fields=[key(KEY)], subject="robot"),
    "an expired token": Case(fields=[field(EXPIRED)], **BAD_TOKEN),
    "a token of the other issuer": Case(fields=[field(BEARER)], **BAD_TOKEN),
    "the token as Bearer": Case(fields=[authorization(GOOD)], **BAD_TOKEN),
    "the token in the cookie": Case(fields=[cookie(GOOD)], **BAD_TOKEN),
    "the token in the field of keys": Case(fields=[key(GOOD)], **BAD_TOKEN),
    "an API key in the field": Case(fields=[field(KEY)], **BAD_TOKEN),
    "an opaque token": Case(fields=[field("opaque")], **BAD_TOKEN),
    "an empty field": Case(fields=[field("")], **BAD_TOKEN),
    "a scheme before it": Case(fields=[field(f"Bearer {GOOD}")], **BAD_TOKEN),
    "not ASCII": Case(fields=[field("caf\xe9")], **BAD_TOKEN),
    "too long": Case(fields=[field("a" * 20_000)], **BAD_TOKEN),
    "a bad field beside a good cookie": Case(fields=[cookie(BEARER), field("x")], **BAD_TOKEN),
    "the field twice": Case(fields=[field(GOOD), field(GOOD)], **BAD_REQUEST),
    "joined": Case(fields=[field(f"{GOOD}, {GOOD}")], **BAD_REQUEST),
    "a comma at its end": Case(fields=[field(f"{GOOD},")], **BAD_REQUEST),
    "two empty fields": Case(fields=[field(""), field("")], **BAD_REQUEST),
    "beside a bearer token": Case(fields=[field(GOOD), authorization(BEARER)], **BAD_REQUEST),
    "behind a bearer token": Case(fields=[authorization(BEARER), field(GOOD)], **BAD_REQUEST),
    "beside itself as Bearer": Case(fields=[field(GOOD), authorization(GOOD)], **BAD_REQUEST),
    "beside an API key": Case(fields=[field(GOOD), key(KEY)], **BAD_REQUEST),
    "beside an API key as Bearer": Case(fields=[field(GOOD), authorization(KEY)], **BAD_REQUEST),
    "empty beside an API key": Case(fields=[field(""), key(KEY)], **BAD_REQUEST),
    "twice on a public page": Case(path="/public", fields=[field(GOOD), field(GOOD)]),
}
FACES = [(name, ask_asgi, make) for name, make in ASGI.items()] + [
    (name, ask_wsgi, make) for name, make in WSGI.items()
]


@pytest.fixture(name="face", params=FACES, ids=[face[0] for face in FACES], scope="module")
def _face(request: pytest.FixtureRequest) -> Any:
    _, ask, make = request.param
    app = make(guard(), lambda: NOW)
    return lambda *what: ask(app, *what)


@pytest.mark.parametrize("name", CASES)
def test_answer(face: Any, name: str) -> None:
    """Each adapter gives the answer of the table, for a first-seen token and for a known one."""
    case = CASES[name]
    for _ in range(2):
        answer = face(case.method, case.path, case.fields)
        assert answer.status == case.status, answer
        if case.status == 200:
            assert answer.body.decode() == case.subject
        else:
            assert answer.headers["www-authenticate"].startswith(case.challenge)


def test_caches_are_told_of_the_field(face: Any) -> None:
    """A response to a token in another field is private, and varies by the field."""
    answer = face("GET", "/private", [field(GOOD)])
    assert answer.headers["vary"].lower() == IAP.lower()
    assert answer.headers["cache-control"] == "private"


def request(*fields: Field, path: str = "/private") -> FakeRequest:
    names = (b"authorization", b"cookie", b"x-api-key", IAP.lower().encode(), ACCESS.lower().encode())
    return FakeRequest(path, headers=fields, credential_fields=names)


def decide(guard: Guard, *fields: Field) -> Allow | Deny:
    return run(guard.decide(request(*fields), NOW))


def test_the_principal_says_how_it_came() -> None:
    """The method of the principal is `header`."""
    allowed = decide(guard(), field(GOOD))
    assert isinstance(allowed, Allow)
    assert allowed.auth.principal.method == "header"


def test_a_known_token_is_recalled_at_once() -> None:
    """`recall` finds the decision for a known token."""
    own = guard()
    presented = [(IAP.lower().encode(), GOOD.encode())]
    assert not own.recall(presented, ("GET", "/private", ""), NOW).is_decision
    decide(own, field(GOOD))
    assert own.recall(presented, ("GET", "/private", ""), NOW).is_decision


def test_a_token_can_be_revoked() -> None:
    """A token in the field can be revoked."""
    revocations = MemoryRevocations(clock=lambda: NOW)
    own = guard(revocations=revocations)
    assert isinstance(decide(own, field(GOOD)), Allow)
    revocations.revoke(subject="somebody", until=NOW + 900)
    assert isinstance(decide(own, field(GOOD)), Deny)


def test_a_bound_token_needs_its_proof() -> None:
    """A bound token in the field is refused, since it has no proof."""
    bound = make_token(
        claims(iss="https://iap.example", exp=NOW + 600, iat=NOW, cnf={"jkt": "x" * 43}), key=IAP_SECRET
    )
    denied = decide(guard(), field(bound))
    assert isinstance(denied, Deny)
    assert denied.refusal.status == 401


def test_several_issuers_share_a_field() -> None:
    """The `iss` of a token chooses the verifier of the field."""
    own = Guard(iap(), iap(issuer=ISSUER, secret=SECRET), plain())
    for text, allowed in ((GOOD, True), (BEARER, True), (token(iss="https://x.example"), False)):
        assert isinstance(decide(own, field(text)), Allow if allowed else Deny)
    assert isinstance(decide(own, authorization(BEARER)), Allow)
    assert isinstance(decide(own, authorization(GOOD)), Deny)


def test_two_fields_are_two_credentials() -> None:
    """Tokens in two fields are a 400, also if both are valid."""
    own = Guard(iap(), iap(ACCESS, ISSUER, SECRET))
    assert isinstance(decide(own, field(GOOD)), Allow)
    assert isinstance(decide(own, field(BEARER, ACCESS)), Allow)
    assert isinstance(decide(own, field(GOOD, ACCESS)), Deny)
    for fields in ([field(GOOD), field(BEARER, ACCESS)], [field(BEARER, ACCESS), field(GOOD)]):
        denied = decide(own, *fields)
        assert isinstance(denied, Deny)
        assert denied.refusal.status == 400


def test_a_token_of_one_field_is_not_known_by_another() -> None:
    """A token that is remembered for one field is not accepted in another one."""
    own = Guard(iap(), iap(ACCESS, ISSUER, SECRET), plain())
    assert isinstance(decide(own, field(BEARER, ACCESS)), Allow)
    assert isinstance(decide(own, field(BEARER)), Deny)
    assert isinstance(decide(own, field(BEARER, ACCESS)), Allow)


class Anything:
    """A verifier of an application that accepts each credential."""

    def verify(self, credential: Credential) -> Principal:
        return Principal("eve")


class Greedy(Anything):
    """A verifier whose `accepts` returns True."""

    def accepts(self, credential: Credential) -> bool:
        return True


@pytest.mark.parametrize("text", ["opaque", EXPIRED, "a.b.c"])
def test_no_other_verifier_is_asked_about_the_field(text: str) -> None:
    """A token in the field is not verified by a custom verifier without a field, in each order."""
    for verifiers in ([Greedy(), iap()], [iap(), Greedy()], [Anything(), iap()], [iap(), Anything()]):
        assert isinstance(decide(Guard(*verifiers), field(text)), Deny)
        assert isinstance(decide(Guard(*verifiers), authorization("opaque")), Allow)


def test_without_another_verifier_the_authorization_field_opens_nothing() -> None:
    """The same token in the Authorization field is refused."""
    own = Guard(iap())
    assert isinstance(decide(own, field(GOOD)), Allow)
    assert isinstance(decide(own, authorization(GOOD)), Deny)


@pytest.mark.parametrize(
    "header", ["Authorization", "cookie", "HOST", "DPoP", "Origin", "X_Token", "X Token", "", 5, b"X-A"]
)
def test_what_is_no_field_for_tokens_is_refused(header: Any) -> None:
    """A field that other credentials use, or that has an invalid name, is refused."""
    with pytest.raises(ConfigurationError, match="header must be a field for tokens"):
        iap(header)


@pytest.mark.parametrize(
    ("header", "words"),
    [("Authorization", "leave header out, since"), ("Cookie", r"cookie=AccessCookie\(\)")],
)
def test_where_tokens_come_without_the_option_is_said(header: str, words: str) -> None:
    """The error for `Authorization` or `Cookie` shows the correct option."""
    with pytest.raises(ConfigurationError, match=words):
        iap(header)


def test_tokens_and_keys_in_one_field_are_refused() -> None:
    """A guard whose tokens and keys have one field is refused, since a value could be either."""
    for other in (APIKeyVerifier({KEY: APIKey("robot")}), Own()):
        for verifiers in ([iap("X-API-KEY"), other], [other, iap("X-API-KEY")]):
            with pytest.raises(ConfigurationError, match="must read different fields"):
                Guard(*verifiers)


class Own(Anything):
    header = "x-api-key"


class OfField(Verifier):
    """A verifier of an application with a field for tokens."""

    token_header = IAP

    def accepts(self, credential: Credential) -> bool:
        return True

    def flow(self, credential: Credential, now: float) -> Verified:
        return Verified(Principal("eve"), now)


def test_two_kinds_of_verifiers_of_a_field_are_refused() -> None:
    """A field that a `JWTVerifier` shares with a verifier of another kind is refused."""
    with pytest.raises(ConfigurationError, match="must read different fields"):
        Guard(iap(), OfField())


def test_a_verifier_of_a_field_verifies_nothing_before_introspection() -> None:
    """A verifier with a field before introspection is refused, since it would never be asked."""
    with pytest.raises(ConfigurationError, match="leave its header= out"):
        IntrospectionVerifier("https://issuer.example/i", auth=ClientAuth.post("a", "b"), jwt=iap())


def test_openapi_has_a_scheme_for_the_field() -> None:
    """The document has a scheme for the field, beside those of the other credentials."""
    schemes = document(guard())["components"]["securitySchemes"]
    assert schemes[f"JWT-{IAP.title()}"]["name"] == IAP.lower()
    assert {name: scheme["in"] for name, scheme in schemes.items() if name != "Bearer"} == {
        f"JWT-{IAP.title()}": "header",
        "APIKey": "header",
        "Cookie": "cookie",
    }
    alone = document(Guard(iap()))
    assert list(alone["components"]["securitySchemes"]) == [f"JWT-{IAP.title()}"]
    assert alone["paths"]["/private"]["get"]["security"] == [{f"JWT-{IAP.title()}": []}]


@pytest.mark.parametrize("framework", DECORATED)
@pytest.mark.parametrize(
    ("fields", "status"),
    [([field(GOOD)], 200), ([field(EXPIRED)], 401), ([field(GOOD), authorization(BEARER)], 400), ([], 401)],
    ids=["good", "expired", "two", "none"],
)
def test_a_decorated_route_asks_for_it(framework: str, fields: list[Field], status: int) -> None:
    """A decorated route on a public path checks the field."""
    make, ask = DECORATED[framework]
    app = make(Guard(iap(), plain(), public_paths=["/route"]), lambda: NOW, {})
    assert ask(app, "GET", "/route", fields).status == status


@pytest.mark.parametrize(
    ("offered", "fields", "expected"),
    [
        ([], [field(GOOD)], 200),
        ([], [field(EXPIRED)], 401),
        ([], [field(GOOD), field(GOOD)], 400),
        ([], [field(GOOD), authorization(BEARER)], 400),
        (["authguard", entry(BEARER)], [field(GOOD)], 400),
        (["authguard", entry(GOOD)], [], 401),
    ],
    ids=["good", "expired", "twice", "beside Bearer", "beside a subprotocol", "as a subprotocol"],
)
def test_a_handshake_with_it_gets_the_same_answer(
    offered: list[str], fields: list[Field], expected: int
) -> None:
    """A token among the subprotocols is a second credential beside the field."""
    app = AuthGuardMiddleware(Echoing(), guard=guard(subprotocol="authguard"), clock=lambda: NOW)
    first = shake(app, offered, fields, "/private")[0]
    assert (200 if first["type"] == "websocket.accept" else first["status"]) == expected


def document(own: Guard) -> dict[str, Any]:
    app = FastAPI()

    @app.get("/private")
    async def private(user: CurrentUser) -> None: ...

    install(app, own)
    return app.openapi()
