"""What the hot paths do, in counted steps: a regression gate that no clock can upset.

When a test here fails, a change has made a hot path longer. If that is worth it, or if you have made
it shorter, run `python tests/test_warm_path.py`, write the numbers that it prints into `LIMITS`, and say
why in the commit. It prints each call, too, and where the instructions are.
"""

import gc
import sys
from collections import Counter
from collections.abc import Callable
from itertools import repeat
from typing import Any
from unittest.mock import patch

import pytest

import authguard.asgi
import authguard.wsgi
from authguard import APIKey, APIKeyVerifier, DecisionEvent, Guard, JWTVerifier, MemoryQuotas, Quota, Rule
from authguard._core import strict_json
from authguard._core.jose import compact
from authguard.stores.follower import Follower
from authguard.stores.revocations import SharedRevocations
from authguard.testing import issue_token
from stores.fake_log import FakeLog, World

# For each path: calls of functions, those written in C included, and bytecode instructions. The bare
# application's are not counted. Later versions of Python need fewer calls (PEP 709), and have other
# instructions: those are compared on the version that they were counted on only.
LIMITS = {
    "asgi, known token": (25, 374),
    "asgi, known token, with scopes to check": (27, 414),
    "asgi, known API key": (26, 396),
    "asgi, known API key with two quotas": (56, 976),
    "wsgi, known API key with two quotas": (50, 886),
    "wsgi, known token": (17, 216),
    "wsgi, known API key": (18, 247),
    "asgi, first-seen HS256 token": (122, 1619),
    "wsgi, first-seen HS256 token": (114, 1461),
    "asgi, known token, shared revocations": (26, 397),
    "wsgi, known token, shared revocations": (18, 239),
    "wsgi, known token, with on_decision": (24, 319),
}
COUNTED_ON = (3, 11)

NOW = 1_800_000_000.0
SECRET = "c0unted-0nly-Secret-of-enough-bytes-5Vw"
API_KEY = "sk_test_counted-0nly-Key-of-enough-bytes-8Lm"
FIELDS = [
    (name, b"something")
    for name in (b"host", b"user-agent", b"accept", b"accept-encoding", b"accept-language", b"connection",
                 b"sec-fetch-dest", b"sec-fetch-mode", b"sec-fetch-site", b"referer", b"x-request-id")
]  # fmt: skip


def _token(number: int) -> str:
    claims = {"iss": "https://issuer.example", "aud": "https://api.example", "jti": f"token {number:04}"}
    return issue_token(SECRET, now=NOW, scopes=["read", "write"], **claims)


def _shared() -> SharedRevocations:
    """Revocations that other processes share, whose log has been read a moment ago."""
    log = FakeLog(World())
    follower = Follower(log, "store", bound=1.0, monotonic=repeat(100.0).__next__)
    follower.step()
    return SharedRevocations(log, follower)


def _guard(
    *protected: Rule,
    revocations: SharedRevocations | None = None,
    quotas: list[Quota] | None = None,
    on_decision: Callable[[DecisionEvent], None] | None = None,
) -> Guard:
    jwt = JWTVerifier(
        SECRET, algorithms=["HS256"], issuer="https://issuer.example", audience="https://api.example"
    )
    keys = APIKeyVerifier({API_KEY: APIKey("robot")})
    rules = ["/", *protected]
    return Guard(
        jwt,
        keys,
        protected_paths=rules,
        public_paths=["/static", "/login"],
        revocations=revocations,
        quotas=quotas,
        quota_store=quotas and MemoryQuotas(monotonic=_clock, clock=_clock),
        on_decision=on_decision,
    )


def _told(event: DecisionEvent) -> None:
    """Do nothing, so that the telling alone is counted."""


def _clock() -> float:
    return NOW


