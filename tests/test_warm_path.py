"""The hot paths have a limited number of counted steps, independent of any clock.

A failure here means that a change has made a hot path longer. If that is justified, or if the path is shorter
now, run `python tests/test_warm_path.py`, write its numbers into `LIMITS`, and give the reason in the commit.
The program prints each call, too, and the functions of the instructions.
"""

import gc
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from typing import Any
from unittest.mock import patch

import pytest
import trio  # noqa: F401 (other tests import it, and then awaiting asks it, too)
from flask import Flask

import authguard.asgi
import authguard.wsgi
from authguard import (
    AccessCookie,
    APIKey,
    APIKeyVerifier,
    DecisionEvent,
    Guard,
    JWTVerifier,
    MemoryQuotas,
    MemoryRevocations,
    Principal,
    Quota,
    Rule,
    in_memory,
)
from authguard._core import strict_json
from authguard._core.answer.refusal import Challenges
from authguard._core.jose import compact
from authguard._flask.middleware import FlaskMiddleware
from authguard.stores.follower import Follower
from authguard.stores.revocations import SharedRevocations
from authguard.testing import issue_token
from stores.fake_log import FakeLog, World

# For each path: the calls of functions, those written in C included, and bytecode instructions. The bare
# applications are not counted. Later versions of Python need fewer calls (PEP 709) and have other
# instructions, which are compared only on the version of the count.
LIMITS = {
    "asgi, known token": (24, 364),
    "wsgi, known token": (16, 217),
    "flask, known token": (20, 264),
    "asgi, known token, with scopes to check": (26, 405),
    "wsgi, known token, with scopes to check": (18, 258),
    "asgi, known token, shared revocations": (25, 387),
    "wsgi, known token, shared revocations": (17, 240),
    "asgi, known token, memory revocations": (25, 378),
    "wsgi, known token, memory revocations": (18, 241),
    "asgi, known token, async revocations": (34, 530),
    "wsgi, known token, plain revocations": (30, 414),
    "asgi, known token, async user_loader": (36, 589),
    "wsgi, known token, plain user_loader": (32, 473),
    "asgi, known token, user_loader in memory": (29, 481),
    "wsgi, known token, user_loader in memory": (21, 334),
    "asgi, known token, async user_loader with user_ttl": (26, 411),
    "wsgi, known token, plain user_loader with user_ttl": (18, 264),
    "asgi, known token, with on_decision": (31, 473),
    "wsgi, known token, with on_decision": (23, 326),
    "asgi, known token, where a cookie is read": (32, 469),
    "wsgi, known token, where a cookie is read": (23, 317),
    "asgi, known API key": (31, 462),
    "wsgi, known API key": (28, 362),
    "asgi, known API key with two quotas": (61, 1063),  # Python 3.14 counts the entry of a lock, too
    "wsgi, known API key with two quotas": (60, 991),
    "asgi, known API key as Bearer": (31, 462),
    "wsgi, known API key as Bearer": (28, 362),
    "asgi, known cookie": (43, 633),
    "wsgi, known cookie": (39, 528),
    "asgi, known cookie, POST": (43, 633),
    "wsgi, known cookie, POST": (39, 528),
    "asgi, first-seen HS256 token": (122, 1633),
    "wsgi, first-seen HS256 token": (114, 1486),
    "asgi, no credential": (63, 850),
    "wsgi, no credential": (50, 553),
    "asgi, expired HS256 token": (160, 2009),
    "wsgi, expired HS256 token": (148, 1717),
}
COUNTED_ON = (3, 11)

NOW = 1_800_000_000.0
SECRET = "c0unted-0nly-Secret-of-enough-bytes-5Vw"
API_KEY = "sk_test_counted-0nly-Key-of-enough-bytes-8Lm"
#: The fields of the answer of the application.
ANSWERED = [(b"content-type", b"text/plain"), (b"content-length", b"0"), (b"x-request-id", b"something")]
FIELDS = [
    (name, b"same-origin" if name == b"sec-fetch-site" else b"something")
    for name in (b"host", b"user-agent", b"accept", b"accept-encoding", b"accept-language", b"connection",
                 b"sec-fetch-dest", b"sec-fetch-mode", b"sec-fetch-site", b"referer", b"x-request-id")
]  # fmt: skip


