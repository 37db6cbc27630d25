"""Secrets are not shown (law 9): marked credentials are not in answers, logs, errors and representations."""

import logging
import secrets
import traceback
from typing import Any

import pytest

from adapters.faces import ASGI, WSGI, ask_asgi, ask_wsgi, run
from authguard import (
    AccessCookie,
    APIKey,
    APIKeyFile,
    APIKeyVerifier,
    DPoP,
    Guard,
    HTTPOptions,
    IntrospectionVerifier,
    JWTVerifier,
    MemoryRevocations,
    MutualTLS,
    Principal,
    ResourceMetadata,
    Rule,
    digest_api_key,
)
from authguard.asgi import AuthGuardMiddleware
from authguard.errors import AuthGuardError, ConfigurationError
from authguard.testing import issue_token
from sizes import size
from support import b64, ec_key, jwk, make_proof, thumbprint

NOW = 1_800_000_000.0
MARK = "MARKER-of-secrets"  # of more than 16 characters, as all credentials
SHORT = MARK[:6]
SECRET = MARK + secrets.token_urlsafe(40)
KEY = f"sk_live_{MARK}" + secrets.token_urlsafe(32)
TOKEN = issue_token(SECRET, now=NOW, scopes=["read"])
BOUND = issue_token(SECRET, now=NOW, cnf={"jkt": thumbprint(jwk(ec_key()))})
PROOF = make_proof(BOUND, htu="https://site.example/private")
SIGNATURE, BOUND_SIGNATURE, PROOF_SIGNATURE = (text.rpartition(".")[2] for text in (TOKEN, BOUND, PROOF))
TEXTS = [
    TOKEN,
    TOKEN + "x",
    f"{TOKEN} {TOKEN}",
    KEY,
    KEY + "x",
    f"{MARK}.{MARK}.{MARK}",
    f"{MARK}\xe9",
    MARK,
]
ENCODED = [b64(text.encode("latin-1")) for text in TEXTS]
MARKS = (MARK, SECRET, KEY, SIGNATURE, BOUND_SIGNATURE, PROOF_SIGNATURE, *ENCODED)
#: The fields of the last request, as a callback may know them from its framework.
SENT: list[list[tuple[str, bytes]]] = []

FACES = [(name, ask_asgi, make) for name, make in ASGI.items()] + [
    (name, ask_wsgi, make) for name, make in WSGI.items()
]


def bug(*given: Any) -> Any:
    """Raise an error with all arguments, as a callback with a bug does."""
    presented = getattr(given[0], "presented", "")
    presented = f"{presented} {SENT[-1]!r} {SENT[-1]}" if SENT else presented
    offered = given[0].fields(b"sec-websocket-protocol") if hasattr(given[0], "fields") else ""
    raise ValueError(f"{given!r} {getattr(given[0], 'value', '')} {presented} {offered}")


def later_a_bug() -> Any:
    """Return a callback that raises at each second call."""
    called = []

    def load(principal: Any) -> Any:
        called.append(principal)
        return principal if len(called) % 2 else bug(principal)

    return load


class Leaky:
    """A verifier that raises an error with the credential."""

    verify = staticmethod(bug)


class LeakyClient:
    """An HTTP client that raises an error with the form of the request."""

    def request(self, **options: Any) -> Any:
        """Send a request."""

    def stream(self, **options: Any) -> Any:
        """Raise an error that contains the body of the request."""
        raise ValueError(f"{options['content']!r} {options['content'].decode()}")