class _ASGI:
    """Sends requests without a server and without an event loop."""

    def __init__(self, guard: Guard) -> None:
        self.calls = 0
        self.guarded = authguard.asgi.AuthGuardMiddleware(self.bare, guard=guard, clock=_clock)

    async def bare(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1

    def request(self, name: str, value: str) -> Any:
        headers = [*FIELDS, (name.lower().encode(), value.encode())]
        return {
            "type": "http", "method": "GET", "scheme": "http", "path": "/items/7", "root_path": "",
            "query_string": b"", "headers": headers, "state": {}, "extensions": {},
        }  # fmt: skip

    def drive(self, app: Any, request: Any) -> Callable[[], None]:
        step = app(request, None, None).send
        return lambda: step(None)


class _WSGI:
    """The same for WSGI."""

    def __init__(self, guard: Guard) -> None:
        self.calls = 0
        self.guarded = authguard.wsgi.AuthGuardMiddleware(self.bare, guard=guard, clock=_clock)

    def bare(self, environ: Any, start_response: Any) -> list[bytes]:
        self.calls += 1
        return []

    def request(self, name: str, value: str) -> Any:
        return {
            "REQUEST_METHOD": "GET", "PATH_INFO": "/items/7", "SCRIPT_NAME": "", "QUERY_STRING": "",
            "HTTP_HOST": "api.example", "HTTP_" + name.upper().replace("-", "_"): value,
        }  # fmt: skip

    def drive(self, app: Any, request: Any) -> Callable[[], None]:
        return lambda: app(request, None)


Face = _ASGI | _WSGI


def _calls(step: Callable[[], None]) -> Counter[str]:
    """What is called, with how often."""
    seen: Counter[str] = Counter()

    def profile(frame: Any, event: str, argument: Any) -> None:
        if event == "call":
            seen[frame.f_code.co_qualname] += 1
        elif event == "c_call":
            seen[getattr(argument, "__qualname__", repr(argument))] += 1

    before = sys.getprofile()
    gc.disable()  # what it finds to finalize would be counted, too, and what others have it call
    sys.setprofile(profile)
    try:
        _run(step)
    finally:
        sys.setprofile(before)
        gc.enable()
    return seen


def _instructions(step: Callable[[], None]) -> Counter[str]:
    """In which functions bytecode instructions are executed, with how many."""
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
    except StopIteration:  # how a coroutine that never waits ends
        return


CASES: dict[str, tuple[type[Face], list[Rule], str | None]] = {
    "asgi, known token": (_ASGI, [], "token"),
    "asgi, known token, with scopes to check": (_ASGI, [Rule("/items", scopes=["read"])], "token"),
    "asgi, known API key": (_ASGI, [], "key"),
    "asgi, known API key with two quotas": (_ASGI, [], "key"),
    "wsgi, known API key with two quotas": (_WSGI, [], "key"),
    "wsgi, known token": (_WSGI, [], "token"),
    "wsgi, known API key": (_WSGI, [], "key"),
    "asgi, first-seen HS256 token": (_ASGI, [], None),
    "wsgi, first-seen HS256 token": (_WSGI, [], None),
    "asgi, known token, shared revocations": (_ASGI, [], "token"),
    "wsgi, known token, shared revocations": (_WSGI, [], "token"),
    "wsgi, known token, with on_decision": (_WSGI, [], "token"),
}


# As where the extra `fast` is not installed.
@patch.object(strict_json, "_read_fast", None)
@patch.object(compact, "_decode_fast", None)
def _added(case: str) -> tuple[Counter[str], Counter[str]]:
    """Calls and instructions of the guarded application, less those of the bare one."""
    kind, rules, credential = CASES[case]
    quotas = [Quota(1_000, 60), Quota(10_000, "day")] if "quotas" in case else None
    revocations = _shared() if "shared" in case else None
    told = _told if "on_decision" in case else None
    face = kind(_guard(*rules, revocations=revocations, quotas=quotas, on_decision=told))
    numbers = iter(range(1000))

    def request() -> Any:
        if credential == "key":
            return face.request("X-API-Key", API_KEY)
        return face.request("Authorization", f"Bearer {_token(0 if credential else next(numbers))}")

    def send(app: Any) -> Callable[[], None]:
        return face.drive(app, request())

    for _ in range(20):  # the credential is known now, and what is made at the first request is made
        _run(send(face.guarded))
    calls = _calls(send(face.guarded))
    calls.subtract(_calls(send(face.bare)))
    instructions = _instructions(send(face.guarded))
    instructions.subtract(_instructions(send(face.bare)))
    assert face.calls == 24, "the application was not reached each time"
    return calls, instructions


@pytest.mark.parametrize("case", CASES)
def test_no_more_calls_than_written_down(case: str) -> None:
    """A hot path calls no more functions than it did when it was last thought about."""
    calls = _added(case)[0]
    limit = LIMITS[case][0]
    assert calls.total() <= limit, (
        f"{case}: {limit} calls were enough; see the head of this file. {_list(calls)}"
    )


@pytest.mark.skipif(sys.version_info[:2] != COUNTED_ON, reason="other versions have other instructions")
@pytest.mark.parametrize("case", CASES)
def test_no_more_instructions_than_written_down(case: str) -> None:
    """A hot path executes no more instructions than it did when it was last thought about."""
    instructions = _added(case)[1]
    limit = LIMITS[case][1]
    assert instructions.total() <= limit, (
        f"{case}: {limit} instructions were enough; see the head of this file. {_list(instructions)}"
    )


@pytest.mark.parametrize("case", CASES)
def test_counting_is_deterministic(case: str) -> None:
    """The same path has the same numbers each time, else the limits would mean nothing."""
    assert _added(case) == _added(case)


def _list(calls: Counter[str]) -> str:
    return ", ".join(f"{name} × {number}" for name, number in calls.most_common() if number > 0)


if __name__ == "__main__":
    for name in CASES:
        made, executed = _added(name)
        print(f'    "{name}": ({made.total()}, {executed.total()}),')
        print(f"        # calls: {_list(made)}\n        # instructions: {_list(executed)}")
