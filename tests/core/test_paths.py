"""Paths and their readings."""

import re
from string import ascii_lowercase
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authguard._core.policy.paths import fold, is_canonical, readings, split
from authguard._core.policy.policy import Policy
from support import lines, needs_vectors


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/a",
        "/a/",
        "/a/b.c",
        "/.well-known/x",
        "/a b",
        "/ä",
        "/日本",
        "/..a",
        "/a~b",
        "/a@b:c",
        "/a/*",
        "/x^y",
    ],
)
def test_ordinary_paths_are_canonical(path):
    """A path that all programs read in the same way is canonical."""
    assert is_canonical(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a",
        "*",
        "//",
        "//a",
        "/a//b",
        "/a//",
        "/.",
        "/..",
        "/a/./b",
        "/a/../b",
        "/a.",
        "/a...",
        "/a ",
        "/a /b",
        "/a./b",
        "/a;b",
        "/a%2fb",
        "/a%",
        "/a?b",
        "/a#b",
        "/a\\b",
        "/a\x00",
        "/a\n",
        "/a\t",
        "/a\x7f",
        "/a\x85",
        "/a\u200b",
        "/a\u2028",
        "/a\u2029",
        "/a\u202e",
        "/a\ufeff",
        "/a\ufffd",
        "/a\xa0",
        "/\uff41",
        "/\ufb01",
        "/a\u0308",
        "/\ud800",
        "/\ue000",
        "/ä//b",
        "/ä.",
        "http://app/a",
    ],
    ids=ascii,
)
def test_odd_paths_are_not_canonical(path):
    """A path that a program may read in another way is not canonical."""
    assert not is_canonical(path)


@pytest.mark.parametrize(
    ("path", "segments"),
    [("/", ()), ("", ()), ("/a", ("a",)), ("/a/", ("a",)), ("/A/b.c", ("A", "b.c"))],
    ids=["root", "empty", "one", "slash", "two"],
)
def test_split_gives_the_segments(path, segments):
    """The segments are unchanged, without slashes at the ends."""
    assert split(path) == segments


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        ("/A/B", ("a", "b")),
        ("//a//b//", ("a", "b")),
        ("/a./b ", ("a", "b")),
        ("/a\x00/b\u200b", ("a", "b")),
        ("/STRASSE/ß", ("strasse", "ss")),
        ("/\uff21", ("a",)),
        ("/a\xa0", ("a",)),
        ("/.", ()),
        ("/a%", ("a%",)),
        ("/ä%", ("ä",)),
    ],
    ids=[
        "case",
        "slashes",
        "dots",
        "invisible",
        "casefold",
        "full-width",
        "nbsp",
        "dot",
        "percent",
        "percent-ä",
    ],
)
def test_fold_forgives(path, segments):
    """`fold` returns the segments of the most tolerant router."""
    assert fold(path) == segments


def test_fold_forgives_the_case_that_regular_expressions_ignore():
    """Each character that `re.I`, or capital letters, take for ASCII letters is folded to these letters."""
    beyond = "".join(map(chr, (*range(0x80, 0xD800), *range(0xE000, 0x20000))))
    letters = {c: c.upper().lower() for c in beyond if c.upper().isascii()}
    letters |= {c: letter for letter in ascii_lowercase for c in re.findall(letter, beyond, re.IGNORECASE)}
    assert {"\u0130": "i", "\u0131": "i", "\u017f": "s", "\u212a": "k"}.items() <= letters.items()
    assert {c: fold(f"/{c}") for c in letters} == {c: (letter,) for c, letter in letters.items()}


@pytest.mark.parametrize("path", ["/adm\u0131n", "/ADM\u0130N", "/admi\u0307n/x"])
def test_a_letter_i_of_turkish_opens_no_protected_path(path):
    """A path with a dotless i, or a capital one with a dot, has the rule of the path with an ASCII i."""
    assert Policy(["/admin"], None).find("GET", path).protected


@pytest.mark.parametrize(
    "path",
    [
        "/admin",
        "//admin",
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public/%252e%252e/admin",
        "/public/..%2fadmin",
        "/public/..;/admin",
        "/public\\..\\admin",
        "/;x/admin",
        "/admin;a=b",
        "/ADMIN",
        "/%61dmin",
        "/%u0061dmin",
        "/admin?x",
        "/admin#x",
        "/x/../admin?y",
        "/admin\x00",
        "/adm\u200bin",
        "/\uff0fadmin",
        "/\uff41dmin",
        "/public/\uff0e\uff0e/admin",
        "http://app/admin",
        "admin",
        "./admin",
        "../admin",
        "/admin.",
        "/admin ",
        "/ÄDMIN/../admin",
    ],
    ids=ascii,
)
def test_readings_find_what_a_path_may_mean(path):
    """One of the readings is the path that a router may read."""
    assert ("admin",) in readings(path)


