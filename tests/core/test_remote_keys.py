"""The keys of a remote issuer: their use, refresh, fetch and refusal."""

import sys

import pytest

from authguard import ConfigurationError
from authguard._core.jose.compact import Header
from authguard._core.remote.keys import Parse, Plan, RemoteKeys
from sizes import size
from support import NOW, ec_key, jwk, rsa_key

ES256 = Parse(frozenset({"ES256"}))
DAY = 86400


def header(kid="a", alg="ES256"):
    return Header(alg, kid, None)


def key_set(*kids):
    return {"keys": [jwk(ec_key(), kid=kid, alg="ES256") for kid in kids]}


def keys(*kids, at=NOW, ttl=300, max_stale=DAY):
    """Return the state with keys that were fetched at a time."""
    state = RemoteKeys("https://issuer.example", ttl, max_stale, lambda: 0.0)
    if kids:
        state.succeeded(key_set(*kids), ES256, ttl, at)
    return state


def find(state, now, head):
    held = state.held(now)
    return held and held.keys.find(head)


def plan(state, now, kid="a"):
    return state.plan(header(kid), find(state, now, header(kid)), state.held(now), now)


def plan_after(state, now, kid="a"):
    return state.plan_after(header(kid), find(state, now, header(kid)), now)


def usable_until(state, now):
    return state.usable_until(state.held(now), now)


def test_the_first_token_waits_for_a_fetch():
    """The first token waits for a fetch."""
    assert plan(keys(), NOW) is Plan.WAIT


@pytest.mark.parametrize(
    ("after", "what"),
    [
        (0, Plan.USE),
        (269, Plan.USE),
        (270, Plan.REFRESH),
        (299, Plan.REFRESH),
        (300, Plan.WAIT),
        (9999, Plan.WAIT),
    ],
)
def test_fresh_keys_are_used_and_refreshed_ahead(after, what):
    """Fresh keys are used, refreshed in the background in their last 30 seconds, and then waited for."""
    assert plan(keys("a"), NOW + after) is what


def test_nobody_else_refreshes_while_somebody_does():
    """Fresh keys are used without another refresh while one is under way."""
    state = keys("a")
    state.fetching = True
    assert plan(state, NOW + 280) is Plan.USE


def test_a_refresh_that_fails_is_not_repeated_at_once():
    """A failed refresh is repeated after a pause."""
    state = keys("a")
    state.failed("down", NOW + 270)
    assert [plan(state, NOW + 270.5), plan(state, NOW + 271.5)] == [Plan.USE, Plan.REFRESH]


def test_stale_keys_are_used_in_an_outage_and_nobody_waits():
    """Stale keys are used in an outage without waiting, and refreshed in the background after a pause."""
    state = keys("a")
    state.failed("down", NOW + 301)
    assert plan_after(state, NOW + 301) is Plan.USE
    assert [plan(state, NOW + 301.5), plan(state, NOW + 310)] == [Plan.USE, Plan.REFRESH]


def test_after_a_quiet_time_somebody_waits():
    """A request long after a failure waits for a fetch, because the outage may be over."""
    state = keys("a")
    state.failed("down", NOW + 301)
    assert plan(state, NOW + 3600) is Plan.WAIT


def test_an_outage_ends_with_the_next_answer():
    """After an outage, keys with a short lifetime are waited for when that lifetime has ended."""
    state = keys("a")
    state.failed("down", NOW + 301)
    state.succeeded(key_set("a"), ES256, 10, NOW + 303)
    assert plan(state, NOW + 314) is Plan.WAIT


def test_a_key_of_an_answer_is_used_for_the_time_of_that_answer():
    """A key that was found before the next answer is used for the lifetime of its own answer."""
    state, moment = keys("a"), NOW + 300
    held = state.held(moment)
    key = held.keys.find(header("a"))
    state.succeeded(key_set("b"), ES256, 300, moment)
    assert state.plan(header("a"), key, held, moment) is Plan.WAIT
    assert state.usable_until(held, NOW + 299) == NOW + 300


def test_a_withdrawn_key_is_refused_within_the_ttl():
    """A withdrawn key is refused after the next fetch."""
    state = keys("a", "b")
    state.succeeded(key_set("b"), ES256, 300, NOW + 300)
    assert plan_after(state, NOW + 300) is Plan.REFUSE


def test_principals_are_remembered_only_while_the_key_is_fresh():
    """A principal is remembered only while its key is fresh."""
    assert usable_until(keys("a"), NOW + 10) == NOW + 300


def test_in_an_outage_principals_are_remembered_briefly():
    """In an outage a principal is remembered for 30 seconds, and not beyond `max_stale`."""
    state = keys("a")
    assert usable_until(state, NOW + 400) == NOW + 430
    assert usable_until(state, NOW + 300 + DAY - 5) == NOW + 300 + DAY


