"""Revocations in memory."""

import math
import secrets
from typing import Any

import pytest

from authguard import ConfigurationError, MemoryRevocations, Principal
from authguard._core.options import MAX_LEEWAY
from authguard.testing import issue_token

NOW = 1_800_000_000.0


class Clock:
    """Return a moment that the test sets."""

    now = NOW

    def __call__(self) -> float:
        return self.now


def principal(**more: Any) -> Principal:
    """Return a principal with a token of a session."""
    claims = {"iat": NOW - 10, "sid": "s1"} | more.pop("claims", {})
    return Principal("ada", issuer="https://i", token_id="t1", claims=claims, **more)


@pytest.mark.parametrize(
    ("what", "revoked"),
    [
        ({"token_id": "t1"}, True),
        ({"token_id": "t2"}, False),
        ({"token_id": "t1", "issuer": "https://i"}, True),
        ({"token_id": "t1", "issuer": "https://other"}, False),
        ({"subject": "ada"}, True),
        ({"subject": "bob"}, False),
        ({"session": "s1"}, True),
        ({"session": "s2"}, False),
    ],
    ids=str,
)
def test_just_what_was_revoked_is(what: dict[str, str], revoked: bool) -> None:
    """A revocation by token, subject or session applies to one issuer or to all."""
    revocations = MemoryRevocations(clock=Clock())
    assert not revocations.is_revoked(principal())
    revocations.revoke(**what, until=NOW + 60)  # type: ignore[arg-type]
    assert revocations.is_revoked(principal()) is revoked


def test_a_subject_may_sign_in_again() -> None:
    """A token that was issued after the revocation of its subject is valid."""
    revocations = MemoryRevocations(clock=Clock())
    revocations.revoke(subject="ada", until=NOW + 60)
    assert revocations.is_revoked(principal(claims={"iat": NOW}))
    assert not revocations.is_revoked(principal(claims={"iat": NOW + 1}))
    assert revocations.is_revoked(Principal("ada"))


def test_what_has_expired_is_forgotten() -> None:
    """Ended revocations are removed from memory."""
    clock = Clock()
    revocations = MemoryRevocations(clock=clock)
    for number in range(5000):
        revocations.revoke(token_id=str(number), until=clock.now + 1)
        clock.now += 1
    assert len(revocations._marks) < 2000
    clock.now += MAX_LEEWAY
    assert not revocations.is_revoked(Principal("x", token_id="4999"))


@pytest.mark.parametrize(
    "what", [{}, {"token_id": "a", "subject": "b"}, {"key_id": "a", "session": "b"}], ids=str
)
def test_exactly_one_thing_is_revoked(what: dict[str, str]) -> None:
    """A revocation with no name or with two names is refused."""
    with pytest.raises(ConfigurationError, match="exactly one"):
        MemoryRevocations().revoke(**what, until=NOW)  # type: ignore[arg-type]


def api_key(**more: Any) -> Principal:
    """Return a principal with an API key."""
    return Principal("robot", **{"key_id": "billing-1", "method": "api_key"} | more)


@pytest.mark.parametrize(
    ("who", "revoked"),
    [
        (api_key(), True),
        (api_key(key_id="billing-2"), False),
        (api_key(key_id=None), False),
        (api_key(issuer="https://i"), True),
        (principal(key_id="billing-1"), False),
        (principal(key_id="billing-1", method="cookie"), False),
        (principal(key_id="billing-1", method="dpop"), False),
    ],
    ids=["key", "other-key", "no-name", "introspected", "bearer", "cookie", "dpop"],
)
def test_a_key_is_revoked_by_its_name(who: Principal, revoked: bool) -> None:
    """A revocation of a key id applies to API keys, and not to tokens with the same `kid`."""
    revocations = MemoryRevocations(clock=Clock())
    revocations.revoke(key_id="billing-1", until=math.inf)
    assert revocations.is_revoked(who) is revoked


@pytest.mark.parametrize(
    "what", [{"token_id": "billing-1"}, {"session": "billing-1"}, {"subject": "billing-1"}], ids=str
)
def test_a_name_of_another_kind_revokes_no_key(what: dict[str, str]) -> None:
    """A revocation of a token, session or subject does not apply to an API key with the same name."""
    revocations = MemoryRevocations(clock=Clock())
    revocations.revoke(**what, until=NOW + 60)  # type: ignore[arg-type]
    assert not revocations.is_revoked(api_key())


def test_a_session_is_revoked_also_for_tokens_without_jti() -> None:
    """A session is revoked by the claim `sid`, also for tokens without `jti`."""
    revocations = MemoryRevocations(clock=Clock())
    revocations.revoke(session="s1", until=NOW + 60)
    assert revocations.is_revoked(Principal("ada", claims={"sid": "s1"}))
    assert not revocations.is_revoked(Principal("ada", claims={"sid": "s2"}))


def test_a_session_of_another_type_is_no_session() -> None:
    """A `sid` that is neither text nor a whole number does not match a revoked session."""
    revocations = MemoryRevocations(clock=Clock())
    revocations.revoke(session="True", until=NOW + 60)
    assert not revocations.is_revoked(principal(claims={"sid": True}))


@pytest.mark.parametrize("before", ["", "Bearer ", "bearer  "])
@pytest.mark.parametrize("option", ["token_id", "key_id", "session", "subject", "issuer"])
def test_a_token_in_place_of_its_name_is_refused(option: str, before: str) -> None:
    """The text of a token is no name of a revocation, which would affect no caller; no error shows it."""
    token = issue_token(secrets.token_urlsafe(40), subject="ada", iss="demo", aud="demo")
    with pytest.raises(ConfigurationError) as refused:
        MemoryRevocations(clock=Clock()).revoke(**{option: before + token}, until=NOW + 60)  # type: ignore[arg-type]
    assert "got the token itself: write " in str(refused.value)
    assert token[:10] not in str(refused.value)


def test_a_name_with_dots_is_no_token() -> None:
    """A `jti` with dots is revoked like any other."""
    revocations = MemoryRevocations(clock=Clock())
    revocations.revoke(token_id="web.1.eyJ", until=NOW + 60)
    assert revocations.is_revoked(Principal("ada", token_id="web.1.eyJ"))


@pytest.mark.parametrize("until", [0, 3600, 86_400.0])
def test_a_time_from_now_is_no_moment(until: float) -> None:
    """A number of seconds from now is refused as `until`, because it would be in 1970."""
    with pytest.raises(
        ConfigurationError, match=r"until must be seconds since the epoch, got .*time\.time\(\) \+"
    ):
        MemoryRevocations().revoke(subject="ann", until=until)


@pytest.mark.parametrize("before", [0, 5_403.25, 86_400.0])
@pytest.mark.parametrize("named", [{"subject": "ada"}, {}], ids=["subject", "all"])
def test_a_monotonic_clock_is_no_moment(named: dict[str, str], before: float) -> None:
    """A number of a monotonic clock as `issued_before` is an error, because it would revoke nothing."""
    with pytest.raises(ConfigurationError, match=r"issued_before must .* before 2001: write time\.time\(\)$"):
        MemoryRevocations().revoke(**named, issued_before=before, until=4_000_000_000)


@pytest.mark.parametrize("name", ["token_id", "key_id", "session", "subject"])
def test_a_number_names_nothing(name: str) -> None:
    """A number as a name is refused, because the claims of tokens are text."""
    named: dict[str, Any] = {name: 5}
    with pytest.raises(ConfigurationError, match=r"must be text, got 5 .int.: write str\(…\)"):
        MemoryRevocations().revoke(**named, until=NOW)
