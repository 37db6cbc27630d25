"""A store of quotas that is down: requests do not wait, and are refused or counted by shares."""

import logging
from contextlib import suppress
from typing import Any

import pytest

from authguard import ConfigurationError, Quota
from authguard.errors import QuotaUnavailableError
from authguard.stores import SQLiteQuotas, Taken
from authguard.stores.counting.blocks import DAY
from authguard.stores.counting.lease import REFUSED_SECONDS
from stores.quota_world import World

TEN = Quota(10, 60)
HUNDRED = Quota(100, 60, name="hundred")
SHADOW = Quota(3, 60, name="shadow", enforce=False)
LOCAL: dict[str, Any] = {"quotas_down": "local", "processes": 4}


def down(**options: Any) -> World:
    """Return a world whose store is down, which a first request has found out."""
    world = World(**options)
    world.store.is_down = True
    with suppress(QuotaUnavailableError):
        world.take(Quota(10**6, 60, name="other"), caller="first")
    world.store.calls.clear()
    return world


def test_requests_are_refused_with_503_while_the_store_is_down() -> None:
    """Requests are refused with a 503 and Retry-After of one second while the store is down."""
    with pytest.raises(QuotaUnavailableError) as raised:
        down().take(TEN)
    assert raised.value.retry_after == 1
    assert raised.value.status_code == 503
    assert "memory://store: Memory: switched off" in raised.value.reason


def test_only_one_request_in_half_a_second_waits_for_the_store() -> None:
    """One request in half a second calls the store, and the others are refused at once."""
    world = down()
    world.later(0.3)
    for _ in range(20):
        assert world.at_once(TEN) is None
        with pytest.raises(QuotaUnavailableError):
            world.take(TEN)
    assert world.store.calls == []
    world.later(0.2)
    assert world.at_once(TEN) is None  # this request may call the store
    for _ in range(5):
        with pytest.raises(QuotaUnavailableError):
            world.take(TEN)
    assert world.store.calls == ["take"]


def test_others_do_not_wait_while_one_tries() -> None:
    """While one request waits for the store, the others are refused at once."""
    world = down()
    world.later(0.5)
    refused = []

    def meanwhile() -> None:
        with pytest.raises(QuotaUnavailableError):
            world.take(TEN)
        refused.append(True)

    world.store.before = meanwhile
    with pytest.raises(QuotaUnavailableError):
        world.take(TEN)
    assert refused == [True]


def test_requests_pass_again_within_a_second() -> None:
    """A request passes again after half a second when the store is back."""
    world = down()
    world.store.is_down = False
    world.later(0.5)
    assert world.admits(TEN)
    assert world.processes[0].health().reason == ""
    assert world.admits(TEN)


def test_the_thread_finds_out_too() -> None:
    """The thread finds out that the store is back, and the health shows it without a request."""
    world = down()
    world.later(0.6)
    assert world.processes[0].keep()
    assert (world.store.calls, world.processes[0].health().state) == (["beat"], "failing")
    world.store.is_down = False
    assert world.processes[0].keep()
    assert world.store.calls == ["beat"]  # the thread waits half a second too
    world.later(0.5)
    assert world.processes[0].keep()
    assert world.processes[0].health().reason == ""


def test_what_is_borrowed_is_spent_while_the_store_is_down() -> None:
    """A lease is spent while the store is down."""
    world = World()
    borrowed = world.lend(HUNDRED)
    world.store.is_down = True
    for _ in range(borrowed):
        assert world.admits(HUNDRED)
    with pytest.raises(QuotaUnavailableError):
        world.take(HUNDRED)


@pytest.mark.parametrize(
    "error", [ValueError("s3cret"), RuntimeError("s3cret"), TypeError("s3cret"), KeyError("s3cret")]
)
def test_whatever_a_store_raises_it_is_down(error: Exception) -> None:
    """Each exception of a store makes a 503 with the name of its class, and without its text."""
    world = World()
    world.store.errors = [error]
    with pytest.raises(QuotaUnavailableError) as raised:
        world.take(TEN)
    assert type(error).__name__ in raised.value.reason
    assert "s3cret" not in f"{raised.value.reason} {world.processes[0].health()!r}"


@pytest.mark.parametrize(
    "answer", [(True, []), (True, [(1, 2)]), (True, [tuple("abcdefg")]), None, (1, 2, 3)]
)
def test_a_store_that_answers_garbage_is_down(answer: Any) -> None:
    """An invalid answer of the store refuses the request."""
    world = World()
    world.store.take = lambda *_: answer  # type: ignore[method-assign]
    with pytest.raises(QuotaUnavailableError):
        world.take(TEN)


def test_a_request_that_is_interrupted_does_not_stop_borrowing() -> None:
    """A request that is interrupted does not stop later requests from borrowing."""
    world = World()
    world.take(HUNDRED)
    world.later(0.001)
    world.store.errors = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        world.take(HUNDRED)
    world.take(HUNDRED)
    assert world.at_once(HUNDRED) is not None


def test_a_process_may_count_its_share() -> None:
    """With "local" each of four processes counts a quarter of each quota."""
    world = down(**LOCAL)
    assert [world.admits(HUNDRED, TEN) for _ in range(4)] == [True, True, False, False]
    health = world.processes[0].health()
    assert (health.by_share, health.unavailable, health.admitted, health.refused) == (5, 0, 3, 2)
    assert health.state == "failing"


def test_a_share_is_told_as_it_is() -> None:
    """The state of a share has its rest and the seconds to its growth."""
    taken = down(**LOCAL).take(HUNDRED, TEN)
    assert taken.states == [(24, 60, 0), (1, 60, 0)]


