"""The events of `on_decision`: one for each decision, without a secret and without an effect on it."""

import functools
from dataclasses import replace

import pytest

from authguard import (
    AccessCookie,
    APIKey,
    APIKeyVerifier,
    ConfigurationError,
    DecisionEvent,
    Guard,
    JWTVerifier,
    MemoryRevocations,
    Quota,
    Rule,
)
from authguard._core.policy.rules import Requirement
from authguard._logs.hooks import HookFailures
from authguard.drivers import run
from authguard.drivers.blocking import decide as drive
from authguard.errors import InvalidTokenError
from authguard.testing import override
from support import AUDIENCE, ISSUER, NOW, SECRET, FakeRequest, bearer, claims, make_token

KEY = "sk_live_0123456789"
RULES = [
    Rule("/admin", scopes=["admin"]),
    Rule("/hooks", methods=["POST"]),
    Rule("/maybe", optional="lenient"),
]


def told(events, **options):
    """Return a guard that appends its events to a list."""
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    keys = APIKeyVerifier({KEY: APIKey("bob", key_id="k1")})
    defaults = {"protected_paths": ["/", *RULES], "public_paths": ["/open"], "on_decision": events.append}
    return Guard(jwt, keys, cookie=AccessCookie(secure=False), **defaults | options)


def decide(guard, request, now=NOW):
    """Return the decision as an adapter gets it."""
    method = "GET" if request.method == "WEBSOCKET" else request.method
    key = (method, request.path, request.root_path)
    return drive(guard, lambda *_: request, None, request.presented, key, now)


def sending(text, field="cookie"):
    return FakeRequest("/a", headers={field: text})


def key(path="/"):
    return FakeRequest(path, headers={"x-api-key": KEY})


def test_a_caller_that_passes():
    """The event of an allowed request has the caller, the rule, and whether the caller was remembered."""
    events = []
    guard = told(events)
    for _ in range(2):
        decide(guard, bearer(make_token(), "/a"))
    assert events[0] == DecisionEvent(
        allowed=True,
        status=None,
        reason="",
        rule="/",
        method="bearer",
        key_id=None,
        subject="ann",
        issuer=ISSUER,
        remembered=False,
        step="request",
        http_method="GET",
        path="/a",
        at=NOW,
    )
    assert events[1:] == [events[0]._replace(remembered=True)]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (FakeRequest("/a"), (401, "missing_credentials", "/", "none", None, "")),
        (FakeRequest("/a", method="POST"), (401, "missing_credentials", "/", "none", None, "")),
        (bearer("a.b.c", "/a"), (401, "malformed", "/", "bearer", None, "")),
        (bearer(make_token(claims(exp=1)), "/a"), (401, "expired", "/", "bearer", None, "")),
        (bearer(make_token(claims(aud="x")), "/a"), (401, "audience", "/", "bearer", None, "")),
        (bearer(make_token(), "/admin/x"), (403, "insufficient_scope", "/admin", "bearer", None, "ann")),
        (key("/admin"), (403, "insufficient_scope", "/admin", "api_key", "k1", "bob")),
        (bearer(KEY, "/admin"), (403, "insufficient_scope", "/admin", "api_key", "k1", "bob")),
        (sending("sk_live_wrong", "x-api-key"), (401, "unknown_api_key", "/", "api_key", None, "")),
        (bearer("sk_live_wrong"), (401, "unknown_api_key", "/", "api_key", None, "")),
        (sending("access_token=x.y.z"), (401, "malformed", "/", "cookie", None, "")),
        (sending("access_token=x; access_token=y"), (400, "invalid_request", "/", "cookie", None, "")),
        (sending("theme=dark"), (401, "missing_credentials", "/", "none", None, "")),
        (sending("Basic eDp5", "authorization"), (401, "missing_credentials", "/", "none", None, "")),
        (FakeRequest("/a//b"), (401, "missing_credentials", "/", "none", None, "")),
        (FakeRequest("/hooks", method="POST"), (401, "missing_credentials", "POST /hooks", "none", None, "")),
    ],
)  # fmt: skip
def test_a_caller_that_is_refused(request_, expected):
    """The event of a refusal has status, reason, rule, method, key and subject as far as they are known."""
    events = []
    decide(told(events), request_)
    (event,) = events
    assert (event.allowed, event.remembered, event.step) == (False, False, "request")
    result = (event.status, event.reason, event.rule, event.method, event.key_id, event.subject)
    assert result == expected


