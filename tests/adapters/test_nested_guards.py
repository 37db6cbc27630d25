"""Nested guards accept one DPoP proof for one request, and for no other request."""

import asyncio
from collections.abc import Callable
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from authguard import DPoP, Guard, JWTVerifier
from authguard.asgi import AuthGuardMiddleware
from authguard.wsgi import AuthGuardMiddleware as WSGIAuthGuardMiddleware
from support import AUDIENCE, ISSUER, NOW, SECRET, claims, ec_key, jwk, make_proof, make_token, thumbprint

ORIGIN = "https://api.example"
TOKEN = make_token(claims(cnf={"jkt": thumbprint(jwk(ec_key()))}))
NONCE_SECRET = "n0nce-secret-of-more-than-32-bytes-Qx7"


def make_guard(dpop: DPoP) -> Guard:
    """Return a guard that protects all paths."""
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    return Guard(verifier, proofs=[dpop])


def make_proof_for(path: str = "/a", **changes: Any) -> str:
    """Return a proof for a path."""
    return make_proof(TOKEN, **{"htu": ORIGIN + path, **changes})


def fields(proof: str) -> list[tuple[bytes, bytes]]:
    """Return the fields of a request with a proof."""
    return [(b"authorization", f"DPoP {TOKEN}".encode()), (b"dpop", proof.encode())]


