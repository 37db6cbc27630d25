"""The strict reader of JSON."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authguard._core.strict_json import (
    JSONError,
    decode_utf8,
    parse_array_bytes,
    parse_object,
    parse_object_bytes,
)


def test_an_object_is_read():
    """A plain object is read as a dict."""
    assert parse_object('{"a": [1, 2.5, "x", null, true], "b": {"c": {}}}') == {
        "a": [1, 2.5, "x", None, True],
        "b": {"c": {}},
    }


def test_escaped_text_is_read():
    """Escapes of whole characters, surrogate pairs included, are read."""
    assert parse_object('{"a": "\\u00e4\\ud83d\\ude00"}') == {"a": "ä😀"}


BAD = {
    "duplicate": '{"a": 1, "a": 1}',
    "duplicate-escaped": '{"a": 1, "\\u0061": 1}',
    "duplicate-nested": '{"b": {"a": 1, "a": 2}}',
    "duplicate-in-list": '{"b": [{"a": 1, "a": 2}]}',
    "NaN": '{"a": NaN}',
    "Infinity": '{"a": Infinity}',
    "minus-Infinity": '{"a": -Infinity}',
    "bom": '\ufeff{"a": 1}',
    "lone-high-surrogate": '{"a": "\\ud800"}',
    "lone-low-surrogate": '{"a": "\\udc00"}',
    "lone-surrogate-in-name": '{"\\ud800": 1}',
    "lone-surrogate-raw": '{"a": "\\u0041\ud800"}',
    "deep-lists": '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "deep-objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "5000-digits": '{"a": ' + "9" * 5000 + "}",
    "list": "[1]",
    "text": '"a"',
    "number": "1",
    "null": "null",
    "empty": "",
    "trailing": '{"a": 1} x',
    "two": '{"a": 1}{"a": 1}',
    "comment": '{"a": 1} // x',
    "trailing-comma": '{"a": 1,}',
    "single-quotes": "{'a': 1}",
    "control-character": '{"a": "\n"}',
    "leading-zero": '{"a": 01}',
    "hex": '{"a": 0x1}',
    "unquoted": "{a: 1}",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_what_is_not_strict_is_refused(text):
    """Text that is not strict JSON is refused with JSONError."""
    with pytest.raises(JSONError):
        parse_object(text)


@pytest.mark.parametrize(
    "data",
    [
        '{"a": 1}'.encode("utf-16"),
        '{"a": 1}'.encode("utf-16-le"),
        '{"a": 1}'.encode("utf-32"),
        b'{"a": "\xff"}',
    ]
    + [b'\xef\xbb\xbf{"a": 1}', b'{"a": "\xed\xa0\x80"}', b'{"a": "\xc0\xae"}'],
    ids=["utf-16", "utf-16-le", "utf-32", "latin-1", "bom", "utf-8-surrogate", "overlong"],
)
def test_bytes_are_utf8_without_a_mark(data):
    """Only UTF-8 without a byte order mark is read."""
    with pytest.raises(JSONError):
        parse_object_bytes(data)


def test_bytes_of_an_object_are_read():
    """The UTF-8 bytes of an object are read as a dict."""
    assert parse_object_bytes('{"a": "ä"}'.encode()) == {"a": "ä"}


def test_decode_utf8_gives_text():
    """`decode_utf8` returns the text."""
    assert decode_utf8("ä😀".encode()) == "ä😀"


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data):
    """Any bytes are read as a dict or refused with JSONError."""
    with contextlib.suppress(JSONError):
        assert isinstance(parse_object_bytes(data), dict)


@given(st.text('{}[]":,\\u0dD8a1eE+-.NInf ', max_size=60))
def test_no_text_raises_anything_else(text):
    """Any text is read as a dict or refused with JSONError."""
    with contextlib.suppress(JSONError):
        assert isinstance(parse_object(text), dict)


def test_an_array_is_read():
    """An array of JSON values is read as a list."""
    assert parse_array_bytes(b' [1, "\\ud83d\\ude00", {"a": null}, []] ') == [1, "😀", {"a": None}, []]
    assert parse_array_bytes(bytearray(b"[]")) == []


@pytest.mark.parametrize("name", sorted(BAD.keys() - {"list", "text", "number", "null", "empty"}))
def test_an_array_is_as_strict(name):
    """An invalid object within an array is refused."""
    with pytest.raises(JSONError):
        parse_array_bytes(f"[{BAD[name]}]".encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("data", [b"", b"{}", b"1", b'"[]"', b"[1] []", b"[1", b"[\xff]", b"\xef\xbb\xbf[]"])
def test_what_is_no_array(data):
    """Bytes that are no single array are refused."""
    with pytest.raises(JSONError):
        parse_array_bytes(data)
