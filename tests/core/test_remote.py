"""Decisions about remotes: pauses, budgets, freshness and valid answers."""

import pytest

from authguard import ConfigurationError
from authguard._core.flow import Response
from authguard._core.options import check_url
from authguard._core.remote.http import (
    Backoff,
    Breaker,
    Budget,
    freshness,
    read_json,
    retry_after,
)
from authguard._core.strict_json import JSONError
from support import NOW


def never():
    return 0.0


def test_pauses_grow_to_30_seconds():
    """The pauses are 1, 2, 4, 8, 16 and 30 seconds, and do not grow further."""
    backoff = Backoff(never)
    pauses = []
    for _ in range(7):
        backoff.failed(NOW)
        pauses.append(backoff.remaining(NOW))
    assert pauses == [1, 2, 4, 8, 16, 30, 30]


def test_pauses_are_shortened_at_random():
    """A pause is shortened at random, so that many processes do not retry at the same time."""
    backoff = Backoff(lambda: 1.0)
    backoff.failed(NOW)
    assert backoff.remaining(NOW) == 0.5


def test_success_ends_the_pause():
    """A success ends the pause."""
    backoff = Backoff(never)
    backoff.failed(NOW)
    backoff.succeeded()
    assert (backoff.remaining(NOW), backoff.failures) == (0, 0)


def test_a_clock_that_was_set_back_makes_no_long_pause():
    """A clock that was set back makes no pause."""
    backoff = Backoff(never)
    backoff.failed(NOW)
    assert backoff.remaining(NOW - 3600) == 0


def test_a_pause_that_the_server_asks_for_is_at_most_30_seconds():
    """A pause that the server requests is shortened to 30 seconds."""
    backoff = Backoff(never)
    backoff.pause(NOW, 3600)
    assert backoff.remaining(NOW) == 30


def test_budget_comes_back_one_by_one():
    """A budget has three attempts at once, and then one for each 30 seconds."""
    budget = Budget(3, 30)
    assert [budget.take(NOW) for _ in range(4)] == [True, True, True, False]
    assert [budget.take(NOW + 29), budget.take(NOW + 31), budget.take(NOW + 31)] == [False, True, False]


def test_budget_is_never_more_than_its_size():
    """A budget never exceeds its size, even after a day."""
    budget = Budget(2, 30)
    budget.take(NOW)
    assert [budget.take(NOW + 86400) for _ in range(3)] == [True, True, False]


def test_budget_survives_a_clock_that_was_set_back():
    """A budget is refilled from the new time after the clock was set back."""
    budget = Budget(1, 30)
    budget.take(NOW)
    assert not budget.take(NOW - 3600)
    assert budget.take(NOW - 3600 + 31)


def test_breaker_opens_after_three_failures_in_a_row():
    """The breaker opens after three failures in a row, and not after two."""
    breaker = Breaker(never)
    breaker.failed(NOW, NOW)
    breaker.failed(NOW, NOW)
    assert breaker.blocked(NOW, 5) == 0
    breaker.failed(NOW, NOW)
    assert breaker.blocked(NOW, 5) == 1


def test_one_heavy_failure_opens_the_breaker():
    """One failure with the weight of three, such as a timeout, opens the breaker."""
    breaker = Breaker(never)
    breaker.failed(NOW, NOW, 3)
    assert breaker.blocked(NOW, 5) == 1


def test_one_request_tries_a_failed_server():
    """After the pause the breaker lets one request pass, and blocks the others until it ends."""
    breaker = Breaker(never)
    breaker.failed(NOW, NOW, 3)
    assert [breaker.blocked(NOW + 2, 5), breaker.blocked(NOW + 3, 5)] == [0, 4]


def test_a_trial_that_never_ends_does_not_block_for_ever():
    """After a trial that does not end in time the next request passes."""
    breaker = Breaker(never)
    breaker.failed(NOW, NOW, 3)
    breaker.blocked(NOW + 2, 5)
    assert breaker.blocked(NOW + 7, 5) == 0


def test_requests_that_fail_together_make_one_pause():
    """The pause after 64 requests that time out one after the other is as long as that after one of them."""
    breaker = Breaker(never)
    for number in range(64):
        breaker.failed(NOW, NOW + 5 + number / 100, 3)
    assert breaker.blocked(NOW + 6.1, 5) == 0
    assert breaker.failures == 64


def test_requests_that_fail_during_a_trial_let_no_other_pass():
    """A request from before the outage that fails during a trial neither ends the trial nor makes a pause."""
    breaker = Breaker(never)
    breaker.failed(NOW, NOW + 5, 3)
    assert breaker.blocked(NOW + 7, 5) == 0
    breaker.failed(NOW + 4, NOW + 8, 3)
    assert breaker.blocked(NOW + 8, 5) == 4


def test_trials_that_fail_make_longer_pauses():
    """Each trial that fails doubles the pause, also after a clock that was set back."""
    breaker = Breaker(never)
    breaker.failed(NOW, NOW, 3)
    breaker.failed(NOW + 2, NOW + 3, 3)
    assert breaker.blocked(NOW + 3, 5) == 2
    breaker.failed(NOW - 3600, NOW - 3600, 3)
    assert breaker.blocked(NOW - 3600, 5) == 4