def guards(**options: Any) -> list[Guard]:
    """Return guards that accept, refuse, fail, and know the marked secrets."""
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    keys = APIKeyVerifier({KEY: APIKey("robot")})
    rules: Any = {"protected_paths": ["/private", Rule("/admin", scopes=["admin"])], "login_path": "/login"}
    rules |= options
    cookie = AccessCookie("session", secure=False)
    leaky = HTTPOptions(client=LeakyClient())
    asking = IntrospectionVerifier(
        "https://issuer.example/introspect", client_id="api", client_secret=SECRET, http=leaky
    )
    return [
        Guard(jwt, keys, cookie=cookie, revocations=MemoryRevocations(), **rules),
        Guard(Leaky(), cookie=cookie, **rules),
        Guard(Leaky(), **rules),
        Guard(asking, cookie=cookie, **rules),
        Guard(jwt, APIKeyVerifier(bug), on_error=bug, cookie=cookie, **rules),
        Guard(jwt, keys, user_loader=bug, cookie=cookie, **rules),
        Guard(jwt, keys, user_loader=later_a_bug(), cookie=cookie, **rules),
        Guard(jwt, proofs=[DPoP("https://site.example", nonce_secret=SECRET), MutualTLS()], **rules),
        Guard(jwt, proofs=[DPoP("https://site.example", replays=bug)], **rules),
    ]


def requests() -> list[list[tuple[str, bytes]]]:
    """Return fields that present a marked secret in each way, valid and invalid."""
    fields = [[("Authorization", f"Bearer {text}".encode("latin-1"))] for text in TEXTS]
    fields += [[("Authorization", f"{text}".encode("latin-1"))] for text in TEXTS]
    fields += [[("X-API-Key", text.encode("latin-1"))] for text in TEXTS]
    fields += [[("Cookie", f"session={text}".encode("latin-1"))] for text in TEXTS]
    fields += [[("Authorization", f"DPoP {text}".encode("latin-1"))] for text in [*TEXTS, BOUND]]
    fields += [[("Authorization", f"DPoP {BOUND}".encode()), ("DPoP", PROOF.encode())]]
    fields += [
        [
            ("Authorization", f"Bearer {TOKEN}".encode()),
            ("Cookie", f"{name}={text}; b={KEY}".encode("latin-1")),
        ]
        for text in (KEY, f"{MARK}\xe9")
        for name in ("a", "session")
    ]
    fields += [[("X-API-Key", KEY.encode()), ("Authorization", f"Bearer {TOKEN}".encode())]]
    return [[*field, *more] for field in fields for more in ([], [("Accept", b"text/html")])]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "ask", "make"), FACES, ids=[face[0] for face in FACES])