def _token(number: int, *, now: float = NOW) -> str:
    claims = {"iss": "https://issuer.example", "aud": "https://api.example", "jti": f"token {number:04}"}
    return issue_token(SECRET, now=now, scopes=["read", "write"], **claims)


def _shared() -> SharedRevocations:
    """Return revocations that other processes share, whose log was read a moment ago."""
    log = FakeLog(World())
    follower = Follower(log, "store", bound=1.0, monotonic=repeat(100.0).__next__)
    follower.step()
    return SharedRevocations(log, follower)


def _memory() -> MemoryRevocations:
    """Return revocations of this process, with one of another subject."""
    revocations = MemoryRevocations(clock=_clock)
    revocations.revoke(subject="another", until=NOW + 1_000)
    return revocations


class _Plain:
    """Be revocations of the application with a plain function."""

    def is_revoked(self, principal: Principal) -> bool:
        return False


class _Async:
    """Be revocations of the application with an async function, which waits for nothing."""

    async def is_revoked(self, principal: Principal) -> bool:
        return False


def _load(principal: Principal) -> str:
    return principal.subject


@in_memory
def _load_at_once(principal: Principal) -> str:
    return principal.subject


async def _load_async(principal: Principal) -> str:
    return principal.subject


def _guard(*protected: Rule, quotas: list[Quota] | None = None, **options: Any) -> Guard:
    jwt = JWTVerifier(
        SECRET, algorithms=["HS256"], issuer="https://issuer.example", audience="https://api.example"
    )
    return Guard(
        jwt,
        APIKeyVerifier({API_KEY: APIKey("robot")}),
        protected_paths=["/", *protected],
        public_paths=["/static", "/login"],
        quotas=quotas,
        quota_store=quotas and MemoryQuotas(monotonic=_clock, clock=_clock),
        **options,
    )


def _told(event: DecisionEvent) -> None:
    """Do nothing, so that only the event itself is counted."""


def _clock() -> float:
    return NOW