def test_success_closes_the_breaker():
    """After a success all requests pass."""
    breaker = Breaker(never)
    breaker.failed(NOW, NOW, 3)
    breaker.succeeded()
    assert [breaker.blocked(NOW, 5), breaker.blocked(NOW, 5), breaker.failures] == [0, 0, 0]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 300),
        ({"cache-control": "max-age=600"}, 600),
        ({"cache-control": "public, max-age=600, must-revalidate"}, 600),
        ({"cache-control": 'max-age="600"'}, 600),
        ({"cache-control": "max-age=600", "age": "100"}, 500),
        ({"cache-control": "max-age=5"}, 60),
        ({"cache-control": "max-age=9999999"}, 86400),
        ({"cache-control": "no-store"}, 60),
        ({"cache-control": "no-cache, max-age=600"}, 60),
        ({"cache-control": "s-maxage=600"}, 300),
        ({"cache-control": "max-age=x"}, 300),
    ],
)
def test_freshness_follows_cache_control_within_bounds(headers, seconds):
    """The lifetime follows `Cache-Control` between a minute and a day, and is 300 seconds by default."""
    assert freshness(headers, 300) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("17", 17),
        (" 17 ", 17),
        ("Fri, 15 Jan 2027 08:00:20 GMT", 20),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0),
        ("999999999", 30),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 30),
        ("soon", None),
        ("", None),
        ("-1", None),
        ("99999999999999999999", None),
        ("Fri, 15 Jan 99999999999999 08:00:20 GMT", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(text, seconds):
    """Retry-After is read as a number or a date up to a maximum, and another value is ignored."""
    assert retry_after({"retry-after": text}, NOW) == seconds


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "Application/jwk-set+json"]
)
def test_json_is_read(kind):
    """JSON is read if the answer has a media type of JSON."""
    assert read_json(Response(200, {"content-type": kind}, b'{"a": [1]}')) == {"a": [1]}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", b"{}"),
        ("", b"{}"),
        ("application/jsonx", b"{}"),
        ("application/json", b"[]"),
        ("application/json", b"<html>"),
        ("application/json", b'{"keys": [{'),
        ("application/json", b"\xff{}"),
        ("application/json", b'{"a": 1, "a": 2}'),
        ("application/json", b'{"a":' + b"[" * 9 + b"]" * 9 + b"}"),
        ("application/json", b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    ],
)
def test_what_is_not_strict_json_is_no_answer(kind, body):
    """An answer with another media type, another value, invalid JSON or deep nesting is refused."""
    with pytest.raises(JSONError):
        read_json(Response(200, {"content-type": kind}, body))


def test_an_answer_may_nest_as_deep_as_its_limit():
    """An answer may nest eight levels deep, and not deeper."""
    body = b'{"a":' + b"[" * 7 + b"[]" + b"]" * 7 + b"}"
    with pytest.raises(JSONError, match="nests deeper than 8"):
        read_json(Response(200, {"content-type": "application/json"}, body))
    assert read_json(Response(200, {"content-type": "application/json"}, body.replace(b"[]", b"1")))


@pytest.mark.parametrize(
    "url",
    [
        "https://auth.example.com/jwks",
        "https://auth.example.com:8443/jwks?tenant=1",
        "http://127.0.0.1:8000/jwks",
        "http://[::1]/jwks",
        "http://localhost/jwks",
    ],
)
def test_https_and_loopback_are_good(url):
    """An https URL, or a loopback URL, is returned unchanged."""
    assert check_url(url, "url") == url


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://auth.example.com/jwks", "plain http"),
        ("http://127.0.0.1.example.com/", "plain http"),
        ("http://localhost.example.com/", "plain http"),
        ("http://0x7f.example/", "plain http"),
        ("https://me:secret@auth.example.com/", "user name"),
        ("https://auth.example.com/#jwks", "fragment"),
        ("ftp://auth.example.com/", "must be a URL"),
        ("file:///etc/passwd", "must be a URL"),
        ("auth.example.com", "must be a URL"),
        ("https:///jwks", "must be a URL"),
        ("https://auth.example.com:0/", "must be a URL"),
        ("https://auth.example.com:99999/", "must be a URL"),
        ("https://auth.example.com/a b", "must be a URL"),
        ("https://auth.example.com\\@evil.example/", "must be a URL"),
        ("https://auth.example.com/\r\nX: y", "must be a URL"),
        ("https://[::1/", "must be a URL"),
        ("", "must be a URL"),
        (None, "must be a URL"),
        (b"https://auth.example.com/", "must be a URL"),
    ],
)
def test_other_urls_are_a_configuration_error(url, says):
    """Another URL is refused with the reason, and without a secret in it."""
    with pytest.raises(ConfigurationError, match=says) as raised:
        check_url(url, "url")
    assert "secret" not in str(raised.value)


def test_plain_http_can_be_allowed():
    """Plain http is accepted with `plain_http=True`."""
    assert check_url("http://keycloak:8080/", "url", plain_http=True) == "http://keycloak:8080/"