def test_no_answer_and_no_log_holds_a_secret(name: str, ask: Any, make: Any, caplog: Any) -> None:
    """Answers, log lines and tracebacks at level DEBUG contain no credential."""
    caplog.set_level(logging.DEBUG)
    for guard in guards():
        app = make(guard, lambda: NOW)
        for place, fields in enumerate(requests()):
            for path in _paths(place // 2):  # with and without an Accept field
                SENT[:] = [fields]
                answer = ask(app, "GET", path, fields)
                shown = f"{answer.headers} {answer.body!r}"
                assert not [mark for mark in MARKS if mark in shown], shown
    formatted = caplog.text + "".join(record.getMessage() for record in caplog.records)
    assert not [mark for mark in MARKS if mark in formatted]


def _paths(place: int) -> list[str]:
    """Return the paths that a credential is sent to: one in turn, or all of them."""
    paths = ["/private", "/admin", "/login"]
    return [paths[(place + number) % len(paths)] for number in range(size(1, len(paths)))]


def handshakes() -> list[tuple[list[str], list[tuple[str, bytes]]]]:
    """Return the subprotocols and fields that present a marked secret in a handshake."""
    offers = [f"authguard.bearer.{b64(text.encode('latin-1'))}" for text in TEXTS]
    offers += [f"authguard.bearer.{text}" for text in TEXTS] + [offer + "=" for offer in offers]
    presented = [([offer], fields) for offer in offers for fields in ([], [("X-API-Key", KEY.encode())])]
    return [*presented, (offers[:2], []), *(([], fields) for fields in requests())]


@pytest.mark.slow
@pytest.mark.parametrize("close_codes", [False, True])
def test_no_handshake_and_no_end_of_a_websocket_tells_a_secret(close_codes: bool, caplog: Any) -> None:
    """A refused, an accepted and a closed websocket contain no credential in their messages."""
    caplog.set_level(logging.DEBUG)
    SENT.clear()
    for guard in guards(subprotocol="authguard"):
        for offered, fields in handshakes():
            for path in ("/private", "/public"):
                shown = str(_handshake(guard, offered, fields, path, close_codes))
                assert not [mark for mark in MARKS if mark in shown], shown
    formatted = caplog.text + "".join(record.getMessage() for record in caplog.records)
    assert not [mark for mark in MARKS if mark in formatted]


def _handshake(guard: Guard, offered: Any, fields: Any, path: str, close_codes: bool) -> list[Any]:
    now, sent = [NOW], []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert not [mark for mark in MARKS if mark in str(scope["subprotocols"])]
        await receive()
        await send({"type": "websocket.accept"})
        now[0] += 1e6  # the token has expired, or the callback is called again
        await send({"type": "websocket.close"} if path == "/public" else {"type": "websocket.send"})

    headers = [(name.lower().encode(), value) for name, value in fields]
    headers += [(b"sec-websocket-protocol", name.encode("latin-1")) for name in offered]
    scope = {
        "type": "websocket",
        "path": path,
        "headers": headers,
        "subprotocols": offered,
        "extensions": {"websocket.http.response": {}},
    }
    middleware = AuthGuardMiddleware(
        app, guard=guard, clock=lambda: now[0], websocket_close_codes=close_codes
    )
    run(middleware(scope, receive, send))
    return sent


def test_no_representation_holds_a_secret(tmp_path: Any) -> None:
    """The representations of verifiers, guards, key files and principals contain no secret."""
    path = tmp_path / "keys.json"
    path.write_text(f'{{"{digest_api_key(KEY)}": {{"subject": "robot"}}}}')
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    credential = Guard(jwt)._extractor.extract  # a bound method shows its object
    shown = [jwt, vars(jwt), *guards(), APIKeyVerifier({KEY: APIKey("robot")}), APIKeyFile(path), credential]
    shown += [jwt._keys._keys, Principal("ada", claims={"email": MARK})]
    assert not [mark for mark in MARKS if mark in repr(shown)]


@pytest.mark.parametrize(
    "build",
    [
        lambda: JWTVerifier(MARK, algorithms=["HS256"], issuer=None, audience=None),
        lambda: JWTVerifier(SECRET, algorithms=["RS256"], issuer=None, audience=None),
        lambda: JWTVerifier([SECRET, MARK], algorithms=["HS256"], issuer=None, audience=None),
        lambda: JWTVerifier({"kty": "oct", "k": MARK}, algorithms=["HS256"], issuer=None, audience=None),
        lambda: JWTVerifier(f'{{"keys": {SECRET}', algorithms=["HS256"], issuer=None, audience=None),
        lambda: APIKeyVerifier({SHORT: APIKey("robot")}),
        lambda: APIKeyVerifier({KEY: "robot"}),  # type: ignore[dict-item]
        lambda: DPoP(f"https://user:{SECRET}@site.example"),
        lambda: DPoP("https://site.example", nonce_secret=MARK),
        lambda: ResourceMetadata(f"https://user:{SECRET}@site.example"),
    ],
    ids=[
        "short",
        "no HMAC",
        "two secrets",
        "short oct",
        "not JSON",
        "short key",
        "no APIKey",
        "origin",
        "nonce",
        "resource",
    ],
)
def test_no_configuration_error_holds_a_secret(build: Any) -> None:
    """A configuration error and the errors in its chain do not contain the refused secret."""
    with pytest.raises(ConfigurationError) as raised:
        build()
    messages = [str(error) for error in _chain(raised.value)]
    assert not [mark for mark in (SHORT, *MARKS) if any(mark in message for message in messages)]


def _chain(error: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while error is not None:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


def test_no_traceback_of_a_refusal_holds_a_secret() -> None:
    """The traceback of a refusal by a verifier does not contain the token."""
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    from authguard import Credential
    from support import judge

    for text in (TOKEN[:-2], f"{MARK}.{MARK}.{MARK}", MARK):
        with pytest.raises(AuthGuardError) as raised:
            judge(jwt, Credential(text, "bearer"), NOW)
        lines = "".join(traceback.format_exception(raised.value, chain=True))
        assert not [mark for mark in MARKS if mark in lines]
