"""Define a Flask application whose guard has `async` callbacks, for the gevent worker of gunicorn."""

import asyncio
import contextvars
import os
from typing import Any

from flask import Flask

from authguard import APIKey, APIKeyVerifier, Guard, JWTVerifier
from authguard.flask import current_user, init_app

loaded: contextvars.ContextVar[str] = contextvars.ContextVar("loaded")


async def _load(principal: Any) -> str:
    await asyncio.sleep(0.05)
    await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)  # in an executor of the loop
    loaded.set(principal.subject)
    return f"user {principal.subject} {id(asyncio.get_running_loop())}"


async def _look_up(digest: str) -> APIKey:
    await asyncio.sleep(0.05)
    return APIKey("robot")


secret = os.environ["GEVENT_SECRET"]
guard = Guard(
    JWTVerifier(secret, algorithms=["HS256"], issuer=None, audience=None),
    APIKeyVerifier(_look_up, cache_ttl=0),
    public_paths=["/public"],
    user_loader=_load,
)
app = Flask("app")
app.add_url_rule("/public", "public", lambda: "public")
app.add_url_rule("/private", "private", lambda: f"{loaded.get()}: {current_user}")
init_app(app, guard)
