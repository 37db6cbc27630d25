"""Optional keys of an ASGI scope that are missing, or have another form, change no decision."""

import asyncio

import pytest

from adapters.faces import raw_asgi
from authguard import AccessCookie, Guard, JWTVerifier, MutualTLS, Rule
from support import AUDIENCE, ISSUER, NOW, SECRET, claims, make_token

REMOVED = object()
CHANGES = {
    "raw_path None": {"raw_path": None}, "raw_path removed": {"raw_path": REMOVED},
    "root_path None": {"root_path": None}, "root_path removed": {"root_path": REMOVED},
    "client None": {"client": None}, "client removed": {"client": REMOVED},
    "server None": {"server": None}, "server removed": {"server": REMOVED},
    "extensions None": {"extensions": None}, "extensions removed": {"extensions": REMOVED},
    "scheme None": {"scheme": None}, "scheme removed": {"scheme": REMOVED},
    "query None": {"query_string": None}, "query removed": {"query_string": REMOVED},
    "state removed": {"state": REMOVED}, "subprotocols removed": {"subprotocols": REMOVED},
    "all removed": dict.fromkeys(
        ("raw_path", "root_path", "client", "server", "extensions", "scheme", "query_string", "state",
         "subprotocols", "http_version"), REMOVED),
}  # fmt: skip
FORMS = {
    "lists": lambda pairs: [list(pair) for pair in pairs],
    "a tuple": lambda pairs: tuple(map(tuple, pairs)),
}
READER = make_token(claims(scope="read"))
PATHS = {"/public": 200, "/private": 401, "/admin": 401}
STATUSES = {"": PATHS, READER: {"/public": 200, "/private": 200, "/admin": 403}, "bad": PATHS}
PROGRAM = {
    "": [],
    READER: [(b"authorization", f"Bearer {READER}".encode())],
    "bad": [(b"authorization", b"Bearer bad")],
}
EACH_TYPE = pytest.mark.parametrize("kind", ["http", "websocket"])


def _app(**options):
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    rules = {"protected_paths": ["/", Rule("/admin", scopes=["admin"])], "public_paths": ["/public"]}
    return raw_asgi(Guard(jwt, cookie=AccessCookie(secure=False), **rules, **options), lambda: NOW)


def _send(app, kind, path, fields, changes, form=list):
    sent = []
    scope = {
        "type": kind, "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "subprotocols": [],
        "headers": form([(b"host", b"app"), *fields]), "client": ("127.0.0.1", 1), "server": ("app", 80),
        "state": {}, "extensions": {"websocket.http.response": {}},
    }  # fmt: skip
    if kind == "websocket":
        del scope["method"]
    for name, value in changes.items():
        scope.pop(name) if value is REMOVED else scope.update({name: value})

    async def receive():
        return {"type": "websocket.connect" if kind == "websocket" else "http.request", "body": b""}

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


def _statuses(kind, changes, form=list):
    """Return the statuses of all callers at all paths."""
    app, statuses = _app(), {}
    for caller, fields in PROGRAM.items():
        answers = {path: _send(app, kind, path, fields, changes, form)[0] for path in PATHS}
        statuses[caller] = {path: answer.get("status", answer["type"]) for path, answer in answers.items()}
    return statuses


@EACH_TYPE
@pytest.mark.parametrize("change", CHANGES)
def test_a_key_that_is_missing_changes_no_decision(kind, change):
    """Each caller gets the same answer at each path, with the key and without it."""
    expected = STATUSES
    if kind == "websocket" and "extensions" in CHANGES[change]:  # a closed handshake has no status
        expected = {
            caller: {path: 200 if status == 200 else "websocket.close" for path, status in paths.items()}
            for caller, paths in STATUSES.items()
        }
    assert _statuses(kind, CHANGES[change]) == expected


@EACH_TYPE
@pytest.mark.parametrize("form", FORMS)
def test_fields_may_come_in_any_iterable(kind, form):
    """The header fields are an iterable of two-item iterables."""
    assert _statuses(kind, {}, FORMS[form]) == STATUSES


@pytest.mark.parametrize("change", CHANGES)
def test_a_browser_is_sent_to_sign_in_all_the_same(change):
    """The redirect to the login page does not need the missing key."""
    app = _app(login_path="/login")
    answer = _send(app, "http", "/private", [(b"accept", b"text/html")], CHANGES[change])[0]
    assert (answer["status"], dict(answer["headers"])[b"location"]) == (303, b"/login?next=%2Fprivate")


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    "proof", [MutualTLS(), MutualTLS(header="X-Cert", proxies=["127.0.0.1"])], ids=["TLS", "header"]
)
def test_a_token_bound_to_a_certificate_stays_bound(proof, change):
    """A request without a certificate in its scope is a 401 for a token that is bound to one."""
    app = _app(proofs=[proof])
    bound = make_token(claims(cnf={"x5t#S256": "a" * 43}))
    fields = [(b"authorization", f"Bearer {bound}".encode()), (b"x-cert", b"-----BEGIN CERTIFICATE-----")]
    assert _send(app, "http", "/private", fields, CHANGES[change])[0]["status"] == 401