def test_24_hours_without_the_issuer_fail_no_known_key():
    """In an outage of 24 hours all requests with known keys pass, with fewer than 3,000 fetches."""
    state = keys("a")
    fetches = 0
    for second in range(300 + DAY):
        now = NOW + second
        what = plan(state, now)
        if what in (Plan.WAIT, Plan.REFRESH):
            fetches += 1
            state.failed("down", now)
            what = plan_after(state, now) if what is Plan.WAIT else Plan.USE
        assert what is Plan.USE
    assert fetches < 3000
    assert state.health(NOW + DAY).state == "stale"


def test_after_24_hours_it_is_over():
    """After `max_stale` the keys are not used, and the answer is a 503."""
    state = keys("a")
    state.failed("down", NOW + 300 + DAY)
    assert plan_after(state, NOW + 300 + DAY) is Plan.UNAVAILABLE
    assert plan(state, NOW + 300 + DAY) is Plan.UNAVAILABLE
    assert state.health(NOW + 300 + DAY).state == "failing"


def test_without_max_stale_an_outage_fails_closed():
    """With `max_stale=0` keys are not used after their lifetime."""
    state = keys("a", max_stale=0)
    state.failed("down", NOW + 299)
    assert plan(state, NOW + 299.9) is Plan.USE
    assert plan(state, NOW + 301) is Plan.WAIT
    assert plan_after(state, NOW + 301) is Plan.UNAVAILABLE


def test_a_rotated_key_is_fetched_at_once():
    """A new `kid` is fetched at once, even shortly after the last fetch."""
    assert plan(keys("a"), NOW + 0.1, "b") is Plan.WAIT


def test_all_with_a_rotated_key_wait_for_one_fetch():
    """All tokens with a new `kid` wait for one fetch, without a charge to the budget."""
    state = keys("a")
    assert plan(state, NOW, "b") is Plan.WAIT
    state.fetching = True
    assert {plan(state, NOW, "b") for _ in range(200)} == {Plan.WAIT}


def test_a_senseless_kid_does_not_lock_a_rotated_one_out():
    """An unknown `kid` leaves enough of the budget for a rotated key."""
    state = keys("a")
    for kid in ("nonsense", "b"):
        assert plan(state, NOW, kid) is Plan.WAIT
        state.succeeded(key_set("a"), ES256, 300, NOW)
        assert plan_after(state, NOW, kid) is Plan.REFUSE


def test_the_same_unknown_kid_is_asked_for_once_in_30_seconds():
    """The same unknown `kid` causes one fetch in 30 seconds."""
    state = keys("a")
    assert plan(state, NOW, "b") is Plan.WAIT
    state.succeeded(key_set("a"), ES256, 300, NOW)
    assert plan_after(state, NOW, "b") is Plan.REFUSE
    assert [plan(state, NOW + 29, "b"), plan(state, NOW + 31, "b")] == [Plan.REFUSE, Plan.WAIT]


def test_a_kid_newer_than_the_answer_is_asked_for_again():
    """A `kid` that arrived during a fetch causes another fetch."""
    state = keys("a")
    state.succeeded(key_set("a"), ES256, 300, NOW)
    assert plan_after(state, NOW + 0.5, "b") is Plan.REFUSE
    assert plan(state, NOW + 1, "b") is Plan.WAIT


@pytest.mark.slow
@pytest.mark.parametrize("up", [True, False], ids=["issuer up", "issuer down"])
def test_a_million_random_kids_cost_a_fetch_in_30_seconds(up):
    """A million random kids cause one fetch in 30 seconds, while the known key is used.

    A sample has a tenth of them.
    """
    state = keys("a")
    fetches, number, seconds = 0, size(100_000, 1_000_000), 3600
    for each in range(number):
        now = NOW + each * seconds / number
        if plan(state, now, str(each)) is Plan.WAIT:
            fetches += 1
            if up:
                state.succeeded(key_set("a"), ES256, 300, now)
            else:
                state.failed("down", now)
            assert plan_after(state, now, str(each)) is (Plan.REFUSE if up else Plan.UNAVAILABLE)
            assert plan_after(state, now) is Plan.USE
    assert fetches <= seconds / 30 + 3
    assert len(state._missing) <= 2_000
    assert sys.getsizeof(state._missing.young) < 1_000_000


def test_an_unknown_kid_in_an_outage_is_not_the_callers_fault():
    """An unknown `kid` in an outage is a 503, because the key may be new."""
    state = keys("a")
    state.failed("down", NOW + 1)
    assert plan(state, NOW + 1.5, "b") is Plan.UNAVAILABLE


