"""Logouts kept in memory."""

import math
from typing import Any

import pytest

from authguard import ConfigurationError, MemoryRevocations, Principal

NOW = 1_800_000_000.0


class Clock:
    """A clock that is set."""

    now = NOW

    def __call__(self) -> float:
        return self.now


def principal(**more: Any) -> Principal:
    """A principal with a token of a session."""
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
    """By token, subject or session, of one issuer or of all."""
    revocations = MemoryRevocations(clock=Clock())
    assert not revocations.is_revoked(principal())
    revocations.revoke(**what, until=NOW + 60)  # type: ignore[arg-type]
    assert revocations.is_revoked(principal()) is revoked


def test_a_subject_may_sign_in_again() -> None:
    """Tokens issued after it was logged out everywhere are not affected."""
    revocations = MemoryRevocations(clock=Clock())
    revocations.revoke(subject="ada", until=NOW + 60)
    assert revocations.is_revoked(principal(claims={"iat": NOW}))
    assert not revocations.is_revoked(principal(claims={"iat": NOW + 1}))
    assert revocations.is_revoked(Principal("ada"))


def test_what_has_expired_is_forgotten() -> None:
    """Memory is bounded by what is still valid."""
    clock = Clock()
    revocations = MemoryRevocations(clock=clock)
    for number in range(5000):
        revocations.revoke(token_id=str(number), until=clock.now + 1)
        clock.now += 0.01
    assert len(revocations._marks) < 2000
    clock.now += 60
    assert not revocations.is_revoked(Principal("x", token_id="4999"))


@pytest.mark.parametrize(
    "what", [{}, {"token_id": "a", "subject": "b"}, {"key_id": "a", "session": "b"}, {"key_id": ""}], ids=str
)
def test_exactly_one_thing_is_revoked(what: dict[str, str]) -> None:
    """None or two are a mistake."""
    with pytest.raises(ConfigurationError, match="exactly one"):
        MemoryRevocations().revoke(**what, until=NOW)  # type: ignore[arg-type]


def api_key(**more: Any) -> Principal:
    """A principal with an API key."""
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
    """And no token whose issuer's key has the same `kid`."""
    revocations = MemoryRevocations(clock=Clock())
    revocations.revoke(key_id="billing-1", until=math.inf)
    assert revocations.is_revoked(who) is revoked


@pytest.mark.parametrize(
    "what", [{"token_id": "billing-1"}, {"session": "billing-1"}, {"subject": "billing-1"}], ids=str
)
def test_a_name_of_another_kind_revokes_no_key(what: dict[str, str]) -> None:
    """Each kind has names of its own."""
    revocations = MemoryRevocations(clock=Clock())
    revocations.revoke(**what, until=NOW + 60)  # type: ignore[arg-type]
    assert not revocations.is_revoked(api_key())


def test_a_session_is_revoked_also_for_tokens_without_jti() -> None:
    """The claim `sid` is enough."""
    revocations = MemoryRevocations(clock=Clock())
    revocations.revoke(session="s1", until=NOW + 60)
    assert revocations.is_revoked(Principal("ada", claims={"sid": "s1"}))
    assert not revocations.is_revoked(Principal("ada", claims={"sid": "s2"}))


def test_a_session_of_another_type_is_no_session() -> None:
    """A claim that is no text names nothing."""
    revocations = MemoryRevocations(clock=Clock())
    revocations.revoke(session="1", until=NOW + 60)
    assert not revocations.is_revoked(principal(claims={"sid": 1}))


@pytest.mark.parametrize("until", [0, 3600, 86_400.0])
def test_a_time_from_now_is_no_moment(until: float) -> None:
    """A revocation until 1970 would have no effect, so it is refused with the spelling that works."""
    with pytest.raises(
        ConfigurationError, match=r"until must be seconds since the epoch, got .*time\.time\(\) \+"
    ):
        MemoryRevocations().revoke(subject="ann", until=until)


@pytest.mark.parametrize("name", ["token_id", "key_id", "session", "subject"])
def test_a_number_names_nothing(name: str) -> None:
    """The claims of a token are text: a number that an application has as an id would match none."""
    named: dict[str, Any] = {name: 5}
    with pytest.raises(ConfigurationError, match=r"must be text, got 5 .int.: write str\(…\)"):
        MemoryRevocations().revoke(**named, until=NOW)
