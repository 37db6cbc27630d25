"""Quotas by each adapter: which quotas apply, the requests that they count, and the fields of answers."""

import json
from typing import Any

import pytest

import authguard.asgi
import authguard.wsgi
from adapters.answering import (
    ADMIN,
    GOOD,
    NOW,
    api_key,
    bearer,
    token,
)
from adapters.faces import ASGI, ask_asgi, ask_wsgi
from adapters.quotas import EACH_FACE, KEYS, PER_MINUTE, World, by_tier, fields, find_key, remaining, rules
from authguard import (
    APIKey,
    APIKeyVerifier,
    Guard,
    Quota,
    Rule,
)


@EACH_FACE
def test_a_quota_lets_its_count_through(ask: Any, make: Any) -> None:
    """The fourth request of three allowed ones is refused, and allowed again after a minute."""
    world = World(by_tier())
    app = make(world.guard, lambda: world.wall)
    assert [ask(app, "GET", "/private", [api_key(KEYS["ann"])]).status for _ in range(4)] == [200] * 3 + [429]
    world.later(60)
    assert ask(app, "GET", "/private", [api_key(KEYS["ann"])]).status == 200


def no_page(environ: Any, start_response: Any) -> list[bytes]:
    """Answer by 404, over WSGI."""
    start_response("404 Not Found", [])
    return [b""]


async def no_page_of_asgi(scope: Any, receive: Any, send: Any) -> None:
    """Answer by 404, over ASGI."""
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize(
    ("ask", "middleware", "app"),
    [
        (ask_wsgi, authguard.wsgi.AuthGuardMiddleware, no_page),
        (ask_asgi, authguard.asgi.AuthGuardMiddleware, no_page_of_asgi),
    ],
    ids=["wsgi", "asgi"],
)
def test_a_request_with_an_error_of_the_application_counts(ask: Any, middleware: Any, app: Any) -> None:
    """A request that the application answers by 404 takes from the quota."""
    world = World(by_tier())
    guarded = middleware(app, guard=world.guard, clock=lambda: world.wall)
    statuses = [ask(guarded, "GET", "/nowhere", [api_key(KEYS["ann"])]).status for _ in range(4)]
    assert statuses == [404] * 3 + [429]


@EACH_FACE
def test_a_response_tells_what_remains(ask: Any, make: Any) -> None:
    """A response has the policies of the caller, and the remaining requests of each."""
    world = World(by_tier())
    world.wall = NOW - NOW % 86_400 + 86_400 - 1000.5  # before midnight
    app = make(world.guard, lambda: world.wall)
    ask(app, "GET", "/private", [api_key(KEYS["ann"])])
    world.later(10)
    answer = ask(app, "GET", "/private", [api_key(KEYS["ann"])])
    assert answer.headers["ratelimit-policy"] == '"per-minute";q=3;w=60, "per-day";q=5;w=86400'
    assert answer.headers["ratelimit"] == '"per-minute";r=1;t=50, "per-day";r=3;t=991'
    assert "retry-after" not in answer.headers
    assert fields(answer)["ratelimit"].keys() == fields(answer)["ratelimit-policy"].keys()


@EACH_FACE
def test_a_refusal_tells_how_long_to_wait(ask: Any, make: Any) -> None:
    """A refusal is a 429 with Retry-After, the quota fields and a problem document, and is not stored."""
    world = World(by_tier())
    app = make(world.guard, lambda: world.wall)
    for _ in range(3):
        ask(app, "GET", "/private", [api_key(KEYS["ann"])])
    world.later(20)
    answer = ask(app, "GET", "/private", [api_key(KEYS["ann"])])
    assert json.loads(answer.body) == {
        "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
        "title": "Request cannot be satisfied as assigned quota has been exceeded",
        "status": 429,
        "detail": "Too many requests. Try again later.",
        "code": "rate_limited",
        "violated-policies": ["per-minute"],
    }
    assert (answer.status, answer.headers["retry-after"]) == (429, "40")
    assert answer.headers["ratelimit"] == '"per-minute";r=0;t=40, "per-day";r=2'
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert "www-authenticate" not in answer.headers


