"""The warning about a guard with in-memory state in a server with several processes."""

import logging
import secrets
from collections.abc import Callable
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from authguard import DPoP, Guard, JWTVerifier, MemoryRevocations, Quota
from authguard.stores import SQLiteQuotas, SQLiteStore
from authguard.testing import issue_token
from authguard.wsgi import AuthGuardMiddleware

SECRET = secrets.token_urlsafe(32)
UNSHARED: dict[str, Callable[[], dict[str, Any]]] = {
    "revocations": lambda: {"revocations": MemoryRevocations()},
    "quotas": lambda: {"quotas": [Quota(10, 60)]},
    "used DPoP proofs": lambda: {"proofs": [DPoP("https://api.example.com")]},
    "revocations and quotas": lambda: {"revocations": MemoryRevocations(), "quotas": [Quota(10, 60)]},
}


def application(environ: Any, start_response: Any) -> list[bytes]:
    """Answer each request."""
    start_response("200 OK", [])
    return [b"ok"]


def send(middleware: AuthGuardMiddleware, *, multiprocess: bool) -> None:
    """Send a request with a token, which the guard admits."""
    environ: dict[str, Any] = {"HTTP_AUTHORIZATION": f"Bearer {issue_token(SECRET)}"}
    setup_testing_defaults(environ)
    environ["wsgi.multiprocess"] = multiprocess
    assert b"".join(middleware(environ, lambda *_: lambda _: None)) == b"ok"


def guarded(**options: Any) -> AuthGuardMiddleware:
    """Return an application with a guard."""
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    return AuthGuardMiddleware(application, guard=Guard(jwt, **options))


def warnings(caplog: Any) -> list[str]:
    """Return the warnings of the guard."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("name", UNSHARED)
def test_state_that_each_process_has_for_itself_is_named_once(name: str, caplog: Any) -> None:
    """One warning names the state that is not shared, since a logout would reach one process only."""
    middleware = guarded(**UNSHARED[name]())
    for _ in range(2):
        send(middleware, multiprocess=True)
    (line,) = warnings(caplog)
    assert f"each has its own {name}: " in line


@pytest.mark.parametrize("name", UNSHARED)
def test_one_process_is_no_reason_to_warn(name: str, caplog: Any) -> None:
    """A server with one process is not warned of."""
    send(guarded(**UNSHARED[name]()), multiprocess=False)
    assert warnings(caplog) == []


def test_a_shared_store_is_no_reason_to_warn(tmp_path: Any, caplog: Any) -> None:
    """A store that all processes share is not warned of."""
    store, counts = SQLiteStore(tmp_path / "log.db"), SQLiteQuotas(tmp_path / "quotas.db")
    dpop = DPoP("https://api.example.com", replays=store.replays)
    options = {"quotas": [Quota(10, 60)], "quota_store": counts, "proofs": [dpop]}
    send(guarded(revocations=store.revocations, **options), multiprocess=True)
    assert warnings(caplog) == []
    store.close()
    counts.close()
