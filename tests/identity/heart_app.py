"""Run the service, and measure delays of its event loop, for test_heartbeat and test_leak_crowds."""

import asyncio
import json
import os
import time
from pathlib import Path

from authguard.asgi import ASGIApp, Receive, Scope, Send
from authguard.identity import Identity, IdentityService
from authguard.identity.limits import Limiter
from identity.support import GENEROUS, Postbox, settings

BEAT = 0.005  # seconds between two measurements
SCHEDULE = Path("/proc/thread-self/schedstat")


def _queued() -> float:
    """Return the seconds for which this thread was ready to run, but had no processor."""
    return int(SCHEDULE.read_text().split()[1]) / 1e9 if SCHEDULE.exists() else 0.0


class Heart:
    """Run the application, and a task that only wakes up; `/heart` returns its delays.

    Args:
        app: the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.late: list[tuple[float, float]] = []

    async def beat(self) -> None:
        """Record the delay of each wake-up, and the part of it in which the thread waited for a processor."""
        while True:
            before, queued = time.perf_counter(), _queued()
            await asyncio.sleep(BEAT)
            late = time.perf_counter() - before - BEAT
            self.late.append((late, _queued() - queued))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            self.task = asyncio.create_task(self.beat())
            return await self.app(scope, receive, send)
        if scope["path"] != "/heart":
            return await self.app(scope, receive, send)
        late, self.late = self.late, []
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(late).encode()})


scanner = os.environ.get("TEST_SCANNER")
given = {"secret_scanning": True, "secret_scanning_keys_url": scanner} if scanner else {}
app = Heart(
    Identity(
        IdentityService(
            settings(os.environ["TEST_DATABASE"], **given),
            mailer=Postbox(),
            limiter=Limiter(limits=GENEROUS),
        )
    )
)
