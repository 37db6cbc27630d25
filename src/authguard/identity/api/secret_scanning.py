"""Serve the endpoint for GitHub's secret scanning, which reports keys found in public."""

from asyncio import timeout
from collections.abc import AsyncGenerator, Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from authguard.errors import RateLimitedError, VerificationUnavailableError
from authguard.identity.api.answers import ReportedMatch, SentMatch
from authguard.identity.errors import InvalidReportError, PayloadTooLargeError, WrongSignatureError
from authguard.identity.model import Caller
from authguard.identity.openapi.operations import Parameter, operation
from authguard.identity.scanning.reports import LeakReports
from authguard.identity.scanning.signatures import (
    IDENTIFIER_FIELD,
    SIGNATURE_FIELD,
    Signature,
)
from authguard.identity.usecases.grace import network_of
from authguard.identity.web.messages import MAX_BODY_BYTES, caller_of, json_response
from authguard.identity.web.parts import Web

#: The path below each prefix.
SECRET_SCANNING = "/secret-scanning"
#: The largest body: 10,000 matches have about 3 MB. Hashing it takes up to 15 ms, for any caller.
MAX_REPORT_BYTES = 4 * 1024 * 1024
#: Seconds within which a body of more than 64 KiB must arrive.
READ_SECONDS = 10.0
#: The name of the threads that check reports, and fetch the keys of the scanner.
SCANNING_THREADS = "secret-scanning"
_TURN = ("secret-scanning",)
_TEXT = {"type": "string"}
_SIGNATURE = (
    Parameter(IDENTIFIER_FIELD, "The key of the scanner.", _TEXT, "header", required=True),
    Parameter(
        SIGNATURE_FIELD, "The signature of the body by that key, in base64.", _TEXT, "header", required=True
    ),
)


class SecretScanningEndpoint:
    """Serve the endpoint, under each prefix.

    A body of at most 64 KiB, as nearly all are, does not wait for others. Only a few larger ones are read at
    the same time, so that anonymous callers cannot fill the memory.

    Args:
        web: the service and its threads.
        reports: processes the reports.
    """

    def __init__(self, web: Web, reports: LeakReports) -> None:
        self._workers = web.workers
        self._reports = reports

    def routes(self, prefixes: Iterable[str]) -> list[Route]:
        """Return the route under each prefix."""
        return [Route(prefix + SECRET_SCANNING, self.report, methods=["POST"]) for prefix in prefixes]

    @operation(
        json=list[SentMatch],
        answers={200: list[ReportedMatch]},
        parameters=_SIGNATURE,
        refused=(InvalidReportError, WrongSignatureError, PayloadTooLargeError, RateLimitedError),
    )
    async def report(self, request: Request) -> Response:
        """Revoke the active keys of a signed report, and return which of its matches are known."""
        headers, caller = request.headers, caller_of(request)
        fields = headers.getlist(IDENTIFIER_FIELD), headers.getlist(SIGNATURE_FIELD)
        signature = self._reports.read_signature(*fields, caller)
        _check_length(headers.get("content-length", ""))
        stream = request.stream()
        body = bytearray()
        if await _fill(body, stream, MAX_BODY_BYTES):
            return await self._take(body, signature, caller)
        await self._workers.count(self._reports.admit, caller)
        async with self._workers.turns.take(_TURN, network_of(caller)):
            try:
                async with timeout(READ_SECONDS):
                    is_whole = await _fill(body, stream, MAX_REPORT_BYTES)
            except TimeoutError:
                raise VerificationUnavailableError("a report that comes too slowly") from None
            if not is_whole:
                raise PayloadTooLargeError
            return await self._take(body, signature, caller)

    async def _take(self, body: bytearray, signature: Signature, caller: Caller) -> Response:
        """Process a report in steps, between which other requests may use the database."""
        workers, reports = self._workers, self._reports
        matches = await workers.ask_remote(SCANNING_THREADS, reports.read, body, signature, caller)
        batches = await workers.ask_remote(SCANNING_THREADS, reports.batches, matches)
        known: set[str] = set()
        for batch in batches:
            if rows := await workers.read(reports.find, batch):
                known.update(row.digest for row in rows)
                by_digest = {match.digest: match for match in batch}
                await workers.write(reports.revoke, by_digest, rows, caller)
        answer = await workers.ask_remote(SCANNING_THREADS, reports.finish, matches, known, caller)
        return await workers.ask_remote(SCANNING_THREADS, json_response, answer)


def _check_length(text: str) -> None:
    """Refuse a body whose Content-Length is too large, before it is read.

    Raises:
        PayloadTooLargeError: if it is.
    """
    if text.isascii() and text.isdigit() and int(text[:20]) > MAX_REPORT_BYTES:
        raise PayloadTooLargeError


async def _fill(body: bytearray, stream: AsyncGenerator[bytes, None], most: int) -> bool:
    """Read until a body has more than a number of bytes; return True at its end."""
    async for chunk in stream:
        body += chunk
        if len(body) > most:
            return False
    return True
