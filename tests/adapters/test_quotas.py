"""Quotas over every adapter: the same counts, the same fields, and the same refusals."""

import asyncio
import json
import logging
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse

import authguard.starlette
from adapters.answering import (
    ADMIN,
    AUDIENCE,
    CROSS,
    FORGED,
    GOOD,
    ISSUER,
    NOW,
    PREFLIGHT,
    SECRET,
    api_key,
    bearer,
    cookie,
    token,
)
from adapters.faces import ASGI, DECORATED, WSGI, Answer, Field, ask_asgi, ask_wsgi
from authguard import (
    AccessCookie,
    APIKey,
    APIKeyVerifier,
    ConfigurationError,
    Guard,
    JWTVerifier,
    MemoryQuotas,
    Principal,
    Quota,
    Refusal,
    Rule,
)
from authguard.asgi import AuthGuardMiddleware
from authguard.stores import Take, Taken
from authguard.testing import override

FACES = [(name, ask_asgi, make) for name, make in ASGI.items()] + [
    (name, ask_wsgi, make) for name, make in WSGI.items()
]
EACH_FACE = pytest.mark.parametrize(("ask", "make"), [pytest.param(*face[1:], id=face[0]) for face in FACES])
EACH_DECORATED = pytest.mark.parametrize(("make", "ask"), DECORATED.values(), ids=DECORATED)

KEYS = {name: f"sk_live_0123456789-{name}" for name in ("ann", "ann2", "bob", "pro", "own", "none", "gold")}
PER_MINUTE, PER_DAY = Quota(3, 60), Quota(5, "day")
ITEM = re.compile(r'"([^"\\]*)"((?:;[a-z*][a-z0-9_.*-]*(?:=-?\d{1,15})?)*)\Z')


