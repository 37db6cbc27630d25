"""Define the first lines of applications whose routes the command lists."""

COMMON = """
from authguard import APIKey, APIKeyVerifier, Guard, Rule
from authguard.asgi import AuthGuardMiddleware
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.websockets import WebSocket

VERIFIER = APIKeyVerifier({"sk_live_" + "a" * 40: APIKey("robot")})

def guarded(routes, **lists):
    guard = Guard(VERIFIER, **lists)
    return Starlette(routes=routes, middleware=[Middleware(AuthGuardMiddleware, guard=guard)])

async def hello(request):
    return PlainTextResponse("hello")

async def socket(websocket: WebSocket):
    await websocket.accept()
    await websocket.close()
"""
FASTAPI = """
from typing import Annotated
from fastapi import APIRouter, Depends, FastAPI, Security, WebSocket
from authguard.fastapi import CurrentUser, current_user, install, requires
"""
FLASK = """
from authguard import APIKey, APIKeyVerifier, Guard, Rule
from authguard.flask import AuthGuardMiddleware, init_app, requires
from flask import Blueprint, Flask
from flask.views import MethodView

VERIFIER = APIKeyVerifier({"sk_live_" + "a" * 40: APIKey("robot")})
app = Flask(__name__, static_folder=None)
"""
