"""Attacks of this project on path rules, without a credential, on ASGI, WSGI and websockets."""

import asyncio
from urllib.parse import unquote

import pytest

from adapters.faces import ask_asgi, ask_wsgi, flask_handlers, raw_asgi, raw_wsgi
from authguard import AccessCookie, Guard, JWTVerifier, Rule
from support import AUDIENCE, ISSUER, NOW, SECRET, lines, make_token, needs_vectors
from vectors.path_attacks import ADMIN, METHODS, NOT_PUBLIC, fields, targets

# The least number of attacks of each family, so that a change of its rule cannot make it empty.
LEAST = {
    "dot segments": 20, "encoded dots": 20, "repeated encoding": 10, "separators": 30, "slashes": 18,
    "parameters": 30, "encoded letters": 15, "case": 20, "trailing": 50, "controls": 30, "look-alikes": 30,
    "delimiters": 18, "exempt words": 18, "target forms": 20, "boundaries": 20, "overlong": 20,
    "malformed": 20, "alternates": 12, "mounts": 18, "homoglyphs": 14,
}  # fmt: skip
ALL = targets(ADMIN, NOT_PUBLIC)
STRICT = {"public_paths": ["/public/**", "/healthz", "/static/**"]}
NARROW = {"protected_paths": ["/admin"]}
FACES = {"ASGI": (raw_asgi, ask_asgi), "WSGI": (raw_wsgi, ask_wsgi), "Flask": (flask_handlers, ask_wsgi)}
EACH_FACE = pytest.mark.parametrize("face", FACES)
EACH_RULES = pytest.mark.parametrize(("rules", "attacks"), [(STRICT, ALL), (NARROW, targets(ADMIN))])


def _guard(**rules):
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    return Guard(jwt, cookie=AccessCookie(secure=False), **rules)


def _asking(face, **rules):
    make, ask = FACES[face]
    app = make(_guard(**rules), lambda: NOW)
    return lambda *request: ask(app, *request).status


@EACH_FACE
@EACH_RULES
def test_no_target_gets_past_the_rules(face, rules, attacks):
    """Each target is a 401, regardless of the path that a router behind the guard would read."""
    ask = _asking(face, **rules)
    answers = [(family, target, ask("GET", target)) for family, target in attacks]
    assert [answer for answer in answers if answer[2] != 401] == []


@pytest.mark.slow
@EACH_FACE
def test_no_target_gets_a_caller_past_the_scope(face):
    """A known caller without the scope of /admin gets a 403 at each target that may be /admin."""
    ask = _asking(face, protected_paths=["/", Rule("/admin", scopes=["admin"])])
    field = ("Authorization", b"Bearer " + make_token().encode())
    answers = [(family, target, ask("GET", target, [field])) for family, target in targets(ADMIN)]
    assert [answer for answer in answers if answer[2] != 403] == []
    assert ask("GET", "/other", [field]) == 200


@pytest.mark.slow
@EACH_RULES
def test_no_target_opens_a_websocket(rules, attacks):
    """A handshake to each target is closed, and does not reach the application."""
    app = raw_asgi(_guard(**rules), lambda: NOW)
    assert [attack for attack in attacks if _shake(app, attack[1]) != ["websocket.close"]] == []


@EACH_FACE
@pytest.mark.parametrize("rules", [STRICT, NARROW], ids=["strict", "narrow"])
def test_no_field_gets_past_the_rules(face, rules):
    """No field replaces the credential, or the path for the rules."""
    ask = _asking(face, **rules)
    answers = [(field, ask("GET", "/admin", [field])) for field in fields()]
    assert [answer for answer in answers if answer[1] not in (400, 401)] == []


@EACH_FACE
@pytest.mark.parametrize("rules", [STRICT, NARROW], ids=["strict", "narrow"])
@pytest.mark.parametrize("method", METHODS)
def test_no_method_gets_past_the_rules(face, rules, method):
    """A request with any method needs a credential."""
    assert _asking(face, **rules)(method, "/admin") == 401


@EACH_FACE
def test_a_public_page_is_served(face):
    """A public path is open, so that the refusals are those of the attacks."""
    assert [_asking(face, **STRICT)("GET", path) for path in ("/public/x", "/healthz")] == [200, 200]
    assert _asking(face, **NARROW)("GET", "/other") == 200


@pytest.mark.parametrize("family", [*ADMIN, *NOT_PUBLIC])
def test_each_family_has_its_targets(family):
    """Each family has its least number of targets."""
    assert len(targets({family: {**ADMIN, **NOT_PUBLIC}[family]})) >= LEAST[family]


@needs_vectors
def test_there_are_as_many_as_are_shared():
    """The list has more than twice as many targets as the shared one, and repeats few of them."""
    shared = set(lines("path_bypass.txt"))
    assert len({target for _, target in ALL} - shared) > 2 * len(shared)


def _shake(app, target):
    sent = []
    path, _, query = target.partition("?")
    scope = {
        "type": "websocket", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "ws",
        "path": unquote(path), "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(b"host", b"app")], "subprotocols": [], "state": {}, "extensions": {},
    }  # fmt: skip

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message["type"])

    asyncio.run(app(scope, receive, send))
    return sent
