"""Create the application that a server of `servers.py` runs, in the framework that the environment names."""

import os
from typing import Any

from adapters.answering import NOW, guard
from authguard.asgi import AuthGuardMiddleware
from frameworks.faces import FRAMEWORKS
from frameworks.servers import FRAMEWORK


async def _tell(scope: Any, receive: Any, send: Any) -> None:
    """Send a client the subject of the caller over its websocket."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": scope["state"]["user"].subject or "nobody"})
    await send({"type": "websocket.close"})


def with_websockets(app: Any) -> Any:
    """Return an ASGI application that answers websockets instead of the framework."""
    websockets = AuthGuardMiddleware(_tell, guard=guard(), clock=lambda: NOW)

    async def either(scope: Any, receive: Any, send: Any) -> None:
        await (websockets if scope["type"] == "websocket" else app)(scope, receive, send)

    return either


framework = FRAMEWORKS[os.environ[FRAMEWORK]]
app = framework.make(guard(), lambda: NOW)
if framework.interface == "asgi":
    app = with_websockets(app)
