"""Define a Flask application that asks its issuer, for the gevent worker of gunicorn."""

import os
import time
from typing import Any

from flask import Flask

from authguard import Guard, IntrospectionVerifier, JWTVerifier
from authguard.flask import current_user, init_app


def _load(principal: Any) -> str:
    time.sleep(0.05)  # gevent switches to another request here
    return f"user {principal.subject}"


issuer = os.environ["GEVENT_ISSUER"]
guard = Guard(
    JWTVerifier.from_issuer(issuer, audience="https://api.test"),
    IntrospectionVerifier(
        f"{issuer}/introspect",
        client_id="api",
        client_secret=os.environ["GEVENT_SECRET"],
        audience="https://api.test",
    ),
    public_paths=["/public"],
    user_loader=_load,
)
app = Flask("app")
app.add_url_rule("/public", "public", lambda: "public")
app.add_url_rule("/private", "private", lambda: f"{current_user}")
init_app(app, guard)
