"""The canonical form by which an e-mail address is looked up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authguard.identity.mail.addresses import (
    canonical_key,
    email_key,
    is_same_address,
    lookup_address,
    parse_email,
)

LABEL = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,8}[A-Za-z0-9])?", fullmatch=True)
LOCAL = st.from_regex(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,10}(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,10})?", fullmatch=True
)


@pytest.mark.slow
@given(LOCAL, st.lists(LABEL, min_size=1, max_size=3))
def test_ascii_needs_no_parsing(local, labels):
    """An address of ASCII letters is looked up by the key of its account, without being parsed."""
    address = f"{local}@{'.'.join(labels)}"
    if (parsed := parse_email(address)) is not None:
        assert email_key(lookup_address(address)) == canonical_key(address) == email_key(parsed)
        assert is_same_address(parsed, lookup_address(address))


@pytest.mark.parametrize(
    "text", ["ann@bücher.example", "ann@xn--bcher-kva.example", "Ann@XN--BCHER-KVA.example"]
)
def test_spellings_of_a_domain_are_one(text):
    """A domain in Unicode and in its ASCII form has the same key."""
    assert canonical_key(text) == "ann@bücher.example"


@pytest.mark.parametrize("text", ["", "nobody", "a@b@c", "ann@exa mple.com", "ann@example.com\nx"])
def test_what_is_no_address_has_a_key(text):
    """Text that is no e-mail address has a key too, by which limits count it."""
    assert parse_email(text) is None
    assert canonical_key(text) == email_key(text)


@pytest.mark.parametrize("text", ["ann\x00@example.com", "\ud800@example.com", "é"])
def test_nobody_is_looked_for_by_odd_text(text):
    """Text that a database may refuse is not looked up."""
    assert lookup_address(text) is None
