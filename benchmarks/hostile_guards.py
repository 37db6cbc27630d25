"""Build guards of every kind, and the entrances through which requests reach them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from authguard import (
    AccessCookie,
    APIKey,
    APIKeyVerifier,
    DPoP,
    Guard,
    IntrospectionVerifier,
    JWTVerifier,
    MemoryRevocations,
    MutualTLS,
    RemoteKeySet,
    ResourceMetadata,
    Rule,
)
from authguard.asgi import AuthGuardMiddleware as ASGIMiddleware
from authguard.wsgi import AuthGuardMiddleware as WSGIMiddleware
from benchmarks.hostile_inputs import Hostile
from benchmarks.hostile_proofs import ORIGIN
from benchmarks.hostile_tokens import AUDIENCE, ISSUER, KID, NOW, SECRET, ec_jwk, ec_key, rsa_jwk, rsa_key

API_KEY = "sk_live_h0stile-0nly-Key-of-enough-bytes-3Zt"
_NONCES = "h0stile-0nly-nonces-of-enough-bytes-7Rw"


def _jwt(keys: Any = SECRET, algorithm: str = "HS256", issuer: str = ISSUER, **options: Any) -> JWTVerifier:
    return JWTVerifier(keys, algorithms=[algorithm], issuer=issuer, audience=AUDIENCE, **options)


def _rsa() -> JWTVerifier:
    return _jwt(rsa_jwk(rsa_key().public_key().public_numbers(), kid=KID), "RS256")


def _ec() -> JWTVerifier:
    return _jwt(ec_jwk(ec_key(), kid=KID), "ES256", scope_claims=["scope", "a.b.c"])


def _several_issuers() -> Guard:
    others = [_jwt(f"{SECRET}-{number}", issuer=f"{ISSUER}/{number}") for number in range(10)]
    return Guard(_jwt(), _ec(), _rsa(), *others)


def _everything() -> Guard:
    return Guard(
        _jwt(), _ec(), APIKeyVerifier({API_KEY: APIKey("robot")}),
        protected_paths=["/", Rule("/maybe", optional="lenient"), Rule("/admin", scopes=["admin"]), Rule("/bank", max_age=60)],
        public_paths=["/public"], login_path="/login", cookie=AccessCookie(secure=False), revocations=_revocations(),
        proofs=[DPoP(ORIGIN, nonce_secret=_NONCES), MutualTLS(header="Client-Cert", proxies=["127.0.0.1"])],
        resource=ResourceMetadata(ORIGIN, authorization_servers=[ISSUER]), subprotocol="authguard",
    )  # fmt: skip


def _revocations() -> MemoryRevocations:
    store = MemoryRevocations()
    for number in range(10):
        store.revoke(token_id=f"t{number}", until=NOW + 600)
    return store


async def _no_key(digest: str) -> None:
    return None


async def _user(principal: Any) -> Any:
    return principal


async def _other_body(request: Any, refusal: Any) -> Any:
    return refusal.with_json({"code": "refused"})


async def _broken(digest: str) -> None:
    raise ValueError(f"no such key: {digest}")


async def _down(digest: str) -> None:
    raise ConnectionError("the database is down")


def _stars() -> list[str]:
    """Return patterns of which many match a path of one letter in several ways."""
    return [
        "/**/a/**/b/**/c",
        "/**/a/*/a",
        "/*/**/*/**/x",
        "/a/**/a/**/a/**/y",
        "/**/admin/**",
        *(f"/**/{n}/**/z" for n in range(20)),
    ]


#: Guards of each kind, created again for each request, so that no memory helps.
GUARDS: dict[str, Callable[[], Guard]] = {
    "HS256": lambda: Guard(_jwt(), protected_paths=["/"]),
    "RS256": lambda: Guard(_rsa()),
    "ES256": lambda: Guard(_ec()),
    "several issuers": _several_issuers,
    "API keys in a mapping": lambda: Guard(_jwt(), APIKeyVerifier({API_KEY: APIKey("robot")})),
    "API keys by a function": lambda: Guard(APIKeyVerifier(_no_key)),
    "API keys by a function that raises": lambda: Guard(APIKeyVerifier(_broken)),
    "API keys by a function that is down": lambda: Guard(APIKeyVerifier(_down), cookie=AccessCookie(secure=False)),
    "cookie and login page": lambda: Guard(_jwt(), _ec(), cookie=AccessCookie(secure=False), login_path="/login"),
    "DPoP": lambda: Guard(_jwt(), proofs=[DPoP(ORIGIN)]),
    "DPoP with nonces": lambda: Guard(_jwt(), proofs=[DPoP(ORIGIN, nonce_secret=_NONCES)]),
    "client certificates, PEM": lambda: Guard(_jwt(), proofs=[MutualTLS(header="Client-Cert", proxies=["127.0.0.1"])]),
    "client certificates, RFC 9440": lambda: Guard(
        _jwt(), proofs=[MutualTLS(header="Client-Cert", encoding="rfc9440", proxies=["127.0.0.1"])]
    ),
    "subprotocol": lambda: Guard(_jwt(), subprotocol="authguard"),
    "metadata": lambda: Guard(_jwt(), resource=ResourceMetadata(ORIGIN, authorization_servers=[ISSUER])),
    "optional rules": lambda: Guard(
        _jwt(), protected_paths=[Rule("/", optional="strict"), Rule("/maybe", optional="lenient"), Rule("/admin", scopes=["admin"])]
    ),
    "public and protected paths": lambda: Guard(
        _jwt(), protected_paths=["/a", Rule("/admin", scopes=["admin"])], public_paths=["/public", "/a/b/c", "/**/open"]
    ),
    "rules with stars": lambda: Guard(_jwt(), protected_paths=_stars()),
    "revocations and a user loader": lambda: Guard(_jwt(), revocations=_revocations(), user_loader=_user),
    "on_error": lambda: Guard(_jwt(), on_error=_other_body, login_path="/login"),
    "everything together": _everything,
}  # fmt: skip


def _many_rules() -> Guard:
    rules = [Rule(f"/a/{number}/*", scopes=[f"s{number}"]) for number in range(9_999)]
    return Guard(_jwt(), protected_paths=[*rules, "/private"])


def _keys_by_url() -> Guard:
    return Guard(_jwt(RemoteKeySet("http://127.0.0.1:9/jwks"), "ES256"))  # no server listens at this port


def _introspection() -> Guard:
    return Guard(
        IntrospectionVerifier("http://127.0.0.1:9/i", client_id="api", client_secret="s", audience=AUDIENCE)
    )


#: Guards that take longer to build than most requests take here: created once, and used repeatedly.
SLOW_TO_BUILD = {
    "10,000 rules": _many_rules,
    "keys by URL, which cannot be reached": _keys_by_url,
    "introspection, which cannot be reached": _introspection,
}


def makers() -> dict[str, Callable[[], Guard]]:
    """Return for each kind of guard a function that returns a guard without remembered paths."""
    return {**GUARDS, **{name: _forgetting(make()) for name, make in SLOW_TO_BUILD.items()}}


def _forgetting(guard: Guard) -> Callable[[], Guard]:
    def forget() -> Guard:
        guard.policy.memory.clear()
        return guard

    return forget


@dataclass(frozen=True)
class Answer:
    """Summarise an answer.

    Attributes:
        status: the HTTP status, also of a refused websocket; 101 for an accepted one.
        size: bytes of all fields and the body.
    """

    status: int
    size: int


#: A function that sends one prepared request, so that it contains only the guard's work.
Step = Callable[[asyncio.Runner], Answer]


def asgi(guard: Guard, request: Hostile) -> Step:
    """Prepare an HTTP request for the ASGI middleware."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"in"})

    middleware = ASGIMiddleware(app, guard=guard, clock=lambda: NOW)
    scope = {**_scope(request), "type": "http", "method": request.method, "scheme": "http"}
    return lambda runner: runner.run(_converse(middleware, scope, {"type": "http.request", "body": b""}))


