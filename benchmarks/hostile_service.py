"""Run an identity service, and send requests to it in process."""

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

from authguard.identity import Identity, IdentityService, Settings, upgrade
from authguard.identity.limits import DEFAULT_LIMITS, Limit, Limiter
from authguard.identity.model import Tokens
from authguard.identity.passwords.hashing import PasswordHasher
from authguard.identity.social.github import GitHub
from benchmarks.hostile_guards import Answer
from benchmarks.hostile_tokens import NOW, SECRET

ISSUER, PROVIDER = "http://127.0.0.1:8000", "github"
EMAIL, PASSWORD = "ann@example.com", "Correct-horse-9"
#: Bytes of the largest body that the service reads, and of the longest field and query that servers accept.
MOST = 64 * 1024

Fields = tuple[tuple[bytes, bytes], ...]


class Clock:
    """Return a time that each request moves forward, so that its token is newer than earlier logouts."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Postbox:
    """Count mails, as a mailer."""

    def __init__(self) -> None:
        self.count = 0

    def send(self, mail: Any) -> None:
        """Count a mail."""
        self.count += 1


@dataclass(frozen=True)
class Sent:
    """Hold one request to the service.

    Attributes:
        path: decoded, as servers pass it.
        method: the method.
        fields: header fields, names in lower case.
        query: the query string.
        body: the body.
        chunk: bytes of each chunk of the body.
        signed_in: whether it has the access token of the caller's own account.
    """

    path: str
    method: str = "GET"
    fields: Fields = ()
    query: bytes = b""
    body: bytes = b""
    chunk: int = MOST
    signed_in: bool = False

    def typed(self, media_type: bytes, body: bytes) -> "Sent":
        """Return the same with a body."""
        return replace(self, fields=(*self.fields, (b"content-type", media_type)), body=body)


@contextmanager
def service(url: str | None = None) -> Iterator[tuple[IdentityService, Identity]]:
    """Run a service on SQLite with a cheap password hash, which does not hide other costs.

    Args:
        url: of another database.
    """
    with tempfile.TemporaryDirectory() as folder:
        url = url or f"sqlite:///{Path(folder) / 'identity.db'}"
        upgrade(url)
        settings = Settings(secret=SECRET, issuer=ISSUER, database=url)
        limits = {name: Limit(1_000_000, 60) for name in DEFAULT_LIMITS}
        cheap, limiter = PasswordHasher.cheap(concurrency=8, wait=60), Limiter(limits=limits)
        service = IdentityService(settings, mailer=Postbox(), hasher=cheap, limiter=limiter, clock=Clock())
        uris = [f"{ISSUER}{prefix}/auth/{PROVIDER}/callback" for prefix in settings.prefixes]
        nowhere = "http://127.0.0.1:9"  # no server listens at this port
        provider = GitHub("id", "s3cret", redirect_uris=uris, url=nowhere, api_url=nowhere)
        app = Identity(service, providers=[provider])
        service.accounts.create(EMAIL, PASSWORD)
        try:
            yield service, app
        finally:
            app.close()


def tokens_of(service: IdentityService) -> Tokens:
    """Return the tokens of a new session."""
    account = service.accounts.find(EMAIL)
    assert account is not None
    return service.accounts.issue_tokens(account.id)


def prepare(app: Identity, sent: Sent) -> Callable[[asyncio.Runner], Answer]:
    """Prepare a request, so that its step contains only the service's work."""
    fields, clock = sent.fields, app.service.clock
    assert isinstance(clock, Clock)
    clock.now += 1
    if sent.signed_in:
        access = tokens_of(app.service).access_token.encode()
        name = app.service.settings.access_cookie.name.encode()
        is_page = (b"accept", b"text/html") in fields
        fields += (
            ((b"cookie", name + b"=" + access),) if is_page else ((b"authorization", b"Bearer " + access),)
        )
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "method": sent.method,
        "path": sent.path, "raw_path": quote_from_bytes(sent.path.encode("utf-8", "surrogateescape")).encode(), "root_path": "",
        "query_string": sent.query, "client": ("192.0.2.1", 50_000), "server": ("127.0.0.1", 8000), "state": {},
        "headers": [(b"host", b"127.0.0.1:8000"), *fields],
    }  # fmt: skip
    chunks = [sent.body[at : at + sent.chunk] for at in range(0, len(sent.body), sent.chunk)] or [b""]
    return lambda runner: runner.run(_converse(app, scope, chunks))


async def _converse(app: Identity, scope: dict[str, Any], chunks: list[bytes]) -> Answer:
    status, size, coming = 0, 0, iter(chunks)
    remaining = len(chunks)

    async def receive() -> dict[str, Any]:
        nonlocal remaining
        remaining -= 1
        if remaining < 0:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": next(coming), "more_body": remaining > 0}

    async def send(message: Any) -> None:
        nonlocal status, size
        status = message.get("status", status)
        size += sum(len(name) + len(value) for name, value in message.get("headers", ()))
        size += len(message.get("body", b""))

    await app(scope, receive, send)
    return Answer(status, size)
