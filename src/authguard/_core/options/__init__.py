"""Check options when an object is built, with one form of error: `X must …, got …: write …`."""

from authguard._core.options.answers import unusable_answer, yes_or_no
from authguard._core.options.clocks import check_clock
from authguard._core.options.numbers import (
    LATEST_MOMENT,
    MAX_LEEWAY,
    NUMERIC_TYPES,
    Duration,
    Moment,
    check_moment,
    check_seconds,
    check_whole,
    check_whole_seconds,
    is_numeric_date,
)
from authguard._core.options.objects import (
    check_arguments,
    check_function,
    check_method,
    check_object,
    check_plain_function,
    check_plain_methods,
    is_async_function,
)
from authguard._core.options.text import (
    COMMENT,
    check_choice,
    check_flag,
    check_identifier,
    check_identifiers,
    check_list,
    check_mapping,
    check_text,
    check_text_list,
    check_text_or_list,
    is_quoted,
)
from authguard._core.options.unknown import named_options, unknown_option
from authguard._core.options.urls import check_named_url, check_no_metadata_url, check_url, is_plain_http
from authguard._core.options.values import got, type_of

__all__ = [
    "COMMENT",
    "LATEST_MOMENT",
    "MAX_LEEWAY",
    "NUMERIC_TYPES",
    "Duration",
    "Moment",
    "check_arguments",
    "check_choice",
    "check_clock",
    "check_flag",
    "check_function",
    "check_identifier",
    "check_identifiers",
    "check_list",
    "check_mapping",
    "check_method",
    "check_moment",
    "check_named_url",
    "check_no_metadata_url",
    "check_object",
    "check_plain_function",
    "check_plain_methods",
    "check_seconds",
    "check_text",
    "check_text_list",
    "check_text_or_list",
    "check_url",
    "check_whole",
    "check_whole_seconds",
    "got",
    "is_async_function",
    "is_numeric_date",
    "is_plain_http",
    "is_quoted",
    "named_options",
    "type_of",
    "unknown_option",
    "unusable_answer",
    "yes_or_no",
]
