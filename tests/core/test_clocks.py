"""The option `clock`, which is checked by reading it once."""

import datetime as dt
import math
import time
from decimal import Decimal
from functools import partial

import pytest

from authguard import ConfigurationError, Guard, JWTVerifier, MemoryQuotas, MemoryRevocations
from authguard.asgi import AuthGuardMiddleware
from authguard.issuing import TokenIssuer
from authguard.testing import FakeIssuer
from authguard.wsgi import AuthGuardMiddleware as WSGIMiddleware

SECRET = "a-secret-of-at-least-thirty-two-bytes"


def app(*arguments):
    """Do nothing."""


def guard():
    """Return a guard."""
    return Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer="a", audience="b"))


async def in_a_coroutine():
    """Return the time, after an await."""
    return time.time()


class Seconds(float):
    """Count seconds, as the numbers of other libraries do."""


WRONG = {
    "a datetime": (dt.datetime.now, "clock must return seconds, got .*datetime.*: write clock=time.time"),
    "a decimal": (lambda: Decimal(5), "clock must return seconds, got Decimal"),
    "text": (lambda: "5", "clock must return seconds, got '5'"),
    "a bool": (lambda: True, "clock must return seconds"),
    "nothing": (lambda: None, "clock must return seconds, got None"),
    "NaN": (lambda: math.nan, "clock must return seconds, got nan"),
    "never": (lambda: math.inf, "clock must return seconds, got inf"),
    "arguments": (
        dt.datetime.fromtimestamp,
        "clock must be a function, got one with arguments: write",
    ),
    "a coroutine": (in_a_coroutine, "clock must be a plain function, got an async one"),
    "a number": (5.0, "clock must be a function, got 5.0"),
}


@pytest.mark.parametrize(("clock", "error"), WRONG.values(), ids=WRONG)
def test_a_function_that_is_no_clock(clock, error):
    """A function that does not return seconds is refused, with the spelling that works."""
    with pytest.raises(ConfigurationError, match=error):
        WSGIMiddleware(app, guard=guard(), clock=clock)


@pytest.mark.parametrize(
    "clock",
    [time.time, time.monotonic, lambda: 5, lambda: Seconds(5), partial(max, 1.0, 2.0)],
    ids=["time", "monotonic", "a whole number", "a kind of float", "a partial"],
)
def test_a_function_that_returns_seconds(clock):
    """Each function that returns a number is a clock."""
    assert WSGIMiddleware(app, guard=guard(), clock=clock)


@pytest.mark.parametrize(
    "build",
    [
        lambda clock: AuthGuardMiddleware(app, guard=guard(), clock=clock),
        lambda clock: WSGIMiddleware(app, guard=guard(), clock=clock),
        lambda clock: MemoryRevocations(clock=clock),
        lambda clock: MemoryQuotas(clock=clock),
        lambda clock: TokenIssuer(SECRET, issuer="a", audience="b", clock=clock),
        lambda clock: FakeIssuer(clock=clock),
    ],
    ids=["ASGI", "WSGI", "revocations", "quotas", "issuer", "fake issuer"],
)
def test_each_object_checks_its_clock(build):
    """Each object refuses a function that returns a datetime when it is built."""
    with pytest.raises(ConfigurationError, match="clock must return seconds"):
        build(dt.datetime.now)
