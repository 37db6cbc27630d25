"""Requests that take nothing from a quota, and outages of the store of quotas."""

import json
import logging
from typing import Any

import pytest

from adapters.answering import (
    CROSS,
    FORGED,
    GOOD,
    PREFLIGHT,
    api_key,
    bearer,
    cookie,
    token,
)
from adapters.faces import ASGI, Field, ask_asgi
from adapters.quotas import EACH_FACE, KEYS, Slow, World, by_tier, remaining, rules
from authguard import (
    AccessCookie,
    MemoryQuotas,
    Principal,
    Quota,
    Refusal,
)
from authguard.testing import override


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
    """A refused request, a preflight, and a request to a public path take nothing from the quota."""
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
    """An OPTIONS request that is no preflight takes from the quota."""
    world = World([Quota(1, 60)])
    app = make(world.guard, lambda: world.wall)
    assert [ask(app, "OPTIONS", "/private", [bearer(GOOD)]).status for _ in range(3)] == [200, 429, 429]


@EACH_FACE
def test_an_optional_path_does_not_pass_a_caller_over_the_quota_as_anonymous(ask: Any, make: Any) -> None:
    """A known caller above the quota is a 429 on an optional path, and not anonymous."""
    world = World([Quota(2, 60)], protected_paths=rules())
    app = make(world.guard, lambda: world.wall)
    assert [ask(app, "GET", "/maybe", [bearer(GOOD)]).status for _ in range(4)] == [200, 200, 429, 429]
    assert ask(app, "GET", "/maybe").status == 200


@EACH_FACE
def test_a_user_who_is_gone_takes_nothing(ask: Any, make: Any) -> None:
    """A request of a deleted user takes nothing from the quota."""
    users: list[Any] = [None, "ann"]
    world = World([Quota(1, 60)], user_loader=lambda principal: principal if users.pop(0) else None)
    app = make(world.guard, lambda: world.wall)
    assert [ask(app, "GET", "/private", [bearer(GOOD)]).status for _ in range(2)] == [401, 200]


@EACH_FACE
def test_on_error_may_change_the_refusal(ask: Any, make: Any) -> None:
    """`on_error` gets the seconds to wait and the exceeded quotas, and the quota fields stay."""
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
    """The log has the quota and the key id at level DEBUG, and no secret."""
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
    """A quota with `enforce=False` sends its fields, and counts the requests that it would have refused."""
    world = World([Quota(2, 60, enforce=False)])
    app = make(world.guard, lambda: world.wall)
    answers = [ask(app, "GET", "/private", [bearer(GOOD)]) for _ in range(4)]
    assert [(answer.status, *remaining(answer).values()) for answer in answers] == [
        (200, 1), (200, 0), (200, 0), (200, 0),
    ]  # fmt: skip
    (health,) = world.guard.health()
    assert (health.would_refuse, health.refused) == (2, 0)  # type: ignore[union-attr]


@EACH_FACE
def test_a_store_may_be_waited_for(ask: Any, make: Any) -> None:
    """A store with async methods counts and refuses requests."""
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
    """An outage of the store is a 503 with its own problem type, and a bug of it is a 500."""
    world = World([Quota(2, 60)], store=Slow(error), protected_paths=rules())
    app = make(world.guard, lambda: world.wall)
    for path in ("/private", "/maybe"):
        answer = ask(app, "GET", path, [bearer(GOOD)])
        assert answer.status == status
    assert "quota_store adapters.quotas.Slow.take raised" in caplog.text
    problem = json.loads(answer.body)
    if status == 503:
        assert problem["type"] == "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
        assert (problem["code"], answer.headers["retry-after"]) == ("unavailable", "5")


@EACH_FACE
def test_a_full_store_is_a_503_with_a_warning(ask: Any, make: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A full store is a 503 for new callers, and counts the known ones."""
    world = World([Quota(9, 60)], store=MemoryQuotas(max_counters=1))
    app = make(world.guard, lambda: world.wall)
    sent = ["ann", "bob", "ann"]
    assert [ask(app, "GET", "/private", [api_key(KEYS[name])]).status for name in sent] == [200, 503, 200]
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "GET '/private': too many callers are counted")
    ]


def test_an_override_in_a_test_is_counted() -> None:
    """A caller of `override` takes from the quotas of its tier."""
    world = World(by_tier())
    app = ASGI["starlette"](world.guard, lambda: world.wall)
    with override(world.guard, Principal("ann", tier="free")):
        assert [ask_asgi(app, "GET", "/private").status for _ in range(4)] == [200, 200, 200, 429]


@EACH_FACE
def test_one_of_many_is_refused(ask: Any, make: Any) -> None:
    """Two long subjects that differ at the end have separate counts."""
    world = World([Quota(1, 60)])
    app = make(world.guard, lambda: world.wall)
    sent = [bearer(token(sub="a" * 2_000 + end)) for end in ("b", "c", "b")]
    assert [ask(app, "GET", "/private", [field]).status for field in sent] == [200, 200, 429]
