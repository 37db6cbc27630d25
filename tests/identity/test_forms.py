"""Forms are read as by the standard library, in a fraction of its time."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authguard.identity.web.messages import MAX_FIELDS, _pairs_of

PARTS = [
    "a",
    "&",
    "=",
    "%",
    "41",
    "%41",
    "%C3%A9",
    "é",
    "+",
    "%2B",
    ";",
    " ",
    "%g1",
    "%ff",
    "\0",
    "%00",
    "\n",
]


@pytest.mark.slow
@given(st.lists(st.sampled_from(PARTS), max_size=20).map("".join))
def test_fields_are_those_of_the_standard_library(text: str) -> None:
    """The fields of a form are those of `parse_qsl`, which refuses the same forms."""
    try:
        expected = parse_qsl(text, keep_blank_values=False, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        with pytest.raises(ValueError):
            _pairs_of(text.encode())
    else:
        assert _pairs_of(text.encode()) == expected


@pytest.mark.parametrize("number", [MAX_FIELDS, MAX_FIELDS + 1])
def test_the_number_of_fields_is_limited(number: int) -> None:
    """A form with more fields than the limit is refused."""
    body = b"&".join([b"a=b"] * number)
    if number <= MAX_FIELDS:
        assert len(_pairs_of(body)) == number
    else:
        with pytest.raises(ValueError):
            _pairs_of(body)
