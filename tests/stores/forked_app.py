"""Define a WSGI application, run by gunicorn --preload, whose guard follows the log before the fork."""

import os
from typing import Any

from authguard import Guard, JWTVerifier, Principal
from authguard.stores import PostgresStore, RedisStore, SQLiteStore
from authguard.wsgi import AuthGuardMiddleware
from stores.servers import SECRET

url = os.environ["STORE_URL"]
kinds: dict[str, Any] = {"redis": RedisStore, "postgresql": PostgresStore}
store = kinds.get(url.partition(":")[0], SQLiteStore)(url)
guard = Guard(
    JWTVerifier(SECRET, algorithms=["HS256"], audience=None, issuer=None), revocations=store.revocations
)
# The thread is running, and the connections are open now.
assert not store.revocations.is_revoked(Principal("somebody"))


def _page(environ: Any, start_response: Any) -> list[bytes]:
    (health,) = guard.health()
    start_response("200 OK", [("X-Process", str(os.getpid())), ("X-Mode", health.mode)])  # type: ignore[union-attr]
    return [b""]


app = AuthGuardMiddleware(_page, guard=guard)
