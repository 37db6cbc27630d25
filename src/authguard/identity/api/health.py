"""Tell probes whether the process is running and the service is ready, without secrets."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from authguard.identity.api.answers import Alive, Ready
from authguard.identity.errors import StoreUnavailableError
from authguard.identity.openapi.operations import operation
from authguard.identity.web.messages import json_response
from authguard.identity.web.parts import Web

_SECONDS = 2.0  # seconds for the whole answer; probes wait as long, or a second longer
_THREADS = "readiness"

LIVE, READY = "/healthz", "/readyz"
#: The paths of the probes, which have no prefix and are public.
HEALTH_PATHS = (LIVE, READY)


class HealthEndpoints:
    """Answer probes of orchestrators and load balancers.

    Args:
        web: the service and its threads.
    """

    def __init__(self, web: Web) -> None:
        self._readiness, self._workers = web.service.readiness, web.workers
        self._look: asyncio.Task[tuple[str, ...]] | None = None

    def routes(self) -> list[BaseRoute]:
        """Return the routes, which have no prefix."""
        return [Route(LIVE, self.live, methods=["GET"]), Route(READY, self.ready, methods=["GET"])]

    @operation(answers={200: Alive}, stores=False)
    async def live(self, request: Request) -> Response:
        """Answer while the process is running."""
        return json_response({"status": "ok"})

    @operation(answers={200: Ready, 503: Ready})
    async def ready(self, request: Request) -> Response:
        """Answer 200 if the service is ready, otherwise 503 with the failing parts."""
        failing = self._readiness.known_failing()
        if failing is None:
            failing = await self.find_failing()
        if not failing:
            return json_response({"status": "ready"})
        response = json_response({"status": "unavailable", "failing": failing}, 503)
        response.headers["retry-after"] = "1"
        return response

    async def find_failing(self) -> tuple[str, ...]:
        """Return the failing parts, by one check for all simultaneous requests.

        With a check for each request, anonymous callers could fill the queue, and a healthy service would
        seem to be down.
        """
        look = self._look
        if look is None or look.done() or look.get_loop() is not asyncio.get_running_loop():
            look = asyncio.create_task(self._workers.ask_remote(_THREADS, self._readiness.find_failing))
            look.add_done_callback(_take_error)
            self._look = look
        try:
            return await asyncio.wait_for(asyncio.shield(look), _SECONDS)
        except TimeoutError:
            return (self._readiness.checked,)
        except StoreUnavailableError:
            return ("database",)


def _take_error(look: "asyncio.Task[tuple[str, ...]]") -> None:
    """Retrieve the error of a check without waiting callers, so that asyncio does not report it."""
    if not look.cancelled():
        look.exception()
