"""Redirects to paths of the same site."""

import json
import os
import shutil
import subprocess
from urllib.parse import parse_qs, unquote_plus, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authguard import safe_next
from authguard._core.answer import redirect
from authguard._core.answer.redirect import is_htmx, local_prefix, login_location, navigates
from support import VECTORS, FakeRequest, needs_vectors

APP = "https://app.example"


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/", "/"),
        ("/a/b?c=d&e=f", "/a/b?c=d&e=f"),
        ("/a#top", "/a"),
        ("/a?", "/a"),
        ("/ä b", "/%C3%A4%20b"),
        ("/%C3%A4", "/%C3%A4"),
        ("/a?q=ä b", "/a?q=%C3%A4%20b"),
        ("/a?u=https://x.example/", "/a?u=https://x.example/"),
        ("/a?q=%2F", "/a?q=%2F"),
        ('/a?q="<>', "/a?q=%22%3C%3E"),
    ],
)
def test_a_local_path_is_kept(target, location):
    """A local path is returned with its query, percent-encoded."""
    assert safe_next(target) == location


@pytest.mark.parametrize(
    "target",
    [
        None,
        "",
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "evil",
        "/%2fevil.example",
        "/%5cevil.example",
        "/a/../b",
        "/%2e%2e/b",
        "/a//b",
        "/a\r\nb: c",
        "/a%0d%0ab",
        "/\t/evil.example",
        "/%252fevil.example",
        "?a",
        "#a",
        "/" + "a" * 2048,
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_anything_else_becomes_the_default(target):
    """A target that is not plainly a path on this site becomes the default."""
    assert safe_next(target, "/home") == "/home"


@pytest.mark.parametrize(
    "target",
    [
        "/login",
        "/LOGIN/",
        "/a/log-in",
        "/sign_in",
        "/signout",
        "/logout?x=y",
        "/auth/callback?code=x",
        "/%6cogin",
    ],
)
def test_sign_in_pages_are_avoided(target):
    """A page to sign in or out becomes the default, because a redirect to it would loop."""
    assert safe_next(target) == "/"


def test_own_login_pages_are_avoided():
    """A login page with another name becomes the default."""
    assert safe_next("/enter", login_paths=["/enter"]) == "/"


def vectors():
    """Return each value of the file, with its section."""
    path = VECTORS / "redirect_bypass.txt"
    section, results = "", []
    for line in path.read_text(encoding="utf-8").split("\n") if path.is_file() else ():
        if line.startswith("#"):
            section = line
        elif line:
            results.append((section, "" if line == "%empty%" else unquote_plus(line)))
    return results


VALUES = vectors()
ORACLE = """
const locations = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(locations.map(l => new URL(l, "https://app.example/start/page").origin)));
"""


def origins(locations):
    """Return the origins of all locations by a WHATWG URL parser."""
    node = shutil.which("node")
    if node is None and not os.environ.get("CI"):
        pytest.skip("node is not installed, whose URL parser is the oracle")
    done = subprocess.run(
        [node or "node", "-e", ORACLE],
        input=json.dumps(locations),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@needs_vectors
def test_no_known_bypass_leaves_the_site():
    """A WHATWG URL parser resolves each result to this site."""
    result = origins([safe_next(value) for _, value in VALUES])
    assert [(value, origin) for (_, value), origin in zip(VALUES, result, strict=True) if origin != APP] == []


@needs_vectors
def test_no_known_bypass_leaves_the_site_by_the_login_page():
    """`next` of a login redirect leads to this site, as the login page reads it."""
    wanted = []
    for _, value in VALUES:
        request = FakeRequest(value.partition("?")[0], query=value.partition("?")[2])
        query = parse_qs(urlsplit(login_location(request, "/login", ["/login"])).query)
        wanted.append(safe_next(query.get("next", [""])[0]))
    assert set(origins(wanted)) == {APP}


@needs_vectors
def test_no_known_bypass_leaves_the_site_by_the_mount_point():
    """A known bypass as a mount point, or a part of one, leads to this site or to no location."""
    roots = [root for _, value in VALUES for root in (value, "/app" + value, value + "/app", value + "/")]
    located = [login_location(FakeRequest("/a", root_path=root), "/login", ["/login"]) for root in roots]
    emitted = [location for location in located if location is not None]
    assert len(emitted) < len(located)
    assert set(origins(emitted)) == {APP}


@needs_vectors
@pytest.mark.parametrize("value", [value for section, value in VALUES if "login-loop" in section])
def test_no_known_value_loops(value):
    """A known value of a page to sign in or out becomes the default."""
    assert safe_next(value) == "/"


@needs_vectors
def test_there_are_values():
    """The list has more than 150 values."""
    assert len(VALUES) > 150


hostile = st.lists(
    st.sampled_from(
        ["/", "\\", "//", "%2f", "%5c", "..", ".", ";", "@", ":", "?", "#", "%", "\t", "\n", "%09", "a"]
    )
    | st.sampled_from(
        ["https:", "javascript:", "evil.example", "%252f", "\uff0f", "\u3002", "\x00", "ä", "\ud800"]
    )
    | st.text(max_size=3),
    max_size=8,
).map("".join)


@given(hostile | hostile.map(lambda text: "/" + text) | st.text())
def test_what_comes_out_is_a_local_path(target):
    """The result begins with one slash, and has no backslash and no control character."""
    location = safe_next(target)
    assert location.startswith("/")
    assert not location.startswith("//")
    assert location.isascii()
    assert location.isprintable()
    assert "\\" not in location
    assert " " not in location


@given(hostile | hostile.map(lambda text: "/" + text) | st.text())
def test_what_comes_out_is_stable(target):
    """A second call changes nothing, unless quoting made the target too long."""
    once = safe_next(target)
    assert safe_next(once) == once or len(once) > 2048


def test_login_location_has_path_and_query():
    """`next` has the path and the query of the request."""
    request = FakeRequest("/a", query="b=c&d=e")
    assert login_location(request, "/login", ["/login"]) == "/login?next=%2Fa%3Fb%3Dc%26d%3De"


def test_login_location_is_below_the_mount_point():
    """The login page and `next` have the mount point."""
    request = FakeRequest("/a", root_path="/app")
    assert login_location(request, "/login", ["/login"]) == "/app/login?next=%2Fapp%2Fa"


@pytest.mark.parametrize("path", ["/login", "//evil.example", "/a/../b", "/a\r\nb"], ids=ascii)
def test_login_location_leaves_out_what_is_unsafe(path):
    """An unsafe path is not in `next`."""
    assert login_location(FakeRequest(path), "/login", ["/login"]) == "/login"


def test_login_location_leaves_out_its_own_page_below_the_mount_point():
    """The login page is not its own `next` below a mount point."""
    request = FakeRequest("/enter", root_path="/app")
    assert login_location(request, "/enter", ["/enter"]) == "/app/enter"


@pytest.mark.parametrize(
    "root_path",
    [
        "//evil.example",
        "///evil.example",
        "//evil.example/app",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        " //evil.example",
        "https://evil.example",
        "https:/evil.example",
        "javascript:alert(1)",
        "//evil.example\\@app.example",
        "/%2fevil.example",
        "/..//evil.example",
        "/app/..",
        "/./app",
        "/app\r\nset-cookie: a=b",
        "/app\x00",
        "/app?x",
        "/app#x",
        "/app;x",
        "/\uff0fevil.example",
        "/\ud800",
        "app",
        "/" + "a" * 3000,
    ],
    ids=ascii,
)
def test_there_is_no_login_page_below_what_is_no_path_on_this_site(root_path):
    """A mount point that is no path on this site has no login page, because a caller may have set it."""
    assert login_location(FakeRequest("/a", root_path=root_path), "/login", ["/login"]) is None
    assert local_prefix(root_path) is None


@pytest.mark.parametrize(
    ("root_path", "location"),
    [
        ("/", "/login?next=%2Fa"),
        ("//", "/login?next=%2Fa"),
        ("/app/", "/app/login?next=%2Fapp%2Fa"),
        ("/my app", "/my%20app/login?next=%2Fmy%2520app%2Fa"),
        ("/ä", "/%C3%A4/login?next=%2F%25C3%25A4%2Fa"),
        ("/a@b:c", "/a@b:c/login?next=%2Fa%40b%3Ac%2Fa"),
    ],
)
def test_login_location_is_below_any_plain_mount_point(root_path, location):
    """A plain mount point is before the login page and in `next`, and slashes at its end are ignored."""
    assert login_location(FakeRequest("/a", root_path=root_path), "/login", ["/login"]) == location


@given(hostile | hostile.map(lambda text: "/" + text) | st.text())
def test_a_mount_point_in_a_location_is_a_local_path(root_path):
    """A mount point in a location begins with one slash, and has no backslash or control character."""
    prefix = local_prefix(root_path)
    if prefix:
        assert prefix.startswith("/")
        assert not f"{prefix}/login".startswith("//")
        assert prefix.isascii()
        assert prefix.isprintable()
        assert "\\" not in prefix
        assert ":" not in prefix.split("/")[0]


@pytest.mark.parametrize(
    "path", ["/" + "é" * 262_144, "/" + "a" * 2048, "/" + "\ud800" * 4096], ids=["é", "a", "odd"]
)
def test_a_path_that_is_too_long_to_go_to_is_not_quoted(monkeypatch, path):
    """A path that is too long for `next` is left out, and not quoted."""
    quoted = []
    monkeypatch.setattr(redirect, "quote", lambda text, **_: quoted.append(text) or text)
    assert login_location(FakeRequest(path), "/login", ["/login"]) == "/login"
    assert max(map(len, quoted)) <= 2048


def htmx(*current):
    return FakeRequest(
        "/fragment", headers=[("hx-request", "true"), *(("hx-current-url", value) for value in current)]
    )


@pytest.mark.parametrize(
    ("current", "location"),
    [
        (["https://app.example/page?a=b"], "/login?next=%2Fpage%3Fa%3Db"),
        (["/page"], "/login?next=%2Fpage"),
        (["https://app.example"], "/login"),
        (["https://app.example//evil.example"], "/login"),
        (["javascript:alert(1)"], "/login"),
        (["https://a.example/x", "https://a.example/y"], "/login"),
        ([], "/login"),
    ],
    ids=["url", "path", "host", "slashes", "javascript", "twice", "none"],
)
def test_htmx_is_sent_back_to_its_page(current, location):
    """`next` of an htmx request is the page that has requested the fragment."""
    assert login_location(htmx(*current), "/login", ["/login"]) == location


@pytest.mark.parametrize(
    ("headers", "known"),
    [([("hx-request", "true")], True), ([("hx-request", "false")], False), ([], False)]
    + [([("hx-request", "true"), ("hx-request", "true")], False)],
    ids=["true", "false", "none", "twice"],
)
def test_htmx_is_known_by_its_field(headers, known):
    """A request of htmx has exactly one field with the value true."""
    assert is_htmx(FakeRequest(headers=headers)) is known


@pytest.mark.parametrize(
    ("method", "headers", "yes"),
    [
        ("GET", {"sec-fetch-mode": "navigate"}, True),
        ("HEAD", {"sec-fetch-mode": "navigate"}, True),
        ("POST", {"sec-fetch-mode": "navigate"}, False),
        ("GET", {"sec-fetch-mode": "cors", "accept": "text/html"}, False),
        ("GET", {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}, True),
        ("GET", {"accept": "application/json, TEXT/HTML;q=0.5"}, False),
        ("GET", {"accept": "application/json;q=0.4, TEXT/HTML;q=0.5"}, True),
        ("GET", {"accept": "application/problem+json, text/html"}, False),
        ("GET", {"accept": "text/html;q=0.5, */*"}, False),
        ("GET", {"accept": "text/html, */*"}, True),
        ("GET", {"accept": "text/html;q=1.5"}, False),
        ("GET", {"accept": "text/html;q=x, application/xhtml+xml;q=0.001"}, True),
        ("GET", [("accept", "application/json;q=0.9"), ("accept", "text/html")], True),
        ("GET", {"accept": "application/xhtml+xml"}, True),
        ("GET", {"accept": "text/html;q=0"}, False),
        ("GET", {"accept": "text/html; charset=utf-8; q=0.000"}, False),
        ("GET", {"accept": "*/*"}, False),
        ("GET", {"accept": "application/json"}, False),
        ("GET", {"accept": "text/html," + "a/b," * 500}, True),
        ("GET", {"accept": "text/html" + ",;" * 1024}, False),
        ("GET", [("accept", "text/html"), ("accept", ";" * 1024), ("accept", "," * 1024)], False),
        ("GET", {}, False),
        ("WEBSOCKET", {"accept": "text/html"}, False),
    ],
)
def test_browsers_that_ask_for_a_page_are_known(method, headers, yes):
    """Fetch Metadata decides whether a browser navigates; without it, Accept decides."""
    assert navigates(FakeRequest(method=method, headers=headers)) is yes
