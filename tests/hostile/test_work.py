"""Requests of strangers have bounded, counted work: each entrance with each kind of bad input."""

import logging
import sys
from typing import Any

import pytest
from benchmarks.hostile_guards import ENTRANCES, GUARDS
from benchmarks.hostile_inputs import GROUPS, Hostile
from benchmarks.hostile_paths import PATH_KINDS

from hostile.counting import MAX_ANSWER, MAX_STEPS, Direct, Work, count
from sizes import size

# The guards that a group of requests goes to, which process its bad input most closely.
WHERE = {
    "paths": ("public and protected paths", "rules with stars", "everything together"),
    "methods": ("optional rules", "everything together"),
    "fields": ("cookie and login page", "everything together"),
    "redirects": ("on_error", "rules with stars", "everything together"),
    "cookies": ("cookie and login page", "everything together"),
    "authorizations": ("several issuers", "API keys by a function", "everything together"),
    "tokens": ("several issuers", "RS256", "everything together"),
    "proofs": ("DPoP with nonces", "client certificates, RFC 9440", "everything together"),
    "offers": ("subprotocol", "everything together"),
    "pages": ("metadata", "optional rules", "everything together"),
}  # fmt: skip

REQUESTS = {name: (group, request) for group, make in GROUPS.items() for name, request in make().items()}


#: The place of each request, by which the guards take turns in a sample.
_PLACES = {name: place for place, name in enumerate(REQUESTS)}


def guards_of(name: str) -> tuple[str, ...]:
    """Return the guards that a request goes to: one of its group in turn, or all of them."""
    return _in_turn(WHERE[REQUESTS[name][0]], _PLACES[name])


def entrances_of(name: str) -> tuple[str, ...]:
    """Return the entrances that a request goes to: one in turn, or all of them."""
    return _in_turn(tuple(ENTRANCES), _PLACES[name] // len(ENTRANCES))


def _in_turn(names: tuple[str, ...], place: int) -> tuple[str, ...]:
    start = place % len(names)
    return (names[start:] + names[:start])[: size(1, len(names))]


@pytest.mark.parametrize(
    ("entrance", "name"), [(entrance, name) for name in REQUESTS for entrance in entrances_of(name)]
)
def test_a_stranger_s_request_makes_little_work(entrance: str, name: str) -> None:
    """A request makes bounded work, gets a short answer, and no 500."""
    group, request = REQUESTS[name]
    for guard in guards_of(name):
        work, answer = count(ENTRANCES[entrance](GUARDS[guard](), request))
        assert work.excess() == {}, guard
        assert answer is not None, guard
        assert answer.status < 500, guard
        assert answer.size <= MAX_ANSWER, guard


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize("group", GROUPS)
def test_a_stranger_s_request_makes_short_lines_in_the_log(entrance: str, group: str, caplog: Any) -> None:
    """A request logs one short line, with all logs switched on.

    The audience of a token with a valid signature is logged once, too.
    """
    caplog.set_level(logging.DEBUG, logger="authguard")
    for name, (of, request) in REQUESTS.items():
        if of == group and request.size < 100_000 and entrance in entrances_of(name):
            caplog.clear()
            ENTRANCES[entrance](GUARDS["everything together"](), request)(Direct())  # type: ignore[arg-type]
            lines = [record for record in caplog.records if record.levelno < logging.WARNING]
            assert len(lines) <= 1, name
            assert len(caplog.records) <= 1 + ("signed with" in name), name
            assert all(len(record.getMessage()) < 4000 for record in caplog.records), name


@pytest.mark.parametrize("kind", PATH_KINDS)
def test_where_to_go_after_signing_in_makes_little_work(kind: str) -> None:
    """`safe_next` makes bounded work for any `next`."""
    for length in (1000, 2000, 65_536):
        target = ("/" + PATH_KINDS[kind] * length)[:length]
        work, _ = count(lambda runner, target=target: GUARDS["everything together"]().safe_next(target))
        assert work.excess() == {}, length


def test_work_is_counted_alike_each_time() -> None:
    """The same request makes the same work each time."""
    first, *counted = [vars(count(ENTRANCES["ASGI"](GUARDS["HS256"](), Hostile("/a")))[0]) for _ in range(3)]
    assert (
        counted[0]["steps"] == counted[1]["steps"] <= first["steps"]
    )  # one-time work is done in the first request
    assert 20 < counted[0]["steps"] < 1000


def test_too_much_work_is_stopped() -> None:
    """A loop without an end is stopped."""

    def forever(runner: Any) -> Any:
        while True:
            pass

    work, answer = count(forever)
    assert answer is None
    assert list(work.excess()) == ["steps"]
    assert work.steps < MAX_STEPS + 10


@pytest.mark.parametrize(
    ("excess", "work"),
    [
        ("characters", lambda: [("a" * 1_000_000).find("b") for _ in range(11)]),
        ("normalized", lambda: __import__("unicodedata").normalize("NFKC", "é" * 50_000)),
        ("parsed", lambda: [__import__("json").loads("{}") for _ in range(11)]),
    ],
)
def test_work_of_each_kind_is_seen(excess: str, work: Any) -> None:
    """Work in functions written in C is counted by the size of its arguments."""
    result, _ = count(lambda runner: work())
    assert list(result.excess()) == [excess]


def test_signatures_are_counted() -> None:
    """A request has one signature check."""
    from benchmarks.hostile_inputs import usual

    signed = {"ES256": usual()[-2], "HS256": usual()[-1]}
    for guard, request in signed.items():
        work, answer = count(ENTRANCES["ASGI"](GUARDS[guard](), request))
        assert (work.signatures, answer and answer.status) == (1, 200)


def test_nothing_is_counted_outside() -> None:
    """The trace and the profile are restored after counting."""
    before = (sys.gettrace(), sys.getprofile())
    with Work() as work:
        pass
    counted = work.steps
    sorted(range(1000))
    assert work.steps == counted
    assert (sys.gettrace(), sys.getprofile()) == before
