"""The service with a heart that beats on its event loop, for test_heartbeat."""

import asyncio
import json
import os
import time

from authguard.identity import Identity, IdentityService
from authguard.identity.limits import Limiter
from identity_support import GENEROUS, Postbox, settings

BEAT = 0.005  # seconds


class Heart:
    """The application, beside a task that does nothing but wake up; `/heart` tells how late it was.

    Args:
        app: the application.
    """

    def __init__(self, app):
        self.app = app
        self.late = []

    async def beat(self):
        """For how long the loop did not come back, each time."""
        while True:
            before = time.perf_counter()
            await asyncio.sleep(BEAT)
            self.late.append(time.perf_counter() - before - BEAT)

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            self.task = asyncio.create_task(self.beat())
            return await self.app(scope, receive, send)
        if scope["path"] != "/heart":
            return await self.app(scope, receive, send)
        late, self.late = self.late, []
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(late).encode()})


app = Heart(
    Identity(
        IdentityService(
            settings(os.environ["TEST_DATABASE"]),
            mailer=Postbox(),
            limiter=Limiter(limits=GENEROUS),
        )
    )
)
