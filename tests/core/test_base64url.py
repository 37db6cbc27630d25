"""One spelling for each sequence of bytes: RFC 4648 section 5, without padding."""

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
    """What the text stands for; None unless it is how these bytes are written."""
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
    """And those of three, of characters that are near to being right."""
    short = [bytes(text) for size in range(3) for text in itertools.product(range(256), repeat=size)]
    near = [bytes(text) for text in itertools.product(b"AQgwBZ-_+/=!. \n\0\xff", repeat=3)]
    assert [text for text in short + near if decoded(text) != by_the_standard_library(text)] == []


@given(st.binary(max_size=60).map(lambda data: base64.urlsafe_b64encode(data).rstrip(b"=")), st.data())
def test_texts_with_one_byte_changed(text, data):
    """Whatever the place is, and whatever the byte."""
    assert decoded(text) == by_the_standard_library(text)
    place = data.draw(st.integers(0, len(text)))
    changed = text[:place] + bytes([data.draw(st.integers(0, 255))]) + text[place + 1 :]
    assert decoded(changed) == by_the_standard_library(changed)


@pytest.mark.parametrize("other", [b"++++", b"////", b"====", b"    ", b"\n\n\n\n", b"....", b"\0\0\0\0"])
@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_group_of_other_characters(other, place):
    """Readers that skip them would not miss them, since what is left has the right length."""
    assert decoded(b"QUJD"[:place] + other + b"QUJD"[place:]) is None


def test_a_token_with_padding_is_read_where_that_is_allowed_alone():
    """Else each token would have a second spelling."""
    head, payload, signature = b64(b'{"alg":"HS256"}'), b64(b"{ }"), b64(bytes(32))
    text = f"{head}.{payload}.{signature}="
    assert read_compact(text, padding=True).signature == bytes(32)
    with pytest.raises(MalformedTokenError):
        read_compact(text)