class _ASGI:
    """Send requests without a server and without an event loop."""

    def __init__(self, guard: Guard) -> None:
        self.calls = 0
        self.guarded = authguard.asgi.AuthGuardMiddleware(self.bare, guard=guard, clock=_clock)

    async def bare(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1
        await send({"type": "http.response.start", "status": 200, "headers": list(ANSWERED)})

    def request(self, method: str, name: str, value: str) -> Any:
        headers = [*FIELDS, (name.lower().encode(), value.encode())]
        return {
            "type": "http", "method": method, "scheme": "http", "path": "/items/7", "root_path": "",
            "query_string": b"", "headers": headers, "state": {}, "extensions": {},
        }  # fmt: skip

    def drive(self, app: Any, request: Any) -> Callable[[], None]:
        step = app(request, None, _drop).send
        return lambda: step(None)


class _WSGI:
    """Send requests of WSGI without a server."""

    def __init__(self, guard: Guard) -> None:
        self.calls = 0
        self.guarded = authguard.wsgi.AuthGuardMiddleware(self.bare, guard=guard, clock=_clock)

    def bare(self, environ: Any, start_response: Any) -> list[bytes]:
        self.calls += 1
        start_response("200 OK", [(name.decode(), value.decode()) for name, value in ANSWERED])
        return []

    def request(self, method: str, name: str, value: str) -> Any:
        key = "HTTP_" + name.upper().replace("-", "_")
        return {
            "REQUEST_METHOD": method, "PATH_INFO": "/items/7", "SCRIPT_NAME": "", "QUERY_STRING": "",
            "HTTP_HOST": "api.example", "HTTP_SEC_FETCH_SITE": "same-origin", key: value,
        }  # fmt: skip

    def drive(self, app: Any, request: Any) -> Callable[[], None]:
        return lambda: app(request, _start)


class _Flask(_WSGI):
    """Send requests through the middleware of Flask, which is the only difference to WSGI."""

    def __init__(self, guard: Guard) -> None:
        super().__init__(guard)
        flask = Flask("counted")
        self.guarded = FlaskMiddleware(self.bare, flask, guard, error_handlers=True, clock=_clock)


async def _drop(message: Any) -> None:
    """Send nothing."""


def _start(status: str, headers: Any, exc_info: Any = None) -> None:
    """Start nothing."""


Face = _ASGI | _WSGI


def _calls(step: Callable[[], None]) -> Counter[str]:
    """Return the called functions, with the number of calls."""
    seen: Counter[str] = Counter()

    def profile(frame: Any, event: str, argument: Any) -> None:
        if event == "call":
            seen[frame.f_code.co_qualname] += 1
        elif event == "c_call":
            seen[getattr(argument, "__qualname__", repr(argument))] += 1

    before = sys.getprofile()
    gc.disable()  # the collector would call finalizers and callbacks, which would be counted
    sys.setprofile(profile)
    try:
        _run(step)
    finally:
        sys.setprofile(before)
        gc.enable()
    return seen


def _instructions(step: Callable[[], None]) -> Counter[str]:
    """Return the functions with the number of their bytecode instructions."""
    seen: Counter[str] = Counter()

    def trace(frame: Any, event: str, argument: Any) -> Any:
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        seen[frame.f_code.co_qualname] += event == "opcode"
        return trace

    before = sys.gettrace()
    gc.disable()
    sys.settrace(trace)
    try:
        _run(step)
    finally:
        sys.settrace(before)
        gc.enable()
    return seen


def _run(step: Callable[[], None]) -> None:
    try:
        step()
    except StopIteration:  # the end of a coroutine that never waits
        return


@dataclass(frozen=True)
class Case:
    """Have the settings of a hot path.

    Attributes:
        credential: `token`; `key`, in its own field; `prefixed`, a key in the Authorization field; `cookie`;
            `new`, a token that was never seen before; `expired`, a token that has expired; or `none`.
        rules: the rules besides that for `/`.
        options: a function that returns the options of the guard.
        method: the method of the requests.
        faces: the interfaces of the count.
        refused: whether the guard answers itself.
    """

    credential: str
    rules: tuple[Rule, ...] = ()
    options: Callable[[], dict[str, Any]] = dict
    method: str = "GET"
    faces: tuple[str, ...] = ("asgi", "wsgi")
    refused: bool = False


def _cookie() -> dict[str, Any]:
    return {"cookie": AccessCookie()}


def _quotas() -> dict[str, Any]:
    return {"quotas": [Quota(1_000, 60), Quota(10_000, "day")]}


ASGI, WSGI = ("asgi",), ("wsgi",)  # an async function on WSGI, or a plain one on ASGI, takes another thread
PATHS = {
    "known token": Case("token", faces=("asgi", "wsgi", "flask")),
    "known token, with scopes to check": Case("token", (Rule("/items", scopes=["read"]),)),
    "known token, shared revocations": Case("token", options=lambda: {"revocations": _shared()}),
    "known token, memory revocations": Case("token", options=lambda: {"revocations": _memory()}),
    "known token, async revocations": Case("token", options=lambda: {"revocations": _Async()}, faces=ASGI),
    "known token, plain revocations": Case("token", options=lambda: {"revocations": _Plain()}, faces=WSGI),
    "known token, async user_loader": Case("token", options=lambda: {"user_loader": _load_async}, faces=ASGI),
    "known token, plain user_loader": Case("token", options=lambda: {"user_loader": _load}, faces=WSGI),
    "known token, user_loader in memory": Case("token", options=lambda: {"user_loader": _load_at_once}),
    "known token, async user_loader with user_ttl": Case(
        "token", options=lambda: {"user_loader": _load_async, "user_ttl": 60}, faces=ASGI
    ),
    "known token, plain user_loader with user_ttl": Case(
        "token", options=lambda: {"user_loader": _load, "user_ttl": 60}, faces=WSGI
    ),
    "known token, with on_decision": Case("token", options=lambda: {"on_decision": _told}),
    "known token, where a cookie is read": Case("token", options=_cookie),
    "known API key": Case("key"),
    "known API key with two quotas": Case("key", options=_quotas),
    "known API key as Bearer": Case("prefixed"),
    "known cookie": Case("cookie", options=_cookie),
    "known cookie, POST": Case("cookie", options=_cookie, method="POST"),
    "first-seen HS256 token": Case("new"),
    "no credential": Case("none", refused=True),
    "expired HS256 token": Case("expired", refused=True),
}
FACES = {"asgi": _ASGI, "wsgi": _WSGI, "flask": _Flask}
CASES = {f"{face}, {name}": (FACES[face], path) for name, path in PATHS.items() for face in path.faces}


# As without the extra `fast`.
@patch.object(strict_json, "_read_fast", None)
@patch.object(compact, "_decode_fast", None)
def _added(case: str) -> tuple[Counter[str], Counter[str]]:
    """Return the calls and instructions of the guarded application, less those of the bare one."""
    kind, path = CASES[case]
    face = kind(_guard(*path.rules, **path.options()))
    numbers = iter(range(1, 1000))

    def request() -> Any:
        field = {
            "key": lambda: ("X-API-Key", API_KEY),
            "prefixed": lambda: ("Authorization", f"Bearer {API_KEY}"),
            "cookie": lambda: ("Cookie", f"theme=dark; __Host-access_token={_token(0)}"),
            "token": lambda: ("Authorization", f"Bearer {_token(0)}"),
            "new": lambda: ("Authorization", f"Bearer {_token(next(numbers))}"),
            "expired": lambda: ("Authorization", f"Bearer {_token(0, now=NOW - 100_000)}"),
            "none": lambda: ("X-Nothing", "here"),
        }[path.credential]
        return face.request(path.method, *field())

    def send(app: Any) -> Callable[[], None]:
        return face.drive(app, request())

    for _ in range(20):  # afterwards the credential is known, and one-time work is done
        _run(send(face.guarded))
    Challenges.about.cache_clear()  # its keys are compared with those of other guards
    _run(send(face.guarded))
    calls = _calls(send(face.guarded))
    calls.subtract(_calls(send(face.bare)))
    instructions = _instructions(send(face.guarded))
    instructions.subtract(_instructions(send(face.bare)))
    assert face.calls == (2 if path.refused else 25), "the application was not reached each time"
    return calls, instructions


@pytest.mark.parametrize("case", CASES)
def test_no_more_calls_than_written_down(case: str) -> None:
    """A hot path calls at most as many functions as its limit."""
    calls = _added(case)[0]
    limit = LIMITS[case][0]
    assert calls.total() <= limit, (
        f"{case}: {limit} calls were enough; see the head of this file. {_list(calls)}"
    )


@pytest.mark.skipif(sys.version_info[:2] != COUNTED_ON, reason="other versions have other instructions")
@pytest.mark.parametrize("case", CASES)
def test_no_more_instructions_than_written_down(case: str) -> None:
    """A hot path executes at most as many instructions as its limit."""
    instructions = _added(case)[1]
    limit = LIMITS[case][1]
    assert instructions.total() <= limit, (
        f"{case}: {limit} instructions were enough; see the head of this file. {_list(instructions)}"
    )


@pytest.mark.parametrize("case", CASES)
def test_counting_is_deterministic(case: str) -> None:
    """The same path has the same numbers each time."""
    assert _added(case) == _added(case)


def _list(calls: Counter[str]) -> str:
    return ", ".join(f"{name} × {number}" for name, number in calls.most_common() if number > 0)


if __name__ == "__main__":
    for name in CASES:
        made, executed = _added(name)
        print(f'    "{name}": ({made.total()}, {executed.total()}),')
        print(f"        # calls: {_list(made)}\n        # instructions: {_list(executed)}")