class World:
    """Two clocks, and a guard that counts by them."""

    def __init__(self, quotas: Any, *, store: Any = None, **options: Any) -> None:
        self.now = 1000.0
        self.wall = NOW
        self.store = store or MemoryQuotas(monotonic=lambda: self.now, clock=lambda: self.wall)
        self.guard = Guard(
            JWTVerifier(
                SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE, tier_claim="plan.tier"
            ),
            APIKeyVerifier(
                {
                    KEYS["ann"]: APIKey("ann", ["read"], tier="free"),
                    KEYS["ann2"]: APIKey("ann", ["read"], tier="free"),
                    KEYS["bob"]: APIKey("bob", ["read"], tier="free"),
                    KEYS["pro"]: APIKey("pro", tier="pro"),
                    KEYS["own"]: APIKey("own", tier="free", quotas=[Quota(1, 60)]),
                    KEYS["none"]: APIKey("none"),
                    KEYS["gold"]: APIKey("gold", tier="gold"),
                }
            ),
            quotas=quotas,
            quota_store=self.store,
            **options,
        )

    def later(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds


def by_tier() -> dict[str | None, list[Quota]]:
    return {"free": [PER_MINUTE, PER_DAY], "pro": [Quota(100, 60)], None: []}


def fields(answer: Answer) -> dict[str, dict[str, dict[str, int]]]:
    """The RateLimit fields: Lists of Strings with integers (RFC 9651)."""
    parsed: dict[str, dict[str, dict[str, int]]] = {}
    for field in ("ratelimit-policy", "ratelimit"):
        items = answer.headers[field].split(", ")
        parsed[field] = {}
        for item in items:
            match = ITEM.match(item)
            assert match, item
            pairs = [parameter.split("=") for parameter in match[2].split(";")[1:]]
            parsed[field][match[1]] = {name: int(value) for name, value in pairs}
    return parsed


def remaining(answer: Answer) -> dict[str, int]:
    return {name: parameters["r"] for name, parameters in fields(answer)["ratelimit"].items()}


@EACH_FACE
def test_a_quota_lets_its_count_through(ask: Any, make: Any) -> None:
    """The fourth of three is refused, and passes when the first is a minute old."""
    world = World(by_tier())
    app = make(world.guard, lambda: world.wall)
    assert [ask(app, "GET", "/private", [api_key(KEYS["ann"])]).status for _ in range(4)] == [200] * 3 + [429]
    world.later(60)
    assert ask(app, "GET", "/private", [api_key(KEYS["ann"])]).status == 200


@EACH_FACE
def test_a_response_tells_what_remains(ask: Any, make: Any) -> None:
    """The policies of the caller, and what is left of them."""
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
    """429 with Retry-After, the fields, and a problem document; never a challenge, and never kept."""
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
        "detail": "There were too many requests. Try again later.",
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
    """And says when the last of them lets the request through."""
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
    """Nor before a caller who waits so long gets through; hours later not all come in the same second."""
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
    """More keys are not more quota; another owner has a quota of his own."""
    world = World(by_tier())
    app = make(world.guard, lambda: world.wall)
    sent = ["ann", "ann2", "ann", "ann2", "bob"]
    assert [ask(app, "GET", "/private", [api_key(KEYS[name])]).status for name in sent] == [
        200, 200, 200, 429, 200,
    ]  # fmt: skip


@EACH_FACE
def test_keys_may_count_apart(ask: Any, make: Any) -> None:
    """`by="key"` is for a limit of each key."""
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
    """The `kid` of a token is its issuer's, and says nothing of the caller."""
    world = World([Quota(2, 60, by="key")])
    app = make(world.guard, lambda: world.wall)
    sent = [bearer(token(jti=str(number))) for number in range(3)]
    assert [ask(app, "GET", "/private", [field]).status for field in sent] == [200, 200, 429]


@EACH_FACE
def test_the_tier_of_a_token_is_in_a_claim(ask: Any, make: Any) -> None:
    """`tier_claim` names it, with dots or without."""
    world = World(by_tier())
    app = make(world.guard, lambda: world.wall)
    answer = ask(app, "GET", "/private", [bearer(token(plan={"tier": "pro"}))])
    assert answer.headers["ratelimit-policy"] == '"per-minute";q=100;w=60'
    assert "ratelimit" not in ask(app, "GET", "/private", [bearer(GOOD)]).headers  # without a tier
    assert ask(app, "GET", "/private", [bearer(token(plan={"tier": ["pro"]}))]).status == 401


@EACH_FACE
def test_a_tier_without_quotas_is_our_fault(ask: Any, make: Any, caplog: pytest.LogCaptureFixture) -> None:
    """It is not unlimited: 500, and the log names it."""
    world = World(by_tier())
    app = make(world.guard, lambda: world.wall)
    for _ in range(2):
        assert ask(app, "GET", "/private", [api_key(KEYS["gold"])]).status == 500
    assert "got one of the tier 'gold'" in caplog.text


@EACH_FACE
def test_a_key_may_have_a_quota_of_its_own(ask: Any, make: Any) -> None:
    """Beside those of its tier."""
    world = World(by_tier())
    app = make(world.guard, lambda: world.wall)
    answers = [ask(app, "GET", "/private", [api_key(KEYS["own"])]) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 429]
    assert remaining(answers[0]) == {"per-minute": 2, "per-day": 4, "key-per-minute": 0}
    assert json.loads(answers[1].body)["violated-policies"] == ["key-per-minute"]


def test_quotas_of_a_key_are_not_ignored(caplog: pytest.LogCaptureFixture) -> None:
    """A guard that does not count refuses such a key, and says what to write."""
    guard = Guard(APIKeyVerifier({KEYS["own"]: APIKey("own", quotas=[PER_MINUTE])}))
    assert ask_asgi(ASGI["asgi"](guard, lambda: NOW), "GET", "/private", [api_key(KEYS["own"])]).status == 500
    assert "write Guard(quotas=[])" in caplog.text


def rules() -> list[Any]:
    return [
        "/private",
        Rule("/admin", scopes=["admin"]),
        Rule("/roles", quota=Quota(2, 60), cost=2),
        Rule("/lenient", cost=0, quota=Quota(9, 60, name="free")),
        Rule("/maybe", optional="lenient"),
    ]


@EACH_FACE
def test_a_rule_has_a_quota_and_a_cost(ask: Any, make: Any) -> None:
    """Its quota is beside those of the guard, and its cost is taken from all."""
    world = World([Quota(10, 60)], protected_paths=rules())
    app = make(world.guard, lambda: world.wall)
    answers = [ask(app, "GET", "/roles", [bearer(GOOD)]) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"per-minute";q=10;w=60, "/roles per-minute";q=2;w=60'
    assert remaining(answers[0]) == {"per-minute": 8, "/roles per-minute": 0}
    assert remaining(ask(app, "GET", "/private", [bearer(GOOD)])) == {"per-minute": 7}


@EACH_FACE
def test_what_costs_nothing_is_never_refused(ask: Any, make: Any) -> None:
    """Such as to look at one's own usage, when nothing is left."""
    world = World([Quota(2, 60)], protected_paths=rules())
    app = make(world.guard, lambda: world.wall)
    paths = ["/private", "/private", "/private", "/lenient", "/lenient"]
    assert [ask(app, "GET", path, [bearer(GOOD)]).status for path in paths] == [200, 200, 429, 200, 200]


@EACH_FACE
def test_an_odd_path_has_the_quotas_of_all_its_readings(ask: Any, make: Any) -> None:
    """No spelling of a path evades the quota of its rule."""
    world = World([], protected_paths=rules())
    app = make(world.guard, lambda: world.wall)
    paths = ["/roles", "/x/../roles", "//roles", "/ROLES", "/roles;a", "/%72oles"]
    assert [ask(app, "GET", path, [bearer(ADMIN)]).status for path in paths[:1]] == [200]
    assert [ask(app, "GET", path, [bearer(ADMIN)]).status for path in paths[1:]] == [429] * 5


@EACH_FACE
@pytest.mark.parametrize(
    ("path", "sent", "status"),
    [
        ("/private", [], 401),
        ("/private", [bearer(FORGED)], 401),
        ("/admin", [bearer(GOOD)], 403),
        ("/private", [bearer(GOOD), bearer(GOOD)], 400),
        ("/private", [cookie(GOOD), CROSS], 403),
        ("/private", PREFLIGHT, 204),
        ("/public", [bearer(GOOD)], 200),
    ],
    ids=[
        "nobody",
        "a forged token",
        "a scope that is missing",
        "two tokens",
        "another site",
        "a preflight",
        "public",
    ],
)
def test_what_takes_nothing(ask: Any, make: Any, path: str, sent: list[Field], status: int) -> None:
    """A request that is refused, a preflight, and one to a public path."""
    world = World(
        [Quota(2, 60)],
        protected_paths=rules(),
        public_paths=["/public"],
        cookie=AccessCookie("session", secure=False),
    )
    app = make(world.guard, lambda: world.wall)
    assert ask(app, "GET", "/private", [bearer(GOOD)]).status == 200
    method = "OPTIONS" if status == 204 else "POST" if CROSS in sent else "GET"
    for _ in range(3):
        answer = ask(app, method, path, sent)
        assert answer.status == status
        assert "ratelimit" not in answer.headers
    assert remaining(ask(app, "GET", "/private", [bearer(GOOD)])) == {"per-minute": 0}


@EACH_FACE
def test_options_that_is_no_preflight_counts(ask: Any, make: Any) -> None:
    """It reaches the application as any request does."""
    world = World([Quota(1, 60)])
    app = make(world.guard, lambda: world.wall)
    assert [ask(app, "OPTIONS", "/private", [bearer(GOOD)]).status for _ in range(3)] == [200, 429, 429]


@EACH_FACE
def test_an_optional_path_does_not_pass_a_caller_over_the_quota_as_anonymous(ask: Any, make: Any) -> None:
    """A caller who is known is known, and told."""
    world = World([Quota(2, 60)], protected_paths=rules())
    app = make(world.guard, lambda: world.wall)
    assert [ask(app, "GET", "/maybe", [bearer(GOOD)]).status for _ in range(4)] == [200, 200, 429, 429]
    assert ask(app, "GET", "/maybe").status == 200


@EACH_FACE
def test_a_user_who_is_gone_takes_nothing(ask: Any, make: Any) -> None:
    """The quota is asked last."""
    users: list[Any] = [None, "ann"]
    world = World([Quota(1, 60)], user_loader=lambda principal: principal if users.pop(0) else None)
    app = make(world.guard, lambda: world.wall)
    assert [ask(app, "GET", "/private", [bearer(GOOD)]).status for _ in range(2)] == [401, 200]


@EACH_FACE
def test_on_error_may_change_the_refusal(ask: Any, make: Any) -> None:
    """It sees how long to wait, and which quotas refuse; the fields stay."""
    seen: list[Any] = []

    def on_error(request: Any, refusal: Refusal) -> Refusal:
        seen.append(refusal.error)
        return refusal.with_json({"wait": refusal.error.retry_after})  # type: ignore[union-attr]

    world = World([Quota(1, 60)], on_error=on_error)
    app = make(world.guard, lambda: world.wall)
    answers = [ask(app, "GET", "/private", [bearer(GOOD)]) for _ in range(2)]
    assert (answers[1].status, json.loads(answers[1].body)) == (429, {"wait": 60})
    assert answers[1].headers["ratelimit"] == '"per-minute";r=0;t=60'
    assert [error.violated for error in seen] == [("per-minute",)]
    assert world.guard.health()[-1].refused == 1  # type: ignore[union-attr]


@EACH_FACE
def test_the_log_names_the_key_and_no_secret(ask: Any, make: Any, caplog: pytest.LogCaptureFixture) -> None:
    """At level DEBUG, as for every fault of a caller."""
    caplog.set_level(logging.DEBUG, "authguard")
    world = World([Quota(1, 60)])
    app = make(world.guard, lambda: world.wall)
    for _ in range(2):
        ask(app, "GET", "/private", [api_key(KEYS["none"])])
    (record,) = [record for record in caplog.records if record.name == "authguard"]
    assert "rate_limited (over the limit per-minute; key_id " in record.getMessage()
    assert record.levelno == logging.DEBUG
    assert KEYS["none"] not in caplog.text


@EACH_FACE
def test_a_quota_that_is_not_enforced_tells_and_refuses_nothing(ask: Any, make: Any) -> None:
    """The fields are as they would be; health counts what would have been refused."""
    world = World([Quota(2, 60, enforce=False)])
    app = make(world.guard, lambda: world.wall)
    answers = [ask(app, "GET", "/private", [bearer(GOOD)]) for _ in range(4)]
    assert [(answer.status, *remaining(answer).values()) for answer in answers] == [
        (200, 1), (200, 0), (200, 0), (200, 0),
    ]  # fmt: skip
    (health,) = world.guard.health()
    assert (health.would_refuse, health.refused) == (2, 0)  # type: ignore[union-attr]


class Slow:
    """A store that has to be waited for."""

    def __init__(self, error: Exception | None = None) -> None:
        self.inner = MemoryQuotas()
        self.error = error
        self.given_back: list[Taken] = []

    async def take(self, takes: Sequence[Take]) -> Taken:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return self.inner.take(takes)

    async def give_back(self, taken: Taken) -> None:
        await asyncio.sleep(0)
        self.given_back.append(taken)
        self.inner.give_back(taken)


@EACH_FACE
def test_a_store_may_be_waited_for(ask: Any, make: Any) -> None:
    """As one that several processes share."""
    world = World([Quota(2, 60)], store=Slow())
    app = make(world.guard, lambda: world.wall)
    answers = [ask(app, "GET", "/private", [bearer(GOOD)]) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert remaining(answers[0]) == {"per-minute": 1}


@EACH_FACE
@pytest.mark.parametrize(
    ("error", "status"), [(ConnectionError("down"), 503), (TimeoutError(), 503), (ValueError("bug"), 500)]
)
def test_a_store_that_fails_lets_nobody_through(
    ask: Any, make: Any, error: Exception, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """An outage is a 503 with a type of its own, a bug a 500; neither is a 401 or a 429."""
    world = World([Quota(2, 60)], store=Slow(error), protected_paths=rules())
    app = make(world.guard, lambda: world.wall)
    for path in ("/private", "/maybe"):
        answer = ask(app, "GET", path, [bearer(GOOD)])
        assert answer.status == status
    assert "the store of quotas raised" in caplog.text
    problem = json.loads(answer.body)
    if status == 503:
        assert problem["type"] == "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
        assert (problem["code"], answer.headers["retry-after"]) == ("unavailable", "5")


@EACH_FACE
def test_a_full_store_is_a_503_with_a_warning(ask: Any, make: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Callers that are counted already go on."""
    world = World([Quota(9, 60)], store=MemoryQuotas(max_counters=1))
    app = make(world.guard, lambda: world.wall)
    sent = ["ann", "bob", "ann"]
    assert [ask(app, "GET", "/private", [api_key(KEYS[name])]).status for name in sent] == [200, 503, 200]
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "GET '/private': too many callers are counted")
    ]


def test_an_override_in_a_test_is_counted() -> None:
    """As the caller that it stands for."""
    world = World(by_tier())
    app = ASGI["starlette"](world.guard, lambda: world.wall)
    with override(world.guard, Principal("ann", tier="free")):
        assert [ask_asgi(app, "GET", "/private").status for _ in range(4)] == [200, 200, 200, 429]


@EACH_FACE
def test_one_of_many_is_refused(ask: Any, make: Any) -> None:
    """A long subject counts as any, apart from others that begin like it."""
    world = World([Quota(1, 60)])
    app = make(world.guard, lambda: world.wall)
    sent = [bearer(token(sub="a" * 2_000 + end)) for end in ("b", "c", "b")]
    assert [ask(app, "GET", "/private", [field]).status for field in sent] == [200, 200, 429]


# Decorators and dependencies


def open_world(**options: Any) -> World:
    return World([Quota(2, 60)], public_paths=["/**"], **options)


@EACH_DECORATED
def test_a_decorator_on_a_public_path_counts_once(make: Any, ask: Any) -> None:
    """A dependency beside it does not count again."""
    world = open_world()
    app = make(world.guard, lambda: world.wall, {})
    answers = [ask(app, "GET", "/route", [bearer(GOOD)]) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert [remaining(answer) for answer in answers] == [{"per-minute": left} for left in (1, 0, 0)]
    assert answers[2].headers["retry-after"] == "60"
    assert json.loads(answers[2].body)["violated-policies"] == ["per-minute"]


@EACH_DECORATED
def test_a_decorator_on_a_protected_path_does_not_count_again(make: Any, ask: Any) -> None:
    """The middleware has counted the request."""
    world = World([Quota(2, 60)])
    app = make(world.guard, lambda: world.wall, {"scopes": ["read"]})
    answers = [ask(app, "GET", "/route", [bearer(GOOD)]) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert remaining(answers[0]) == {"per-minute": 1}


@EACH_DECORATED
@pytest.mark.parametrize("store", [None, Slow], ids=["memory", "slow"])
@pytest.mark.parametrize("options", [{}, {"public_paths": ["/**"]}], ids=["protected", "public"])
def test_what_a_decorator_refuses_takes_nothing(make: Any, ask: Any, store: Any, options: Any) -> None:
    """What the middleware has taken is given back, and the refusal does not speak of it."""
    world = World([Quota(2, 60)], store=store and store(), **options)
    app = make(world.guard, lambda: world.wall, {"scopes": ["admin"]})
    for _ in range(4):
        answer = ask(app, "GET", "/route", [bearer(GOOD)])
        assert (answer.status, "ratelimit" in answer.headers) == (403, False)
    both = bearer(token(scope="admin", sub="somebody"))
    assert [ask(app, "GET", "/route", [both]).status for _ in range(3)] == [200, 200, 429]


def test_a_refusal_that_the_application_does_not_send_is_not_given_back() -> None:
    """It has answered the request, and a caller must not get answers for nothing."""

    @authguard.starlette.requires("admin")
    async def details(request: Any) -> str:
        return "details"

    async def page(request: Any) -> PlainTextResponse:
        try:
            return PlainTextResponse(await details(request))
        except authguard.starlette.RefusedHTTPException:
            return PlainTextResponse("no details")

    world = World([Quota(2, 60)])
    app = AuthGuardMiddleware(
        Starlette(routes=[Route("/route", page)]), guard=world.guard, clock=lambda: world.wall
    )
    answers = [ask_asgi(app, "GET", "/route", [bearer(GOOD)]) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert remaining(answers[0]) == {"per-minute": 1}


# Websockets


async def _echo(socket: Any) -> None:
    await socket.accept()
    await socket.send_text("hello")
    await socket.close()


@authguard.starlette.requires("admin")
async def _secret(websocket: Any) -> None:
    await _echo(websocket)


def sockets(**options: Any) -> tuple[World, TestClient]:
    world = World([Quota(2, 60)], **options)
    routes = [WebSocketRoute("/ws", _echo), WebSocketRoute("/secret", _secret)]
    app = AuthGuardMiddleware(Starlette(routes=routes), guard=world.guard, clock=lambda: world.wall)
    return world, TestClient(app)


def handshake(client: TestClient, path: str, text: str = GOOD) -> tuple[int, dict[str, str]]:
    """The status and the RateLimit fields of the answer to a handshake."""
    try:
        with client.websocket_connect(path, headers={"Authorization": f"Bearer {text}"}) as socket:
            assert socket.receive_text() == "hello"
            status, headers = (
                101,
                [(name.decode(), value.decode()) for name, value in socket.extra_headers or ()],
            )
    except WebSocketDenialResponse as denied:
        status, headers = denied.status_code, list(denied.headers.items())
    return status, {name: value for name, value in headers if name in ("ratelimit", "retry-after")}


def test_a_handshake_counts() -> None:
    """Its answer has the fields, and so has its refusal."""
    _, client = sockets()
    assert handshake(client, "/ws") == (101, {"ratelimit": '"per-minute";r=1;t=60'})
    assert handshake(client, "/ws")[0] == 101
    assert handshake(client, "/ws") == (429, {"retry-after": "60", "ratelimit": '"per-minute";r=0;t=60'})


@pytest.mark.parametrize("options", [{}, {"public_paths": ["/**"]}], ids=["protected", "public"])
def test_a_handshake_that_a_decorator_refuses_takes_nothing(options: Any) -> None:
    """As with requests."""
    _, client = sockets(**options)
    for _ in range(3):
        assert handshake(client, "/secret") == (403, {})
    assert [handshake(client, "/secret", token(scope="admin"))[0] for _ in range(3)] == [101, 101, 429]


def test_an_open_websocket_is_not_counted_again() -> None:
    """Not when its credential is checked anew, nor for each message."""
    world, client = sockets()
    handshake(client, "/ws")
    assert world.guard.health()[-1].admitted == 1  # type: ignore[union-attr]


# Options


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: World({"free": [PER_MINUTE]}), "quotas must say what holds for callers without a tier"),
        (lambda: World([Quota(1, 60), Quota(2, 60)]), "each of quotas must have a name of its own"),
        (lambda: World(Quota(1, 60)), "quotas must be a list, got a Quota"),
        (lambda: World([(1, 60)]), "each of quotas must be a Quota"),
        (lambda: World({"": [PER_MINUTE], None: []}), "each tier of quotas must be text"),
        (lambda: World({"free": PER_MINUTE, None: []}), "quotas of free must be a list"),
        (lambda: World([PER_MINUTE], protected_paths=[Rule("/a", cost=4)]), "cost of Rule.* must be at most 3"),
        (lambda: World([], protected_paths=[Rule("/a", quota=PER_MINUTE, cost=4)]), "must be at most 3"),
        (
            lambda: World([PER_MINUTE], protected_paths=[Rule("/a", quota=Quota(1, 9, name="per-minute"))]),
            "each quota must have a name of its own, got 'per-minute'",
        ),
        (
            lambda: World(
                [],
                protected_paths=[
                    Rule("/a", quota=Quota(1, 9, name="x")), Rule("/b", quota=Quota(2, 9, name="x")),
                ],
            ),
            "each quota must have a name of its own, got 'x'",
        ),
        (lambda: World([], public_paths=[Rule("/a", quota=PER_MINUTE)]), "public_paths must ask for nothing"),
        (lambda: World([], public_paths=[Rule("/a", cost=2)]), "public_paths must ask for nothing, got"),
        (lambda: World(None), "quota_store must be left out without quotas"),
        (lambda: Quota(1, "hour"), 'seconds of a Quota must be a number, a timedelta or "day"'),
        (lambda: Quota(1, 0.5), "seconds of a Quota must be a whole number of seconds"),
        (lambda: Quota(1, 60, name='say "x"'), "name of a Quota must be at most 128 printable ASCII"),
        (lambda: Quota(1, 60, by="address"), "by of a Quota must be"),  # type: ignore[arg-type]
        (lambda: Rule("/a", quota=[]), "quota must name at least one"),
        (lambda: Rule("/a", cost=-1), "cost must be a whole number of at least 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(build: Callable[[], Any], message: str) -> None:
    """When it is built, with what to change."""
    with pytest.raises(ConfigurationError, match=message):
        build()


@EACH_FACE
def test_rules_may_share_a_quota(ask: Any, make: Any) -> None:
    """By its name."""
    search = Quota(2, 60, name="search")
    world = World(
        [], protected_paths=[Rule("/admin", quota=search), Rule("/roles", quota=search), "/private"]
    )
    app = make(world.guard, lambda: world.wall)
    paths = ["/admin", "/roles", "/admin", "/roles", "/private"]
    assert [ask(app, "GET", path, [bearer(GOOD)]).status for path in paths] == [200, 200, 429, 429, 200]


def test_quotas_of_rules_need_none_of_the_guard() -> None:
    """A rule with a quota is enough."""
    guard = Guard(
        APIKeyVerifier({KEYS["ann"]: APIKey("ann")}),
        protected_paths=[Rule("/private", methods=["GET"], quota=PER_MINUTE)],
    )
    app = ASGI["asgi"](guard, lambda: NOW)
    answers = [ask_asgi(app, "GET", "/private", [api_key(KEYS["ann"])]) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert list(remaining(answers[0])) == ["GET /private per-minute"]
