"""The marks of revocations: the principals that they cover, and the merge of two with one key."""

import math
from typing import Any

import pytest

from authguard import ConfigurationError, MemoryRevocations, Principal
from authguard.stores.marks import MAX_NAME, Mark, Marks, make_mark, mark_name, merge

NOW = 1_800_000_000.0


def principal(**claims: Any) -> Principal:
    """Return a principal with a token of a session."""
    return Principal("ada", issuer="https://i", token_id="t1", claims={"iat": NOW - 10, "sid": "s1"} | claims)


@pytest.mark.parametrize("order", [1, -1])
def test_the_newest_moment_of_all_that_apply_counts(order: int) -> None:
    """A token must be newer than the mark of its issuer and the mark of all issuers."""
    moments = [NOW - 20, NOW - 5][::order]
    marks = Marks()
    for issuer, before in zip((None, "https://i"), moments, strict=True):
        marks.put(make_mark(subject="ada", issuer=issuer, issued_before=before, until=NOW + 60), NOW)
    assert marks.is_revoked(principal(iat=NOW - 6), NOW)
    assert not marks.is_revoked(principal(iat=NOW - 4), NOW)


def test_an_earlier_moment_does_not_take_back_a_later_one() -> None:
    """A merge keeps the later moment and the later end."""
    later = Mark("subject", "", "ada", NOW, NOW + 60)
    assert merge(later, Mark("subject", "", "ada", NOW - 5, NOW + 6)) == later


def test_all_tokens_of_before_a_moment_are_revoked() -> None:
    """A mark without a name revokes all tokens that were issued before its moment."""
    marks = Marks()
    marks.put(make_mark(issued_before=NOW - 5, until=NOW + 60), NOW)
    assert marks.is_revoked(principal(iat=NOW - 6), NOW)
    assert not marks.is_revoked(principal(iat=NOW - 4), NOW)


@pytest.mark.parametrize("iat", [None, "soon", True])
def test_a_token_that_does_not_say_when_it_was_issued_is_revoked(iat: object) -> None:
    """A token without a valid `iat` is revoked with its subject."""
    marks = Marks()
    marks.put(make_mark(subject="ada", issued_before=NOW, until=NOW + 60), NOW)
    assert marks.is_revoked(principal(iat=iat), NOW)


@pytest.mark.parametrize("name", ["x" * MAX_NAME + "y", "a\x00b", "a\nb", "\ud800"])
def test_a_name_that_stores_refuse_is_kept_as_its_digest(name: str) -> None:
    """A name that stores refuse is stored as its digest, and found by the name."""
    assert mark_name(name).startswith("sha256:")
    marks = Marks()
    marks.put(make_mark(token_id=name, until=NOW + 60), NOW)
    assert marks.is_revoked(Principal("ada", token_id=name), NOW)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"token_id": "a", "session": "b"},
        {"token_id": ""},
        {"token_id": "", "issued_before": NOW},
        {"token_id": "a", "issued_before": NOW},
        {"subject": "a", "issued_before": math.nan},
        {"subject": "a", "issued_before": True},
        {"subject": "a", "until": math.nan},
        {"subject": "a", "until": "soon"},
        {"subject": "a", "until": -math.inf},
    ],
    ids=str,
)
def test_arguments_that_contradict_each_other_are_refused(arguments: dict[str, Any]) -> None:
    """Arguments that contradict each other or are missing are refused."""
    with pytest.raises(ConfigurationError, match="must"):
        make_mark(**{"until": NOW + 60} | arguments)


@pytest.mark.parametrize("option", ["token_id", "key_id", "session", "subject", "issuer"])
@pytest.mark.parametrize("wrong", [5, b"a", ["a"]])
def test_a_name_of_a_wrong_type_is_told_by_its_option(option: str, wrong: Any) -> None:
    """A name that is no text is refused, and the error names the option."""
    with pytest.raises(ConfigurationError, match=rf"^{option} must be text, got .*: write str\("):
        make_mark(**{"subject": "ada", option: wrong}, until=math.inf)


@pytest.mark.parametrize("option", ["token_id", "key_id", "session", "subject", "issuer"])
@pytest.mark.parametrize("beside", [{}, {"subject": "ada"}, {"session": "s1"}, {"issued_before": NOW}])
def test_an_empty_name_is_refused(option: str, beside: dict[str, Any]) -> None:
    """An empty name, as of a missing claim, is refused also beside another name."""
    with pytest.raises(ConfigurationError, match=rf"^{option} must be text that is not empty, or None"):
        make_mark(**beside | {option: ""}, until=math.inf)


def test_an_empty_name_is_refused_by_a_store() -> None:
    """A store refuses an empty name, and revokes nothing."""
    revocations = MemoryRevocations()
    with pytest.raises(ConfigurationError, match="^token_id must be text that is not empty"):
        revocations.revoke(subject="ada", token_id="", until=NOW + 60)
    assert not revocations.is_revoked(principal())


@pytest.mark.parametrize("sid", [5, "5"], ids=["number", "text"])
def test_a_session_with_a_number_is_revoked_by_its_text(sid: object) -> None:
    """A whole number as `sid` is compared as text, as some issuers number their sessions."""
    marks = Marks()
    marks.put(make_mark(session="5", until=NOW + 60), NOW)
    assert marks.is_revoked(principal(sid=sid), NOW)
    assert not marks.is_revoked(principal(sid=6), NOW)


def test_a_revocation_lasts_for_the_leeway_of_each_verifier() -> None:
    """A token that is revoked until it expires is also refused in the leeway of a verifier."""
    now = NOW
    revocations = MemoryRevocations(clock=lambda: now)
    revocations.revoke(token_id="t1", until=NOW + 1)
    now = NOW + 300.9
    assert revocations.is_revoked(principal())
    now = NOW + 301
    assert not revocations.is_revoked(principal())