def test_a_browser_is_sent_to_sign_in():
    """The event of a login redirect has its status."""
    events = []
    decide(told(events, login_path="/login"), FakeRequest("/a", headers={"accept": "text/html"}))
    assert [(event.status, event.reason) for event in events] == [(303, "missing_credentials")]


def test_what_the_guard_serves_has_a_rule_of_its_own():
    """The event for the login page has a rule name for pages of the guard."""
    events = []
    decide(told(events, login_path="/login"), FakeRequest("/login"))
    assert [(event.allowed, event.rule) for event in events] == [(True, "(served by the guard)")]


def test_an_answer_that_is_replaced():
    """The event has the status of the answer that `on_error` returns."""
    from dataclasses import replace

    events = []
    decide(told(events, on_error=lambda _, refusal: replace(refusal, status=404)), FakeRequest("/a"))
    assert [(event.status, event.reason) for event in events] == [(404, "missing_credentials")]


def test_open_paths():
    """The event of a public path has the reason why a credential was not accepted."""
    events = []
    guard = told(events)
    decide(guard, FakeRequest("/open"))
    decide(guard, bearer(make_token(claims(exp=1)), "/open"))
    decide(guard, bearer("x y", "/maybe"))
    results = [(event.allowed, event.reason, event.method) for event in events]
    assert results == [(True, "", "none"), (True, "expired", "none"), (True, "invalid_request", "none")]


def test_a_preflight():
    """The event of a preflight is allowed, with the reason "preflight"."""
    fields = {"origin": "https://a.example", "access-control-request-method": "PUT"}
    events = []
    decide(told(events), FakeRequest("/a", method="OPTIONS", headers=fields))
    assert [(event.allowed, event.status, event.reason) for event in events] == [(True, None, "preflight")]


def test_a_handshake():
    """A handshake has one event, and a refused recheck has another one."""
    events = []
    guard = told(events)
    request = bearer(make_token(), "/a", method="WEBSOCKET")
    allowed = run(guard.decide(request, NOW))
    assert [(event.allowed, event.http_method) for event in events] == [(True, "WEBSOCKET")]
    assert run(guard.recheck(request, allowed.auth, NOW)) is None
    assert len(events) == 1
    run(guard.recheck(request, allowed.auth, NOW + 10_000))
    event = events[1]
    assert (event.step, event.status, event.reason, event.subject) == ("recheck", 401, "expired", "ann")


def test_a_decorator():
    """A refusal by a decorator has an event, and a request that passes it has none."""
    events = []
    guard = told(events)
    request = bearer(make_token(), "/a")
    allowed = decide(guard, request)
    assert run(guard.authorize(request, allowed.auth, None, Requirement(), NOW)) is None
    run(guard.authorize(request, allowed.auth, None, Requirement(["x"]), NOW))
    results = [(event.allowed, event.step, event.status, event.subject) for event in events]
    assert results == [(True, "request", None, "ann"), (False, "route", 403, "ann")]


@pytest.mark.parametrize(
    "options",
    [{}, {"user_loader": lambda principal: principal}, {"on_error": lambda request, refusal: refusal}],
    ids=["straight path", "user_loader", "on_error"],
)
def test_a_quota(options):
    """A request within the quota has one event, and so has a refused one, with its caller."""
    events = []
    guard = told(events, quotas=[Quota(2, 60)], **options)
    for _ in range(3):
        decide(guard, key("/a"))
    results = [
        (event.allowed, event.status, event.subject, event.key_id, event.remembered) for event in events
    ]
    assert results == [
        (True, None, "bob", "k1", False),
        (True, None, "bob", "k1", True),
        (False, 429, "bob", "k1", True),
    ]


@pytest.mark.parametrize("token", [make_token(), None], ids=["known", "nobody"])
def test_a_method_that_looks_like_a_handshake(token):
    """An HTTP method named WEBSOCKET is "HTTP WEBSOCKET" in the event."""
    events = []
    guard = told(events, protected_paths=None, public_paths=["/"])
    presented = [] if token is None else bearer(token).presented
    for _ in range(2):
        drive(
            guard,
            lambda *_: bearer(token, method="HTTP WEBSOCKET"),
            None,
            presented,
            ("WEBSOCKET", "/", ""),
            NOW,
        )
    assert [event.http_method for event in events] == ["HTTP WEBSOCKET"] * 2


def test_a_caller_that_is_revoked():
    """The event of a revoked caller has the reason "revoked"."""
    store = MemoryRevocations(clock=lambda: NOW)
    events = []
    guard = told(events, revocations=store)
    decide(guard, bearer(make_token(), "/a"))
    store.revoke(subject="ann", until=NOW + 600)
    decide(guard, bearer(make_token(), "/a"))
    assert [(event.allowed, event.reason) for event in events] == [(True, ""), (False, "revoked")]