def asgi_scope(proof: str, path: str = "/a", kind: str = "http") -> dict[str, Any]:
    """Return the scope of a request."""
    scope = {"type": kind, "path": path, "headers": fields(proof), "scheme": "https"}
    return scope if kind == "websocket" else {**scope, "method": "GET"}


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Answer by 204, or accept a websocket."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
    else:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def asgi_sent(app: Any, scope: Any) -> list[Any]:
    """Return the messages that an application sends."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


def asgi_status(app: Any, scope: Any) -> int:
    """Return the status of an answer."""
    status: int = asyncio.run(asgi_sent(app, scope))[0]["status"]
    return status


def guarded(app: Any, *guards: Guard) -> Any:
    """Put guards around an application, the last outside."""
    for guard in guards:
        app = AuthGuardMiddleware(app, guard=guard, clock=lambda: NOW)
    return app


def wsgi_guarded(app: Any, *guards: Guard) -> Any:
    """Put guards around a WSGI application, the last outside."""
    for guard in guards:
        app = WSGIAuthGuardMiddleware(app, guard=guard, clock=lambda: NOW)
    return app


def wsgi_answer(environ: Any, start_response: Any) -> list[bytes]:
    """Answer by 204."""
    start_response("204 No Content", [])
    return []


def wsgi_environ(proof: str, path: str = "/a") -> dict[str, Any]:
    """Return the environ of a request."""
    environ: dict[str, Any] = {"PATH_INFO": path, "wsgi.url_scheme": "https"}
    setup_testing_defaults(environ)
    environ |= {"HTTP_AUTHORIZATION": f"DPoP {TOKEN}", "HTTP_DPOP": proof, "SCRIPT_NAME": ""}
    return environ


def wsgi_status(app: Any, environ: Any) -> int:
    """Return the status of an answer."""
    statuses: list[str] = []
    app(environ, lambda status, headers, info=None: statuses.append(status))
    return int(statuses[0][:3])


def ask_asgi(guards: list[Guard], proof: str) -> int:
    """Return the status of an ASGI request through the guards."""
    return asgi_status(guarded(answer, *guards), asgi_scope(proof))


def ask_wsgi(guards: list[Guard], proof: str) -> int:
    """Return the status of a WSGI request through the guards."""
    return wsgi_status(wsgi_guarded(wsgi_answer, *guards), wsgi_environ(proof))


both = pytest.mark.parametrize("ask", [ask_asgi, ask_wsgi], ids=["asgi", "wsgi"])
Ask = Callable[[list[Guard], str], int]


def same_guard() -> list[Guard]:
    """Return the same guard three times."""
    return [make_guard(DPoP(ORIGIN))] * 3


def same_dpop() -> list[Guard]:
    """Return guards of which most share one DPoP object."""
    dpop = DPoP(ORIGIN)
    return [make_guard(dpop), make_guard(dpop), make_guard(DPoP(ORIGIN)), make_guard(dpop)]


def same_store() -> list[Guard]:
    """Return guards that share a store of replays."""
    used: set[str] = set()

    def replays(digest: str, seconds: int) -> bool:
        is_new = digest not in used
        used.add(digest)
        return is_new

    return [make_guard(DPoP(ORIGIN, replays=replays)) for _ in range(3)]


shared = pytest.mark.parametrize("make", [same_guard, same_dpop, same_store])


@both
@shared
def test_one_request_passes_all_of_them(ask: Ask, make: Callable[[], list[Guard]]) -> None:
    """The inner guards accept the proof that the outer one has accepted for the same request."""
    assert ask(make(), make_proof_for()) == 204


@both
@shared
def test_a_second_request_is_a_replay(ask: Ask, make: Callable[[], list[Guard]]) -> None:
    """A proof that has passed all guards is a replay for all of them, and for each alone."""
    guards, proof = make(), make_proof_for()
    assert ask(guards, proof) == 204
    assert ask(guards, proof) == 401
    assert [ask([guard], proof) for guard in guards] == [401] * len(guards)


@both
def test_a_guard_inside_notes_what_it_remembers_itself(ask: Ask) -> None:
    """An inner guard with a store of its own notes a proof that came through another guard."""
    outer, inner, proof = make_guard(DPoP(ORIGIN)), make_guard(DPoP(ORIGIN)), make_proof_for()
    assert ask([inner, outer], proof) == 204
    assert ask([inner], proof) == 401


@both
def test_a_guard_outside_learns_nothing_from_one_inside(ask: Ask) -> None:
    """A proof that the inner guard has accepted alone is a replay for both."""
    guard, proof = make_guard(DPoP(ORIGIN)), make_proof_for()
    assert ask([guard], proof) == 204
    assert ask([guard, guard], proof) == 401


def test_websockets() -> None:
    """A handshake passes both guards once."""
    guard, proof = make_guard(DPoP(ORIGIN)), make_proof_for()
    app = guarded(answer, guard, guard)
    for expected in ("websocket.accept", "websocket.close"):
        assert asyncio.run(asgi_sent(app, asgi_scope(proof, kind="websocket")))[0]["type"] == expected


def test_the_scope_of_the_server_tells_nothing() -> None:
    """A second call of the application with the same scope is a replay."""
    guard = make_guard(DPoP(ORIGIN))
    app, scope = guarded(answer, guard, guard), asgi_scope(make_proof_for())
    assert [asgi_status(app, scope) for _ in range(3)] == [204, 401, 401]


def test_requests_that_an_application_makes_from_one() -> None:
    """Two inner requests with one proof, made from one outer request, are two requests."""
    guard = make_guard(DPoP(ORIGIN))
    statuses: list[int] = []

    async def batch(scope: Any, receive: Any, send: Any) -> None:
        proof = make_proof_for("/b", jti="of-b")
        for _ in range(2):
            inner = {**scope, "path": "/b", "headers": fields(proof)}
            statuses.append((await asgi_sent(guarded(answer, guard), inner))[0]["status"])
        await answer(scope, receive, send)

    assert asgi_status(guarded(batch, guard), asgi_scope(make_proof_for())) == 204
    assert statuses == [204, 401]


def test_requests_that_an_application_makes_from_one_by_wsgi() -> None:
    """Two inner requests by WSGI with copies of one environ are two requests."""
    guard = make_guard(DPoP(ORIGIN))
    statuses: list[int] = []

    def batch(environ: Any, start_response: Any) -> list[bytes]:
        proof = make_proof_for("/b", jti="of-b")
        for _ in range(2):
            inner = {**environ, "PATH_INFO": "/b", "HTTP_DPOP": proof}
            statuses.append(wsgi_status(wsgi_guarded(wsgi_answer, guard), inner))
        return wsgi_answer(environ, start_response)

    assert wsgi_status(wsgi_guarded(batch, guard), wsgi_environ(make_proof_for())) == 204
    assert statuses == [204, 401]


@both
def test_another_proof_between_them_is_looked_at(ask: Ask) -> None:
    """A proof that middleware replaces between two guards is checked by the inner guard, and used up."""
    guard = make_guard(DPoP(ORIGIN))
    first, second = make_proof_for(), make_proof_for(jti="second")

    async def swap(scope: Any, receive: Any, send: Any) -> None:
        await guarded(answer, guard)({**scope, "headers": fields(second)}, receive, send)

    def wsgi_swap(environ: Any, start_response: Any) -> Any:
        return wsgi_guarded(wsgi_answer, guard)({**environ, "HTTP_DPOP": second}, start_response)

    if ask is ask_asgi:
        assert asgi_status(guarded(swap, guard), asgi_scope(first)) == 204
    else:
        assert wsgi_status(wsgi_guarded(wsgi_swap, guard), wsgi_environ(first)) == 204
    assert [ask([guard], proof) for proof in (first, second)] == [401, 401]


def test_the_next_nonce_is_told_once() -> None:
    """Only the outer guard sends the next nonce."""
    from authguard._core.proofs.nonces import Nonces

    nonces = Nonces(NONCE_SECRET)
    bound_to = thumbprint(jwk(ec_key()))
    dpop = DPoP(ORIGIN, nonce_secret=NONCE_SECRET)
    for age in range(0, 1000, 10):
        nonce = nonces.issue(bound_to, NOW - age)
        if nonces.accepts(nonce, bound_to, NOW) and nonces.is_last(nonce, bound_to, NOW):
            break
    guard = make_guard(dpop)
    sent = asyncio.run(asgi_sent(guarded(answer, guard, guard), asgi_scope(make_proof_for(nonce=nonce))))
    assert sent[0]["status"] == 204
    assert [name for name, _ in sent[0]["headers"]].count(b"dpop-nonce") == 1