def test_a_canonical_path_reads_as_itself():
    """A canonical path has itself as its only reading."""
    assert readings("/a/b") == {("a", "b")}


segment = st.text(st.characters(), max_size=6) | st.sampled_from(
    [
        "..",
        ".",
        "",
        "%2e%2e",
        "%2f",
        "..;",
        "a\\..",
        "%252e",
        "\uff0e\uff0e",
        "public",
        "admin",
        "%",
        "//",
        "..%2f",
    ]
)
wild_path = st.lists(segment, max_size=6).map(lambda parts: "/" + "/".join(parts)) | st.text(max_size=20)


@given(wild_path)
def test_the_fast_answer_agrees_with_the_definition(path):
    """A canonical path begins with a slash, and has nothing that a program might decode or remove."""
    if is_canonical(path):
        assert path.startswith("/")
        assert not set(path) & set("\\;%?#\x00\n\r\t")
        assert "//" not in path
        assert not {".", ".."} & set(path.split("/"))
        assert unquote(path) == path


@given(wild_path)
def test_readings_never_fail(path):
    """Each path has at least one reading."""
    assert readings(path[:1024])


@given(wild_path)
def test_the_plain_folding_is_one_of_the_readings(path):
    """The folded path is one of the readings of a canonical path."""
    assert fold(path) in readings(path) or not is_canonical(path)


PUBLIC = Policy(None, ["/public/**", "/healthz", "/static/**"])


@given(
    wild_path | wild_path.map(lambda path: "/public" + path) | wild_path.map(lambda path: "/static" + path)
)
def test_a_path_judged_public_is_canonical(path):
    """A public path is canonical, has one reading, and is listed."""
    if not PUBLIC.find("GET", path).protected:
        assert is_canonical(path)
        assert path.rstrip("/") == "/healthz" or split(path)[0] in ("public", "static")
        assert readings(path) == {fold(path)}


PROTECTED = Policy(["/admin", "/api/v1/secrets"], None)


@st.composite
def mangled(draw):
    """Draw a protected path in a spelling that a router or proxy might decode."""
    path = draw(st.sampled_from(["/admin", "/admin/users/7", "/api/v1/secrets", "/api/v1/secrets/x.y"]))
    slashes = st.sampled_from(["/", "//", "/./", "///", "/x/../", "/;a=b/", "/.//"])
    out = ""
    for char in path:
        if char == "/":
            out += draw(slashes)
        else:
            out += draw(st.sampled_from([char, char, char.upper(), f"%{ord(char):02x}", f"%{ord(char):02X}"]))
    out += draw(
        st.sampled_from(["", "", "/", "/.", ".", "..", ";", ";x=y", "%20", "%00", "?", "#x", "//", "\t"])
    )
    if draw(st.booleans()):
        out = quote(out, safe="/%;?#=")
    if draw(st.booleans()):
        out = out.replace("/", "\\")
    return out if draw(st.booleans()) else unquote(out)


@given(mangled())
def test_a_mangled_protected_path_stays_protected(path):
    """A mangled spelling of a protected path is protected, even if only that path is protected."""
    assert PROTECTED.find("GET", path).protected


TARGETS = lines("path_bypass.txt")


@needs_vectors
@pytest.mark.parametrize(
    "target", TARGETS, ids=[f"{number}-{ascii(line)}" for number, line in enumerate(TARGETS)]
)
def test_no_known_bypass_is_judged_public(target):
    """A target is public only if it is canonical and literally below a public path."""
    path = unquote(target.partition("?")[0])
    if not PUBLIC.find("GET", path).protected:
        assert is_canonical(path)
        assert path == "/healthz" or path.startswith(("/public/", "/static/"))
        assert all(way[:1] != ("admin",) for way in readings(path))


@needs_vectors
@pytest.mark.parametrize(
    "target", TARGETS, ids=[f"{number}-{ascii(line)}" for number, line in enumerate(TARGETS)]
)
def test_no_known_bypass_escapes_a_narrow_guard(target):
    """If only /admin is protected, each target with the reading /admin is protected."""
    path = unquote(target.partition("?")[0])
    if any(way[:1] == ("admin",) for way in readings(path)):
        assert Policy(["/admin"], None).find("GET", path).protected


@needs_vectors
def test_there_are_targets():
    """The list has more than a hundred targets."""
    assert len(TARGETS) > 100