def test_a_key_for_another_algorithm_is_refused_without_a_fetch():
    """A token of another algorithm with a known `kid` is refused without a fetch."""
    state = keys("a")
    unlike = header("a", "RS256")
    assert state.plan(unlike, find(state, NOW, unlike), state.held(NOW), NOW) is Plan.REFUSE


def test_a_clock_that_was_set_back_makes_keys_stale():
    """A clock that was set back makes the keys stale."""
    assert plan(keys("a"), NOW - 3600) is Plan.WAIT


@pytest.mark.parametrize(
    "document",
    [{"keys": []}, {"keys": [None]}, {"keys": [{"kty": "RSA", "kid": "a"}]}, {"keys": [{"kty": "oct"}]}],
    ids=["empty", "null", "broken", "a secret"],
)
def test_a_set_without_a_usable_key_is_a_failed_refresh(document):
    """A key set without a usable key is a failed refresh, and the last keys are used until `max_stale`."""
    state = keys("a")
    with pytest.raises(ConfigurationError, match="must have a usable key, got none"):
        state.succeeded(document, ES256, 300, NOW)
    state.failed("no usable key", NOW)
    assert plan(state, NOW) is Plan.USE
    assert plan_after(state, NOW + 299 + DAY) is Plan.USE
    assert plan_after(state, NOW + 300 + DAY) is Plan.UNAVAILABLE


def test_what_is_no_key_set_changes_nothing():
    """A document that is no key set is an error, and the last keys are used."""
    state = keys("a")
    with pytest.raises(ConfigurationError, match="keys of the key set must be a list"):
        state.succeeded({"error": "x"}, ES256, 300, NOW)
    assert plan(state, NOW) is Plan.USE


def test_one_odd_key_does_not_spoil_the_set():
    """Keys of unknown types, encryption keys and invalid keys are skipped, with a reason each."""
    good = jwk(rsa_key(), kid="good", alg="RS256")
    odd = [
        {"kty": "AKP", "kid": "1"},
        {**good, "kid": "2", "use": "enc"},
        {**good, "kid": "3", "n": "!"},
        {"kty": "oct", "kid": "4", "k": "c2VjcmV0"},
        {**good, "kid": "5", "d": "AQAB"},
        "garbage",
        None,
    ]
    usable, reasons = Parse(frozenset({"RS256"}))({"keys": [*odd, good]})
    assert [key.key_id for key in usable] == ["good"]
    assert len(reasons) == len(odd)


def test_keys_that_cannot_be_told_apart_are_both_skipped():
    """Two different keys with the same `kid` are both skipped."""
    other = jwk(rsa_key(), kid="b", alg="RS256")
    twice = [jwk(key, kid="a", alg="ES256") for key in (ec_key(), ec_key.__wrapped__())]
    usable, reasons = Parse(frozenset({"ES256", "RS256"}))({"keys": [*twice, other]})
    assert [key.key_id for key in usable] == ["b"]
    assert "same kid" in str(reasons[0])


def test_a_set_of_too_many_keys_is_refused():
    """A key set with more than 64 keys is refused."""
    with pytest.raises(ConfigurationError, match="got 65"):
        ES256(key_set(*map(str, range(65))))


def test_hmac_is_never_read_from_a_remote_set():
    """An HMAC secret in a remote key set is never used."""
    usable, _ = Parse(frozenset({"HS256"}))({"keys": [{"kty": "oct", "k": "A" * 43, "alg": "HS256"}]})
    assert usable == []


def test_an_rsa_key_without_alg_takes_the_one_that_the_issuer_names():
    """An RSA key without `alg` has the only algorithm that the issuer names; else it is skipped."""
    everything = frozenset({"RS256", "RS512", "PS256", "ES256"})
    bare = {"keys": [jwk(rsa_key(), kid="a")]}
    (key,), _ = Parse(everything, frozenset({"RS256", "HS256", "none"}))(bare)
    assert key.algorithm == "RS256"
    for hints in (frozenset(), frozenset({"RS256", "PS256"}), frozenset({"none"})):
        assert Parse(everything, hints)(bare)[0] == []


def test_health_says_what_is_fresh_stale_and_failing():
    """The health is unused, fresh, stale or failing, with the reason."""
    state = keys()
    assert state.health(NOW).state == "unused"
    state.failed("down", NOW)
    assert (state.health(NOW).state, state.health(NOW).reason) == ("failing", "down")
    state.succeeded(key_set("a"), ES256, 300, NOW)
    health = state.health(NOW)
    assert (health.state, health.failures, health.reason) == ("fresh", 0, "")
    assert (health.fetched_at, health.fresh_until) == (NOW, NOW + 300)
    assert state.health(NOW + 300).state == "stale"
    assert state.health(NOW + 300 + DAY).state == "failing"
