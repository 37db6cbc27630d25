"""Fetch with a client for event loops, of asyncio or of trio."""

import time
from typing import TYPE_CHECKING

from authguard._core.flow import Fetch, Response
from authguard.drivers.http import Body, failure, failures, request_options

if TYPE_CHECKING:
    import httpx


async def fetch_by(client: "httpx.AsyncClient", question: Fetch) -> Response:
    """Fetch with a client, without a time limit.

    Raises:
        FetchFailedError: if no complete answer arrives.
    """
    started = time.monotonic()
    try:
        async with client.stream(**request_options(question)) as response:
            body = Body(question, response)
            if not body.is_whole:
                async for chunk in response.aiter_raw():
                    body.add(chunk)
            return body.answer(started)
    except failures() as error:
        raise failure(error, started) from None
