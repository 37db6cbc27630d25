"""The comparison of two URIs."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authguard._core.proofs.uris import is_safe_origin, parse_uri

BASE = "https://api.example/a/b"
SAME = [
    "HTTPS://api.example/a/b",
    "https://API.Example/a/b",
    "https://api.example:443/a/b",
    "https://api.example:/a/b",
    "https://api.example/%61/b",
    "https://api.example/a/./b",
    "https://api.example/a/c/../b",
    "https://api.example/a/c/%2E%2e/b",
    "https://api.example/../a/b",
    "https://api.example/a/b?query=1",
    "https://api.example/a/b#fragment",
]
OTHER = [
    "http://api.example/a/b",
    "https://api.example:8443/a/b",
    "https://api.example.evil/a/b",
    "https://evil.example/a/b",
    "https://api.example./a/b",
    "https://api.example/a/b/",
    "https://api.example/a//b",
    "https://api.example/A/b",
    "https://api.example/a/b;x",
    "https://api.example/a/b%3Fquery=1",
    "https://api.example/a/b/c/..",
    "https://api.example/",
    "https://api.example",
    "https://api.example/a/%2562",
]
NONE = [
    "",
    "/a/b",
    "//api.example/a/b",
    "ftp://api.example/a/b",
    "https:///a/b",
    "https://user@api.example/a/b",
    "https://api.example@evil.example/a/b",
    "https://api.example:abc/a/b",
    "https://api.example:999999/a/b",
    "https://api.example\\@evil.example/a/b",
    "https://api.example/a/%",
    "https://api.example/a/%2",
    "https://api.example/a/%zz",
    "https://api.example/a b",
    "https://api.example/a/b\n",
    "\thttps://api.example/a/b",
    "https://api.example/caf\xe9",
    "https://api.example/%ff",
    "https://ap%69.example/a/b",
    "https://[::1/a/b",
]


@pytest.mark.parametrize("text", SAME)
def test_spellings_of_one_uri_are_the_same(text):
    """Spellings that differ by case of scheme and host, default port, encoding or query are equal."""
    assert parse_uri(text) == parse_uri(BASE)


@pytest.mark.parametrize("text", OTHER)
def test_other_uris_are_not_the_same(text):
    """A URI of another resource is not equal."""
    assert parse_uri(text) != parse_uri(BASE)


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_uri_is_refused(text):
    """Text that is relative, has a user, or is not ASCII is refused."""
    with pytest.raises(ValueError):
        parse_uri(text)


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("", "/"),
        ("/", "/"),
        ("/..", "/"),
        ("/../..", "/"),
        ("/.", "/"),
        ("/a/b/c/./../../g", "/a/g"),
        ("/a/b/..", "/a/"),
        ("/a/b/.", "/a/b/"),
        ("/a//..", "/a/"),
        ("/a/...", "/a/..."),
        ("/a%2fb", "/a/b"),
        ("/%7Euser", "/~user"),
        ("/%C3%BC", "/\xfc"),
    ],
)
def test_paths_are_normal(path, normal):
    """Paths are normalised as in RFC 3986 sections 5.2.4 and 6.2.2, and decoded."""
    assert parse_uri("https://h" + path).path == normal


segments = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1), max_size=5)


@given(segments)
def test_any_encoding_of_a_path_is_the_path(parts):
    """A path with any of its characters encoded is the same path."""
    path = "/" + "/".join(part for part in parts if part not in (".", ".."))
    assert parse_uri("https://h" + quote(path)).path == path
    everything = "".join(f"%{byte:02x}" if byte != ord("/") else "/" for byte in path.encode())
    assert parse_uri("https://h" + everything).path == path


@given(segments, st.sampled_from(["https://H:443", "HTTPS://h", "https://h:"]))
def test_reading_it_again_changes_nothing(parts, origin):
    """A normalised URI is parsed as itself."""
    once = parse_uri(origin + quote("/" + "/".join(parts)))
    assert parse_uri(once.origin + quote(once.path)) == once


@given(st.text())
def test_no_text_makes_another_error(text):
    """Any text is parsed as a URI or refused with ValueError."""
    for candidate in (text, "https://h/" + text, "https://" + text):
        try:
            assert parse_uri(candidate).path.startswith("/")
        except ValueError:
            continue


@pytest.mark.parametrize(
    ("origin", "safe"),
    [
        ("https://api.example", True),
        ("http://localhost:8000", True),
        ("http://127.0.0.1", True),
        ("http://[::1]:80", True),
        ("http://[0:0:0:0:0:0:0:1]", True),
        ("http://[2001:db8::1]", False),
        ("http://api.example", False),
        ("http://localhost.evil.example", False),
        ("http://127.0.0.1.evil.example", False),
    ],
)
def test_plain_http_is_for_this_machine(origin, safe):
    """An origin of plain http is safe on loopback alone."""
    assert is_safe_origin(origin) is safe