@EACH_FACE
def test_a_refusal_names_all_quotas_that_refuse(ask: Any, make: Any) -> None:
    """The refusal names all exceeded quotas, and waits for the last of them."""
    world = World([Quota(2, 60), Quota(2, 600, name="ten minutes"), Quota(9, 5)])
    app = make(world.guard, lambda: world.wall)
    for _ in range(2):
        ask(app, "GET", "/private", [bearer(GOOD)])
    answer = ask(app, "GET", "/private", [bearer(GOOD)])
    assert json.loads(answer.body)["violated-policies"] == ["per-minute", "ten minutes"]
    assert answer.headers["retry-after"] == "600"
    assert fields(answer)["ratelimit"]["per-5-seconds"] == {"r": 7}


@EACH_FACE
def test_retry_after_is_not_before_the_window_ends(ask: Any, make: Any) -> None:
    """`Retry-After` is not before the end of the window, and differs between callers of a long window."""
    waits = set()
    for subject in range(20):
        world = World([Quota(1, 7200)])
        app = make(world.guard, lambda world=world: world.wall)
        known = [bearer(token(sub=f"user {subject}", exp=NOW + 9_000))]
        ask(app, "GET", "/private", known)
        world.later(1800.5)
        answer = ask(app, "GET", "/private", known)
        waits.add(wait := int(answer.headers["retry-after"]))
        assert fields(answer)["ratelimit"]["per-7200-seconds"]["t"] <= wait <= 5_400 * 1.05
        world.later(wait)
        assert ask(app, "GET", "/private", known).status == 200
    assert len(waits) > 10


@EACH_FACE
def test_keys_of_one_owner_share_a_quota(ask: Any, make: Any) -> None:
    """Two keys of one owner take from one quota, and another owner has another one."""
    world = World(by_tier())
    app = make(world.guard, lambda: world.wall)
    sent = ["ann", "ann2", "ann", "ann2", "bob"]
    assert [ask(app, "GET", "/private", [api_key(KEYS[name])]).status for name in sent] == [
        200, 200, 200, 429, 200,
    ]  # fmt: skip


@EACH_FACE
def test_keys_may_count_apart(ask: Any, make: Any) -> None:
    """A quota with `by="key"` counts each key by itself."""
    world = World([Quota(1, 60, by="key")])
    app = make(world.guard, lambda: world.wall)
    sent = ["ann", "ann2", "ann", "ann2"]
    assert [ask(app, "GET", "/private", [api_key(KEYS[name])]).status for name in sent] == [
        200,
        200,
        429,
        429,
    ]


@EACH_FACE
def test_all_tokens_of_a_subject_count_together(ask: Any, make: Any) -> None:
    """All tokens of a subject take from one quota, also with `by="key"`."""
    world = World([Quota(2, 60, by="key")])
    app = make(world.guard, lambda: world.wall)
    sent = [bearer(token(jti=str(number))) for number in range(3)]
    assert [ask(app, "GET", "/private", [field]).status for field in sent] == [200, 200, 429]


@EACH_FACE
def test_the_tier_of_a_token_is_in_a_claim(ask: Any, make: Any) -> None:
    """The tier is the claim that `tier_claim` names, and a tier that is not text is a 401."""
    world = World(by_tier())
    app = make(world.guard, lambda: world.wall)
    answer = ask(app, "GET", "/private", [bearer(token(plan={"tier": "pro"}))])
    assert answer.headers["ratelimit-policy"] == '"per-minute";q=100;w=60'
    assert "ratelimit" not in ask(app, "GET", "/private", [bearer(GOOD)]).headers  # without a tier
    assert ask(app, "GET", "/private", [bearer(token(plan={"tier": ["pro"]}))]).status == 401


