"""Define an application for servers with several processes, whose guard has sent requests before the fork."""

import os
import time
from typing import TYPE_CHECKING

from authguard import Guard, IntrospectionVerifier, JWTVerifier, RemoteKeySet
from authguard.asgi import AuthGuardMiddleware, Receive, Scope, Send
from authguard.drivers import run
from authguard.wsgi import AuthGuardMiddleware as WSGIMiddleware
from support import AUDIENCE, ISSUER, bearer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_UPSTREAM = os.environ["UPSTREAM"]

guard = Guard(
    JWTVerifier(RemoteKeySet(f"{_UPSTREAM}/jwks"), algorithms=["ES256"], issuer=ISSUER, audience=AUDIENCE),
    IntrospectionVerifier(
        f"{_UPSTREAM}/introspect",
        client_id="api",
        client_secret="s",
        audience=AUDIENCE,
        prefixes=["opaque-"],
    ),
)
for _token in (f"opaque-import-{os.getpid()}", os.environ["JWT"]):
    assert run(guard.decide(bearer(_token), time.time())).auth.principal.subject == "ann"


def _wsgi(environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
    start_response("200 OK", [("X-Process", f"{os.getpid()}"), ("X-User", environ["authguard.user"].subject)])
    return [b""]


async def _asgi(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        headers = [(b"x-process", b"%d" % os.getpid()), (b"x-user", scope["user"].subject.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


wsgi = WSGIMiddleware(_wsgi, guard=guard)
asgi = AuthGuardMiddleware(_asgi, guard=guard)