def test_a_share_is_counted_without_a_thread() -> None:
    """A share is counted by `take_at_once`, without a thread."""
    taken = down(**LOCAL).at_once(HUNDRED)
    assert isinstance(taken, Taken)
    assert taken.admitted


@pytest.mark.parametrize(("quota", "cost"), [(Quota(3, 60), 1), (TEN, 3)])
def test_a_cost_above_the_share_is_refused_with_503(quota: Quota, cost: int) -> None:
    """A cost above the share is a 503, because the whole quota has room for it."""
    world = down(**LOCAL)
    with pytest.raises(QuotaUnavailableError, match="more than the share"):
        world.take(quota, cost=cost)
    assert world.processes[0].health().unavailable == 1


def test_a_cost_above_the_count_is_refused_as_ever() -> None:
    """A cost above the count is refused."""
    assert not down(**LOCAL).admits(Quota(3, 60), cost=4)


def test_a_quota_that_is_not_enforced_refuses_nothing_without_a_store() -> None:
    """A quota with `enforce=False` refuses nothing with a share."""
    world = down(**LOCAL)
    assert [world.admits(SHADOW, HUNDRED) for _ in range(25)] == [True] * 25


def test_a_calendar_day_is_counted_by_shares_too() -> None:
    """A share of a calendar day is full again at midnight."""
    world = down(**LOCAL)
    daily = Quota(8, "day")
    assert [world.admits(daily) for _ in range(3)] == [True, True, False]
    world.store.now += DAY // 2
    assert world.admits(daily)


def test_a_share_is_given_back() -> None:
    """An amount of a share is given back to the share."""
    world = down(**LOCAL)
    first, _ = world.take(TEN), world.take(TEN)
    world.processes[0].give_back(first)
    assert world.admits(TEN)
    assert not world.admits(TEN)


def test_memory_is_bounded_without_a_store() -> None:
    """The memory of shares is bounded, and further callers are refused with a 503."""
    world = down(max_counters=5, **LOCAL)
    for number in range(4):
        assert world.admits(HUNDRED, caller=str(number))
    for number in range(20):
        with pytest.raises(QuotaUnavailableError):
            world.take(HUNDRED, caller=f"new {number}")
    assert world.processes[0].health().unavailable == 20


def test_over_an_outage_a_caller_gets_a_quota_twice_at_most() -> None:
    """In an outage a caller gets at most twice the quota: from the store, and from all shares."""
    world = World(4, **LOCAL)
    admitted = sum(world.admits(HUNDRED, process=number % 4) for number in range(150))
    world.later(REFUSED_SECONDS)
    world.store.is_down = True
    admitted += sum(world.admits(HUNDRED, process=number % 4) for number in range(150))
    world.store.is_down = False
    world.later(0.5)
    admitted += sum(world.admits(HUNDRED, process=number % 4) for number in range(150))
    assert 100 < admitted <= 200


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("options", "what"),
    [({}, "requests are answered with 503"), (LOCAL, "a share of 1/4 is counted in each process")],
)
def test_an_outage_is_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture, options: dict[str, Any], what: str
) -> None:
    """An outage is logged once a minute with its effect and reason, and without the caller."""
    world = down(**options)
    for _ in range(118):
        world.later(0.5)
        with suppress(QuotaUnavailableError):
            world.take(HUNDRED, caller="ann@example.com")
    message = f"authguard: memory://store cannot count quotas, and {what}: Memory: switched off"
    assert _warnings(caplog) == [message]
    world.later(2)
    world.processes[0].keep()
    assert _warnings(caplog) == [message] * 2


def test_the_end_of_an_outage_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The end of an outage is logged once, at INFO."""
    caplog.set_level(logging.INFO)
    world = down()
    world.store.is_down = False
    world.later(1)
    world.take(TEN)
    world.take(TEN)
    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]
    assert messages == [
        "authguard: memory://store counts quotas for 1 processes together",
        "authguard: memory://store counts quotas again",
    ]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"quotas_down": "open"}, 'quotas_down must be "deny" or "local", got \'open\''),
        ({"quotas_down": None}, 'quotas_down must be "deny" or "local"'),
        ({"quotas_down": "local"}, "processes must be how many there are, on all machines, got None"),
        ({"quotas_down": "local", "processes": 0}, "processes must be a whole number between 1 and"),
        ({"quotas_down": "local", "processes": True}, "processes must be a whole number between 1 and"),
        ({"quotas_down": "local", "processes": 2.0}, "processes must be a whole number between 1 and"),
        ({"processes": 4}, 'processes must be left out with quotas_down="deny", got 4'),
        ({"timeout": 0}, "timeout must be between 0.05 and 30 seconds"),
        ({"timeout": "1"}, "timeout must be between 0.05 and 30 seconds"),
        ({"max_counters": 0}, "max_counters must be a whole number"),
    ],
    ids=str,
)
def test_a_wrong_option_is_refused_with_what_to_write(tmp_path: Any, options: Any, error: str) -> None:
    """A wrong option is refused when the store is built, with the correction."""
    with pytest.raises(ConfigurationError) as raised:
        SQLiteQuotas(tmp_path / "quotas.db", **options)
    assert error in str(raised.value)


def test_receipts_of_requests_that_took_nothing_are_ignored() -> None:
    """A receipt without charges is ignored."""
    world = World()
    world.processes[0].give_back(Taken(True, ()))
    assert world.store.calls == []