@EACH_FACE
def test_a_tier_without_quotas_is_our_fault(ask: Any, make: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A tier without quotas is a 500, and the log names the tier."""
    world = World(by_tier())
    app = make(world.guard, lambda: world.wall)
    for _ in range(2):
        assert ask(app, "GET", "/private", [api_key(KEYS["gold"])]).status == 500
    wrong = "the tier of each caller must be one of quotas ('free', 'pro', None), got 'gold' (str): "
    assert all(record.getMessage().startswith(f"GET '/private': {wrong}") for record in caplog.records)


@EACH_FACE
def test_a_key_may_have_a_quota_of_its_own(ask: Any, make: Any) -> None:
    """A quota of a key applies beside those of its tier."""
    world = World(by_tier())
    app = make(world.guard, lambda: world.wall)
    answers = [ask(app, "GET", "/private", [api_key(KEYS["own"])]) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 429]
    assert remaining(answers[0]) == {"per-minute": 2, "per-day": 4, "key-per-minute": 0}
    assert json.loads(answers[1].body)["violated-policies"] == ["key-per-minute"]


def test_quotas_of_a_key_are_not_ignored(caplog: pytest.LogCaptureFixture) -> None:
    """A guard without quotas refuses a key with a quota, and the log advises `quotas=[]`."""
    guard = Guard(APIKeyVerifier(find_key))
    assert ask_asgi(ASGI["asgi"](guard, lambda: NOW), "GET", "/private", [api_key(KEYS["own"])]).status == 500
    assert "write Guard(quotas=[])" in caplog.text


@EACH_FACE
def test_a_rule_has_a_quota_and_a_cost(ask: Any, make: Any) -> None:
    """The quota of a rule applies beside those of the guard, and the cost of the rule is taken from all."""
    world = World([Quota(10, 60)], protected_paths=rules())
    app = make(world.guard, lambda: world.wall)
    answers = [ask(app, "GET", "/roles", [bearer(GOOD)]) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"per-minute";q=10;w=60, "/roles per-minute";q=2;w=60'
    assert remaining(answers[0]) == {"per-minute": 8, "/roles per-minute": 0}
    assert remaining(ask(app, "GET", "/private", [bearer(GOOD)])) == {"per-minute": 7}


@EACH_FACE
def test_what_costs_nothing_is_never_refused(ask: Any, make: Any) -> None:
    """A path with a cost of 0 is allowed when no request remains."""
    world = World([Quota(2, 60)], protected_paths=rules())
    app = make(world.guard, lambda: world.wall)
    paths = ["/private", "/private", "/private", "/lenient", "/lenient"]
    assert [ask(app, "GET", path, [bearer(GOOD)]).status for path in paths] == [200, 200, 429, 200, 200]


@EACH_FACE
def test_an_odd_path_has_the_quotas_of_all_its_readings(ask: Any, make: Any) -> None:
    """An odd path takes from the quota of the rule of each reading."""
    world = World([], protected_paths=rules())
    app = make(world.guard, lambda: world.wall)
    paths = ["/roles", "/x/../roles", "//roles", "/ROLES", "/roles;a", "/%72oles"]
    assert [ask(app, "GET", path, [bearer(ADMIN)]).status for path in paths[:1]] == [200]
    assert [ask(app, "GET", path, [bearer(ADMIN)]).status for path in paths[1:]] == [429] * 5


@EACH_FACE
def test_rules_may_share_a_quota(ask: Any, make: Any) -> None:
    """Two rules with one named quota share its count."""
    search = Quota(2, 60, name="search")
    world = World(
        [], protected_paths=[Rule("/admin", quota=search), Rule("/roles", quota=search), "/private"]
    )
    app = make(world.guard, lambda: world.wall)
    paths = ["/admin", "/roles", "/admin", "/roles", "/private"]
    assert [ask(app, "GET", path, [bearer(GOOD)]).status for path in paths] == [200, 200, 429, 429, 200]


def test_quotas_of_rules_need_none_of_the_guard() -> None:
    """A quota of a rule needs no quotas of the guard."""
    guard = Guard(
        APIKeyVerifier({KEYS["ann"]: APIKey("ann")}),
        protected_paths=[Rule("/private", methods=["GET"], quota=PER_MINUTE)],
    )
    app = ASGI["asgi"](guard, lambda: NOW)
    answers = [ask_asgi(app, "GET", "/private", [api_key(KEYS["ann"])]) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert list(remaining(answers[0])) == ["GET /private per-minute"]