def websocket(guard: Guard, request: Hostile) -> Step:
    """Prepare a handshake for the ASGI middleware."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})

    middleware = ASGIMiddleware(app, guard=guard, clock=lambda: NOW)
    scope = {
        **_scope(request), "type": "websocket", "scheme": "ws", "subprotocols": list(request.subprotocols),
        "extensions": {"websocket.http.response": {}},
    }  # fmt: skip
    return lambda runner: runner.run(_converse(middleware, scope, {"type": "websocket.connect"}))


def _scope(request: Hostile) -> dict[str, Any]:
    return {
        "asgi": {"version": "3.0"}, "http_version": "1.1", "path": request.path, "root_path": request.root_path,
        "query_string": request.query, "client": ("127.0.0.1", 50_000), "server": ("127.0.0.1", 80), "state": {},
        "headers": [(name.encode("latin-1"), value) for name, value in request.fields],
    }  # fmt: skip


async def _converse(app: Callable[..., Awaitable[None]], scope: Any, message: Any) -> Answer:
    status, size = 0, 0

    async def receive() -> Any:
        return message

    async def send(sent: Any) -> None:
        nonlocal status, size
        status = 101 if sent["type"] == "websocket.accept" else sent.get("status", status)
        size += sum(len(name) + len(value) for name, value in sent.get("headers", ())) + len(
            sent.get("body", b"")
        )

    await app(scope, receive, send)
    return Answer(status, size)


def wsgi(guard: Guard, request: Hostile) -> Step:
    """Prepare a request for the WSGI middleware."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"in"]

    middleware = WSGIMiddleware(app, guard=guard, clock=lambda: NOW)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method, "PATH_INFO": _wsgi_text(request.path), "SCRIPT_NAME": _wsgi_text(request.root_path),
        "QUERY_STRING": request.query.decode("latin-1"), "wsgi.url_scheme": "http", "REMOTE_ADDR": "127.0.0.1",
    }  # fmt: skip
    for name, value in request.fields:
        key = "HTTP_" + name.upper().replace("-", "_")
        environ.setdefault(key, []).append(value.decode("latin-1"))
    for key, values in environ.items():
        if isinstance(values, list):  # servers join fields with one name in this way
            environ[key] = ("; " if key == "HTTP_COOKIE" else ",").join(values)

    def ask(runner: asyncio.Runner) -> Answer:
        started: list[Any] = []
        body = middleware(environ, lambda *arguments: started.append(arguments))  # type: ignore[arg-type]
        status, headers = started[-1][:2]
        size = sum(len(name) + len(value) for name, value in headers) + sum(map(len, body))
        return Answer(int(status.split()[0]), size)

    return ask


def _wsgi_text(path: str) -> str:
    """Return the bytes of the path as Latin-1 (PEP 3333)."""
    return path.encode("utf-8", "surrogateescape").decode("latin-1")


ENTRANCES: dict[str, Callable[[Guard, Hostile], Step]] = {"ASGI": asgi, "websocket": websocket, "WSGI": wsgi}
