"""Attacks of this project on `next`, in the login page and in the redirects of the guard."""

from urllib.parse import quote

import pytest

from adapters.faces import ask_asgi, ask_wsgi, flask_handlers, raw_asgi, raw_wsgi
from authguard import Guard, JWTVerifier, safe_next
from support import AUDIENCE, ISSUER, NOW, SECRET, VECTORS, needs_vectors
from vectors.redirect_attacks import FAMILIES, values

# The least number of values of each family, so that a change of its rule cannot make it empty.
LEAST = {
    "authorities": 30, "skipped": 80, "blanks": 30, "encoded": 50, "dots": 30, "schemes": 60, "userinfo": 30,
    "hosts": 60, "splitting": 28, "parameters": 16, "bare": 14, "loops": 30,
}  # fmt: skip
FACES = {"ASGI": (raw_asgi, ask_asgi), "WSGI": (raw_wsgi, ask_wsgi), "Flask": (flask_handlers, ask_wsgi)}
BROWSER = [("Accept", b"text/html"), ("Sec-Fetch-Mode", b"navigate")]


@pytest.mark.parametrize("family", FAMILIES)
def test_each_value_is_dropped(family):
    """The login page ignores each value, and uses its default."""
    kept = [(value, safe_next(value, "/home")) for value in values(family)]
    assert [pair for pair in kept if pair[1] != "/home"] == []


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "loops"])
def test_the_guard_sends_none_of_them_on(family, face):
    """The redirect of a browser from such a path has no `next`."""
    make, ask = FACES[face]
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    app = make(Guard(jwt, login_path="/login"), lambda: NOW)
    targets = [quote(value, safe="/\\:@;&=%") for value in values(family) if value]
    answers = [(target, ask(app, "GET", target, BROWSER)) for target in targets]
    wrong = [
        target for target, answer in answers if (answer.status, answer.headers["location"]) != (303, "/login")
    ]
    assert wrong == []


def test_a_local_path_is_kept():
    """A local path with a query is kept, so that the other values are ignored as attacks."""
    assert safe_next("/a/b?c=//evil.example", "/home") == "/a/b?c=//evil.example"


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_has_its_values(family):
    """Each family has its least number of values."""
    assert len(values(family)) >= LEAST[family]


@needs_vectors
def test_there_are_as_many_as_are_shared():
    """The list has more than twice as many values as the shared one."""
    text = (VECTORS / "redirect_bypass.txt").read_text(encoding="utf-8")
    shared = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(values(*FAMILIES)) > 2 * len(shared)
