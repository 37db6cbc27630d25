"""Tokens of an AWS load balancer over ASGI, WSGI and websockets, with padding and a field of their own."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse

from adapters.faces import ask_asgi, ask_wsgi, run
from authguard import Guard, JWTVerifier, RemoteKeySet
from authguard.asgi import AuthGuardMiddleware
from authguard.wsgi import AuthGuardMiddleware as WSGIMiddleware
from remote.servers import Answer, Server, serving
from support import LONG_AFTER, ec_key, pem, sign

KID = "3f1b0a4e-9c1d-4b7e-8a55-0e6c2d1f7a90"
SIGNER = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/mine/50dc6c495c0c9188"
ISSUER = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc"
FIELD = "X-Amzn-Oidc-Data"


def token(key: Any = None, kid: str = KID, signer: str = SIGNER, **changes: Any) -> str:
    """Return a token in the form of the load balancer."""
    header = {"typ": "JWT", "kid": kid, "alg": "ES256", "iss": ISSUER, "client": "app", "signer": signer}
    body = {"sub": "ann", "iss": ISSUER, "exp": LONG_AFTER, **changes}
    parts = (json.dumps(part).encode() for part in (header, body))
    signed = ".".join(base64.urlsafe_b64encode(part).decode() for part in parts)
    signature = sign(signed.encode(), "ES256", key or ec_key())
    return f"{signed}.{base64.urlsafe_b64encode(signature).decode()}"


@pytest.fixture
def server() -> Iterator[Server]:
    """Run a server with the public key."""
    with serving() as server:
        server.pages[f"/{KID}"] = Answer(pem(ec_key()).encode(), headers={})
        yield server


@pytest.fixture
def guard(server: Server) -> Iterator[Guard]:
    """Build a guard behind a load balancer."""
    verifier = JWTVerifier(
        RemoteKeySet(f"{server.url}/{{kid}}"),
        algorithms=["ES256"],
        issuer=ISSUER,
        audience=None,
        header=FIELD,
        header_claims={"signer": SIGNER},
        padding=True,
    )
    guard = Guard(verifier)
    yield guard
    run(guard.aclose())


async def page(request: Any) -> PlainTextResponse:
    """Answer with the subject of the caller."""
    return PlainTextResponse(request.user.subject)


async def socket(websocket: Any) -> None:
    """Send the subject of the caller by a websocket."""
    await websocket.accept()
    await websocket.send_text(websocket.user.subject)
    await websocket.close()


def wsgi_page(environ: Any, start_response: Any) -> list[bytes]:
    """Answer with the subject of the caller, by WSGI."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(environ["authguard.user"].subject).encode()]


def application(guard: Guard) -> Starlette:
    """Return an application behind the guard."""
    app = Starlette(routes=[Route("/", page), WebSocketRoute("/ws", socket)])
    app.add_middleware(AuthGuardMiddleware, guard=guard)
    return app


TOKENS: dict[str, tuple[str, int]] = {
    "good": (token(), 200),
    "of another load balancer": (token(signer=SIGNER.replace("mine", "yours")), 401),
    "forged": (token(ec_key.__wrapped__()), 401),
    "by a key that there is not": (token(kid="other"), 401),
    "by a key elsewhere": (token(kid="../secret"), 401),
    "expired": (token(exp=1_700_000_000), 401),
    "with padding cut off": (token().replace("=", "", 1), 401),
}


@pytest.mark.parametrize("case", TOKENS)
@pytest.mark.parametrize("face", ["ASGI", "WSGI"])
def test_the_same_answer_over_http(guard: Guard, face: str, case: str) -> None:
    """The status of each token is the same by ASGI and by WSGI."""
    text, status = TOKENS[case]
    if face == "ASGI":
        answer = ask_asgi(application(guard), "GET", "/", [(FIELD, text.encode())])
    else:
        answer = ask_wsgi(WSGIMiddleware(wsgi_page, guard=guard), "GET", "/", [(FIELD, text.encode())])
    assert answer.status == status
    assert status != 200 or answer.body == b"ann"


@pytest.mark.parametrize("case", TOKENS)
def test_the_same_answer_over_websockets(guard: Guard, case: str) -> None:
    """The handshake of a websocket has the same status for each token."""
    text, status = TOKENS[case]
    with TestClient(application(guard)) as client:
        if status == 200:
            with client.websocket_connect("/ws", headers={FIELD: text}) as connection:
                assert connection.receive_text() == "ann"
            return
        handshake = client.websocket_connect("/ws", headers={FIELD: text})
        with pytest.raises(WebSocketDenialResponse) as refused, handshake:
            pass
        assert refused.value.status_code == status