def test_a_verifier_that_is_asked_each_time():
    """The event of a verifier of the application is never "remembered"."""

    class Own:
        def verify(self, credential):
            if credential.value == "bad":
                raise InvalidTokenError("no")
            from authguard import Principal

            return Principal("eve")

    events = []
    guard = Guard(Own(), on_decision=events.append)
    for token in ("good", "good", "bad"):
        decide(guard, bearer(token))
    results = [(event.allowed, event.reason, event.subject, event.remembered) for event in events]
    assert results == [
        (True, "", "eve", False),
        (True, "", "eve", False),
        (False, "invalid_token", "", False),
    ]


def test_a_bug_of_a_callback():
    """A callback that raises has an event with the status 500."""
    events = []
    decide(told(events, user_loader=lambda _: 1 / 0), bearer(make_token(), "/a"))
    assert [(event.status, event.reason) for event in events] == [(500, "internal_error")]


def test_tests_with_another_user():
    """The event under an override has the subject of the override."""
    events = []
    guard = told(events)
    with override(guard, {"name": "ann"}):
        decide(guard, FakeRequest("/a"))
    assert [(event.allowed, event.subject) for event in events] == [(True, "override")]


def test_nothing_is_told_of_verification_outside_of_requests():
    """`verify` outside of a request causes no event."""
    events = []
    told(events).verify(make_token(), now=NOW)
    assert events == []


def test_an_event_is_frozen_and_has_no_credential():
    """An event is frozen and has no credential."""
    events = []
    decide(told(events), bearer(make_token(), "/a"))
    with pytest.raises(AttributeError):
        events[0].allowed = False
    assert make_token().rpartition(".")[2] not in repr(events)


def test_what_it_raises_changes_nothing(monkeypatch):
    """An exception of `on_decision` changes no decision, and is reported."""
    reported = []
    monkeypatch.setattr(Guard, "driving", replace(Guard.driving, report=reported.append))
    guard = told([], on_decision=lambda event: 1 / 0)
    assert decide(guard, bearer(make_token(), "/a")).reaches_app
    assert decide(guard, FakeRequest("/a")).refusal.status == 401
    assert [type(error) for error in reported] == [ZeroDivisionError] * 2


@pytest.mark.parametrize("kind", ["coroutine", "other"])
def test_what_has_to_be_waited_for_is_reported(monkeypatch, kind):
    """An awaitable that `on_decision` returns is reported."""
    reported = []
    monkeypatch.setattr(Guard, "driving", replace(Guard.driving, report=reported.append))

    async def later():
        """Do nothing."""

    class Future:
        def __await__(self):
            """Do nothing."""

    made = {"coroutine": later, "other": Future}[kind]
    assert decide(told([], on_decision=lambda event: made()), FakeRequest("/open")).reaches_app
    assert [str(error) for error in reported] == ["on_decision must not return an awaitable"]


async def _async(event): ...


async def _generator(event):
    yield event


class _Callable:
    async def __call__(self, event): ...


@pytest.mark.parametrize(
    "function", [_async, _generator, _Callable(), functools.partial(_async), _Callable().__call__]
)
def test_an_async_function_is_refused(function):
    """An async function is refused as `on_decision`."""
    with pytest.raises(
        ConfigurationError, match="on_decision must be a plain function, got an async one: write def"
    ):
        told([], on_decision=function)


def test_failures_are_logged_once_a_minute_by_kind(caplog):
    """A failure is logged once a minute for each class, with its place and without its text."""
    times = [0.0]
    failures = HookFailures(lambda: times[0])

    def fail(kind):
        try:
            raise kind("secret")
        except kind as error:
            failures.log(error)

    for kind in (KeyError, KeyError, ValueError):
        fail(kind)
    times[0] = 60.0
    fail(KeyError)
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split()[2] for line in lines] == ["KeyError", "ValueError", "KeyError"]
    assert all("test_telling.py, line " in line and "secret" not in line for line in lines)


def test_kinds_of_failures_are_bounded(caplog):
    """At most 65 classes of failures are logged."""
    failures = HookFailures(lambda: 0.0)
    for number in range(200):
        failures.log(type(f"Error{number}", (Exception,), {})())
    assert len(caplog.records) == 65


def test_a_failure_is_logged_by_the_package(caplog):
    """The log line of a failure names `on_decision`."""
    decide(told([], on_decision=lambda event: event.nothing), FakeRequest("/open"))
    assert "on_decision raised AttributeError in " in caplog.text
