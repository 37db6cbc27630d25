"""The public keys of a scanner: when they are fetched, by how many requests, and how long they are used."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from authguard import VerificationUnavailableError
from authguard.drivers.blocking import run
from authguard.identity.scanning.scanner_keys import MAX_KEYS, MAX_STALE, TTL, UNKNOWN_SECONDS, ScannerKeys
from identity.scanner import SAMPLE_IDENTIFIER, SAMPLE_KEY, Scanner, scanning
from identity.support import Clock, together
from remote.servers import answer


@pytest.fixture
def scanner() -> Iterator[Scanner]:
    with scanning() as scanner:
        yield scanner


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(scanner: Scanner, clock: Clock) -> Iterator[ScannerKeys]:
    keys = ScannerKeys(scanner.url, clock=clock, random=lambda: 0.0)
    yield keys
    keys.close()


def test_a_fresh_list_answers_from_memory(keys, scanner, clock):
    """Within five minutes the list is fetched once."""
    for _ in range(3):
        assert keys.find(scanner.identifier) is not None
        clock.go_on(TTL / 4)
    assert len(scanner.requests) == 1


def test_a_list_that_has_not_changed_is_not_sent_again(keys, scanner, clock):
    """The second fetch sends the ETag of the first one, and a 304 renews the keys."""
    keys.find(scanner.identifier)
    clock.go_on(TTL)
    assert keys.find(scanner.identifier) is not None
    clock.go_on(TTL - 1)
    assert keys.find(scanner.identifier) is not None
    assert [("if-none-match" in seen.headers) for seen in scanner.requests] == [False, True]


def test_old_keys_of_the_list_hold(keys, scanner):
    """A key in the list that is no longer the current one is found."""
    before = scanner.identifier
    scanner.add_key()
    assert keys.find(before) is not None
    assert keys.find(scanner.identifier) is not None


def test_a_key_that_was_taken_out_ends(keys, scanner, clock):
    """A key that was removed from the list is unknown after the next fetch."""
    before = scanner.identifier
    keys.find(before)
    del scanner.keys[before]
    scanner.add_key()
    clock.go_on(TTL)
    assert keys.find(before) is None


def test_an_unknown_key_is_looked_for(keys, scanner, clock):
    """A new key is found at once, although the list is fresh."""
    keys.find(scanner.identifier)
    clock.go_on(1)
    assert keys.find(scanner.add_key()) is not None


def test_unknown_keys_cost_one_fetch_a_minute(keys, scanner, clock):
    """Unknown keys cause one fetch a minute, regardless of their number."""
    keys.find(scanner.identifier)
    clock.go_on(1)
    for number in range(100):
        assert keys.find(f"unknown-{number}") is None
    clock.go_on(UNKNOWN_SECONDS - 1)
    assert keys.find("unknown") is None
    assert len(scanner.requests) == 2
    clock.go_on(1)
    assert keys.find("unknown") is None
    assert len(scanner.requests) == 3


def test_all_who_ask_at_the_same_time_share_a_fetch(keys, scanner):
    """Twenty simultaneous questions cause one fetch."""
    gate = threading.Event()
    ask = scanner._server.pages["/meta/public_keys/secret_scanning"]

    def slowly(seen):
        gate.wait(5)
        return ask(seen)

    scanner._server.pages["/meta/public_keys/secret_scanning"] = slowly
    threading.Timer(0.2, gate.set).start()
    result = together(20, lambda _: keys.find(scanner.identifier))
    assert None not in result and not any(isinstance(key, Exception) for key in result)
    assert len(scanner.requests) == 1


def test_who_asked_before_a_fetch_ended_asks_for_no_other(keys, scanner, clock):
    """A question that waited for a fetch does not cause another one."""
    flows = [keys._find(scanner.identifier, clock.now) for _ in range(2)]
    for question in [next(flow) for flow in flows]:
        run(question.make())
    assert len(scanner.requests) == 1


def test_the_token_goes_with_the_request(scanner, clock):
    """The request has the token as a Bearer token, and no such field without a token."""
    for token in ("ghp_t0ken-for-the-list", ""):
        with closing(ScannerKeys(scanner.url, token, clock=clock)) as keys:
            keys.find(scanner.identifier)
    fields = [seen.headers.get("authorization") for seen in scanner.requests]
    assert fields == ["Bearer ghp_t0ken-for-the-list", None]


def test_the_answer_may_say_that_it_is_fresh_for_longer(keys, scanner, clock):
    """The max-age of an answer is the lifetime of the list, up to an hour."""
    scanner.fields = {"Cache_Control": "public, max-age=86400"}
    keys.find(scanner.identifier)
    clock.go_on(3_599)
    keys.find(scanner.identifier)
    assert len(scanner.requests) == 1
    clock.go_on(1)
    keys.find(scanner.identifier)
    assert len(scanner.requests) == 2


def test_an_outage_lets_known_keys_go_on_for_a_day(keys, scanner, clock):
    """During an outage known keys are used for a day, and afterwards the list is fetched again."""
    keys.find(scanner.identifier)
    scanner.status = 500
    clock.go_on(TTL + MAX_STALE - 1)
    assert keys.find(scanner.identifier) is not None
    clock.go_on(1)
    with pytest.raises(VerificationUnavailableError):
        keys.find(scanner.identifier)
    scanner.status = 200
    clock.go_on(30)
    assert keys.find(scanner.identifier) is not None


@pytest.mark.parametrize("status", [403, 404, 429, 500, 302, 304])
def test_a_first_fetch_that_fails_is_an_outage(keys, scanner, status):
    """A first fetch that fails is an outage."""
    scanner.status = status
    with pytest.raises(VerificationUnavailableError):
        keys.find(scanner.identifier)


def test_an_outage_is_one_fetch_in_each_pause(keys, scanner, clock):
    """During an outage one fetch is made in each pause."""
    scanner.status = 503
    for _ in range(20):
        with pytest.raises(VerificationUnavailableError):
            keys.find(scanner.identifier)
    assert len(scanner.requests) == 1
    clock.go_on(1)
    with pytest.raises(VerificationUnavailableError) as caught:
        keys.find(scanner.identifier)
    assert len(scanner.requests) == 2
    assert caught.value.retry_after == 2


def test_the_pause_that_the_server_asks_for_is_kept(keys, scanner, clock):
    """The Retry-After of the server is the pause after its failure."""
    scanner.status, scanner.fields = 429, {"Retry_After": "20"}
    with pytest.raises(VerificationUnavailableError) as caught:
        keys.find(scanner.identifier)
    assert caught.value.retry_after == 20
    scanner.status = 200
    clock.go_on(19)
    with pytest.raises(VerificationUnavailableError):
        keys.find(scanner.identifier)
    clock.go_on(1)
    assert keys.find(scanner.identifier) is not None


def test_an_unknown_key_in_an_outage_is_no_refusal(keys, scanner, clock):
    """An unknown key during an outage is an outage, because the next list might have it."""
    keys.find(scanner.identifier)
    scanner.status = 500
    clock.go_on(1)
    for _ in range(2):
        with pytest.raises(VerificationUnavailableError):
            keys.find("unknown")
    assert keys.find(scanner.identifier) is not None


@pytest.mark.parametrize(
    "raw",
    [
        {"public_keys": []},
        {"public_keys": None},
        {"keys": []},
        {"public_keys": [{"key_identifier": "a", "key": "no PEM", "is_current": True}]},
        {"public_keys": [{"key_identifier": 1, "key": SAMPLE_KEY}]},
        {"public_keys": [{"key_identifier": SAMPLE_IDENTIFIER}]},
        {"public_keys": ["key"]},
        {
            "public_keys": [
                {"key_identifier": str(number), "key": SAMPLE_KEY} for number in range(MAX_KEYS + 1)
            ]
        },
        {"public_keys": [{"key_identifier": SAMPLE_IDENTIFIER, "key": SAMPLE_KEY}] * 2},
        [],
    ],
)
def test_a_list_without_a_usable_key_is_an_outage(keys, scanner, raw):
    """A list without a valid key, or with too many keys, is an outage."""
    scanner.raw = raw
    with pytest.raises(VerificationUnavailableError):
        keys.find(SAMPLE_IDENTIFIER)


def test_keys_of_another_kind_are_passed_over(keys, scanner):
    """A key on another curve is ignored, and the other keys are found."""
    good = scanner.identifier
    other = scanner.add_key(ec.SECP384R1())
    assert keys.find(good) is not None
    assert keys.find(other) is None


def test_a_list_that_is_too_large_is_an_outage(keys, scanner):
    """A list of more than 64 KiB is an outage."""
    scanner.raw = {**scanner.document, "more": "x" * 70_000}
    with pytest.raises(VerificationUnavailableError):
        keys.find(scanner.identifier)


def test_a_redirect_is_not_followed(keys, scanner):
    """A redirect is not followed, because the token would be sent along."""
    there = scanner._server.pages["/meta/public_keys/secret_scanning"]
    scanner._server.pages["/there"] = there
    scanner._server.pages["/meta/public_keys/secret_scanning"] = answer({}, 302, Location="/there")
    with pytest.raises(VerificationUnavailableError):
        keys.find(scanner.identifier)
    assert scanner._server.count("/there") == 0


def test_a_clock_that_is_set_back_fetches_again(keys, scanner, clock):
    """A clock that is set back causes one fetch, and the keys are found meanwhile."""
    keys.find(scanner.identifier)
    clock.go_on(-86_400)
    assert keys.find(scanner.identifier) is not None
    assert keys.find(scanner.identifier) is not None
    assert len(scanner.requests) == 2


def test_no_log_line_has_the_answer_or_the_token(scanner, clock, caplog):
    """A log line about a failure has neither the answer nor the token."""
    scanner.raw = {"public_keys": "marker-of-the-answer"}
    keys = ScannerKeys(scanner.url, "ghp_t0ken-for-the-list", clock=clock)
    with closing(keys), pytest.raises(VerificationUnavailableError):
        keys.find("unknown")
    assert "cannot be fetched" in caplog.text
    assert "marker" not in caplog.text and "ghp_" not in caplog.text
