"""The public keys of a scanner: when they are fetched, by how many requests, and for how long they hold."""

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
    """Until the list is five minutes old, it is fetched once."""
    for _ in range(3):
        assert keys.find(scanner.identifier) is not None
        clock.go_on(TTL / 4)
    assert len(scanner.requests) == 1


def test_a_list_that_has_not_changed_is_not_sent_again(keys, scanner, clock):
    """The second request has the ETag of the first answer, and 304 makes the keys fresh."""
    keys.find(scanner.identifier)
    clock.go_on(TTL)
    assert keys.find(scanner.identifier) is not None
    clock.go_on(TTL - 1)
    assert keys.find(scanner.identifier) is not None
    assert [("if-none-match" in seen.headers) for seen in scanner.requests] == [False, True]


def test_old_keys_of_the_list_hold(keys, scanner):
    """A key that is not the current one any more, and is still in the list, is good."""
    before = scanner.identifier
    scanner.add_key()
    assert keys.find(before) is not None
    assert keys.find(scanner.identifier) is not None


def test_a_key_that_was_taken_out_ends(keys, scanner, clock):
    """When the list is fetched again."""
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
    """However many identifiers are made up."""
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
    """Twenty threads, and one request."""
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
    """Although it comes to fetch when that is over."""
    flows = [keys._find(scanner.identifier, clock.now) for _ in range(2)]
    for question in [next(flow) for flow in flows]:
        run(question.make())
    assert len(scanner.requests) == 1


def test_the_token_goes_with_the_request(scanner, clock):
    """As a Bearer token; without one there is no such field."""
    for token in ("ghp_t0ken-for-the-list", ""):
        with closing(ScannerKeys(scanner.url, token, clock=clock)) as keys:
            keys.find(scanner.identifier)
    fields = [seen.headers.get("authorization") for seen in scanner.requests]
    assert fields == ["Bearer ghp_t0ken-for-the-list", None]


def test_the_answer_may_say_that_it_is_fresh_for_longer(keys, scanner, clock):
    """Cache-Control counts, up to an hour."""
    scanner.fields = {"Cache_Control": "public, max-age=86400"}
    keys.find(scanner.identifier)
    clock.go_on(3_599)
    keys.find(scanner.identifier)
    assert len(scanner.requests) == 1
    clock.go_on(1)
    keys.find(scanner.identifier)
    assert len(scanner.requests) == 2


def test_an_outage_lets_known_keys_go_on_for_a_day(keys, scanner, clock):
    """And no longer; after it, all is well again."""
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
    """Of ours: nobody's report is called wrong for it."""
    scanner.status = status
    with pytest.raises(VerificationUnavailableError):
        keys.find(scanner.identifier)


def test_an_outage_is_one_fetch_in_each_pause(keys, scanner, clock):
    """While a fetch has failed a second ago, nobody waits for another."""
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
    """Up to half a minute."""
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
    """It may be one that the list would have."""
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
    """Whatever is wrong with it."""
    scanner.raw = raw
    with pytest.raises(VerificationUnavailableError):
        keys.find(SAMPLE_IDENTIFIER)


def test_keys_of_another_kind_are_passed_over(keys, scanner):
    """A key on another curve does not count, and the others do."""
    good = scanner.identifier
    other = scanner.add_key(ec.SECP384R1())
    assert keys.find(good) is not None
    assert keys.find(other) is None


def test_a_list_that_is_too_large_is_an_outage(keys, scanner):
    """More than 64 KiB are not read."""
    scanner.raw = {**scanner.document, "more": "x" * 70_000}
    with pytest.raises(VerificationUnavailableError):
        keys.find(scanner.identifier)


def test_a_redirect_is_not_followed(keys, scanner):
    """The token would go along."""
    there = scanner._server.pages["/meta/public_keys/secret_scanning"]
    scanner._server.pages["/there"] = there
    scanner._server.pages["/meta/public_keys/secret_scanning"] = answer({}, 302, Location="/there")
    with pytest.raises(VerificationUnavailableError):
        keys.find(scanner.identifier)
    assert scanner._server.count("/there") == 0


def test_a_clock_that_is_set_back_fetches_again(keys, scanner, clock):
    """The keys go on meanwhile, and are fresh by the new time."""
    keys.find(scanner.identifier)
    clock.go_on(-86_400)
    assert keys.find(scanner.identifier) is not None
    assert keys.find(scanner.identifier) is not None
    assert len(scanner.requests) == 2


def test_no_log_line_has_the_answer_or_the_token(scanner, clock, caplog):
    """The reason of a failure is in our words."""
    scanner.raw = {"public_keys": "marker-of-the-answer"}
    keys = ScannerKeys(scanner.url, "ghp_t0ken-for-the-list", clock=clock)
    with closing(keys), pytest.raises(VerificationUnavailableError):
        keys.find("unknown")
    assert "cannot be fetched" in caplog.text
    assert "marker" not in caplog.text and "ghp_" not in caplog.text
