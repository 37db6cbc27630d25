"""base64url without padding (RFC 4648 section 5), with one encoding for each sequence of bytes."""

import base64
import itertools
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authguard._core.jose.compact import base64url, read_compact
from authguard.errors import MalformedTokenError
from support import b64

ALPHABET = (string.ascii_letters + string.digits + "-_").encode()


def by_the_standard_library(text):
    """Return the bytes of a text; None unless the text is their canonical encoding."""
    if set(text) - set(ALPHABET) or len(text) % 4 == 1:
        return None
    data = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    return data if base64.urlsafe_b64encode(data).rstrip(b"=") == text else None


def decoded(text):
    try:
        return base64url(text)
    except MalformedTokenError:
        return None


def test_every_text_of_up_to_two_bytes():
    """All texts of up to two bytes, and some of three, are decoded as by the standard library."""
    short = [bytes(text) for size in range(3) for text in itertools.product(range(256), repeat=size)]
    near = [bytes(text) for text in itertools.product(b"AQgwBZ-_+/=!. \n\0\xff", repeat=3)]
    assert [text for text in short + near if decoded(text) != by_the_standard_library(text)] == []


@given(st.binary(max_size=60).map(lambda data: base64.urlsafe_b64encode(data).rstrip(b"=")), st.data())
def test_texts_with_one_byte_changed(text, data):
    """A valid text with one byte replaced is decoded or refused as by the standard library."""
    assert decoded(text) == by_the_standard_library(text)
    place = data.draw(st.integers(0, len(text)))
    changed = text[:place] + bytes([data.draw(st.integers(0, 255))]) + text[place + 1 :]
    assert decoded(changed) == by_the_standard_library(changed)


@pytest.mark.parametrize("other", [b"++++", b"////", b"====", b"    ", b"\n\n\n\n", b"....", b"\0\0\0\0"])
@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_group_of_other_characters(other, place):
    """A text with a group of other characters is refused, and they are not skipped."""
    assert decoded(b"QUJD"[:place] + other + b"QUJD"[place:]) is None


def test_a_token_with_padding_is_read_where_that_is_allowed_alone():
    """A signature with padding is read only with `padding=True`, so that a token has one spelling."""
    head, payload, signature = b64(b'{"alg":"HS256"}'), b64(b"{ }"), b64(bytes(32))
    text = f"{head}.{payload}.{signature}="
    assert read_compact(text, padding=True).signature == bytes(32)
    with pytest.raises(MalformedTokenError):
        read_compact(text)
