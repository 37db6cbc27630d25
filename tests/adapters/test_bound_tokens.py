"""Bound tokens and the metadata of the resource, with the same answers by each adapter."""

import asyncio
import io
import json
from typing import Any
from urllib.parse import quote, unquote

import pytest

from adapters.faces import ASGI, WSGI, ask_asgi, ask_wsgi
from authguard import (
    AccessCookie,
    APIKey,
    APIKeyVerifier,
    DPoP,
    Guard,
    JWTVerifier,
    MutualTLS,
    Principal,
    ResourceMetadata,
    Rule,
)
from authguard._core.deciding.callers import UNDECIDED
from authguard._core.proofs.nonces import Nonces
from authguard._core.verifier import Verified, Verifier
from authguard.asgi import AuthGuardMiddleware
from authguard.wsgi import AuthGuardMiddleware as WSGIAuthGuardMiddleware
from core.test_mtls import bound_to, certificate
from support import AUDIENCE, ISSUER, NOW, SECRET, claims, ec_key, jwk, make_proof, make_token, thumbprint

PREFIX = "/.well-known/oauth-protected-resource"
METADATA = f'resource_metadata="https://api.example{PREFIX}/mcp"'
ALGORITHMS = 'algs="ES256 PS256 EdDSA"'
BEARER = f'Bearer realm="api", {METADATA}'
DPOP = f'DPoP realm="api", {ALGORITHMS}, {METADATA}'
KEY, CERTIFICATE = thumbprint(jwk(ec_key())), bound_to(certificate())

PLAIN = make_token()
BY_KEY = make_token(claims(cnf={"jkt": KEY}, scope="read"))
SIGNED_IN = make_token(claims(cnf={"jkt": KEY}, auth_time=NOW - 60))
BY_CERTIFICATE = make_token(claims(cnf={"x5t#S256": CERTIFICATE}))
BY_BOTH = make_token(claims(cnf={"jkt": KEY, "x5t#S256": CERTIFICATE}))
NONCE_SECRET = "n0nce-secret-of-more-than-32-bytes-Qx7"
API_KEY = "sk_live_" + "k3y-for-tests-0nly-Qx7" * 2
Field = tuple[str, bytes]


def guard(**options: Any) -> Guard:
    """Return a guard that checks both kinds of proofs, and has metadata."""
    options = {
        "proofs": [DPoP("https://api.example"), MutualTLS(header="X-Cert", proxies=["127.0.0.1"])],
        "resource": ResourceMetadata("https://api.example/mcp", [ISSUER]),
    } | options
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    return Guard(
        jwt,
        APIKeyVerifier({API_KEY: APIKey("robot")}),
        protected_paths=["/", Rule("/admin", scopes=["admin"]), Rule("/bank", max_age=60)],
        public_paths=["/public"],
        **options,
    )


def authorization(token: str, scheme: str = "DPoP") -> Field:
    return ("Authorization", f"{scheme} {token}".encode())


def proof(token: str, **changes: Any) -> Field:
    return ("DPoP", make_proof(token, **{"htu": "https://api.example/private"} | changes).encode())


CERT = ("X-Cert", quote(certificate()).encode())
OTHER_CERT = ("X-Cert", quote(certificate("other")).encode())
INVALID_PROOF = f'{BEARER}, DPoP realm="api", error="invalid_dpop_proof"'
INVALID_DPOP = f'{BEARER}, DPoP realm="api", error="invalid_token"'
INVALID_BEARER = 'Bearer realm="api", error="invalid_token"'

# name: path, fields → status, and the subject or the start of the challenge.
CASES: dict[str, tuple[str, list[Field], int, str]] = {
    "nobody": ("/private", [], 401, f"{BEARER}, {DPOP}"),
    "a plain token": ("/private", [authorization(PLAIN, "Bearer")], 200, "ann"),
    "a plain token, with a proof": ("/private", [authorization(PLAIN, "Bearer"), proof(PLAIN)], 200, "ann"),
    "a plain token by DPoP": ("/private", [authorization(PLAIN), proof(PLAIN)], 401, INVALID_DPOP),
    "a token and its proof": ("/private", [authorization(BY_KEY), proof(BY_KEY)], 200, "ann"),
    "the scheme in another case": ("/private", [authorization(BY_KEY, "dPoP"), proof(BY_KEY)], 200, "ann"),
    "no proof": ("/private", [authorization(BY_KEY)], 401, INVALID_PROOF),
    "two proofs": ("/private", [authorization(BY_KEY), proof(BY_KEY), proof(BY_KEY)], 401, INVALID_PROOF),
    "a proof for another path": ("/private", [authorization(BY_KEY), proof(BY_KEY, htu="https://api.example/x")], 401, INVALID_PROOF),
    "a proof for another host": ("/private", [authorization(BY_KEY), proof(BY_KEY, htu="http://site.example/private")], 401, INVALID_PROOF),
    "a forwarded host": ("/private", [authorization(BY_KEY), proof(BY_KEY, htu="https://evil.example/private"), ("X-Forwarded-Host", b"evil.example"), ("X-Forwarded-Proto", b"https"), ("Forwarded", b"host=evil.example;proto=https")], 401, INVALID_PROOF),
    "a proof for another token": ("/private", [authorization(BY_KEY), proof(PLAIN)], 401, INVALID_PROOF),
    "an encoded path": ("/priv%61te/%C3%BC", [authorization(BY_KEY), proof(BY_KEY, htu="https://api.example/private/%c3%bc")], 200, "ann"),
    "a query": ("/private?a=1", [authorization(BY_KEY), proof(BY_KEY)], 200, "ann"),
    "bound to a key, by Bearer": ("/private", [authorization(BY_KEY, "Bearer")], 401, INVALID_DPOP),
    "bound to a key, by Bearer with a proof": ("/private", [authorization(BY_KEY, "Bearer"), proof(BY_KEY)], 401, INVALID_DPOP),
    "bound to a key, in a cookie": ("/private", [("Cookie", f"session={BY_KEY}".encode())], 401, INVALID_DPOP),
    "bound to a key, on a public page": ("/public", [authorization(BY_KEY, "Bearer")], 200, ""),
    "a scope that is missing": ("/admin", [authorization(BY_KEY), proof(BY_KEY, htu="https://api.example/admin")], 403, f'{BEARER}, DPoP realm="api", error="insufficient_scope"'),
    "a sign-in too long ago": ("/bank", [authorization(BY_KEY), proof(BY_KEY, htu="https://api.example/bank")], 401, f'{BEARER}, DPoP realm="api", error="insufficient_user_authentication"'),
    "a sign-in too long ago, and no proof": ("/bank", [authorization(BY_KEY)], 401, INVALID_PROOF),
    "a recent sign-in": ("/bank", [authorization(SIGNED_IN), proof(SIGNED_IN, htu="https://api.example/bank")], 200, "ann"),
    "a forged token": ("/private", [authorization(BY_KEY[:-4] + "AAAA"), proof(BY_KEY)], 401, INVALID_DPOP),
    "a token and its proof, and a cookie": ("/private", [authorization(BY_KEY), proof(BY_KEY), ("Cookie", f"session={PLAIN}".encode())], 200, "ann"),
    "a token and its proof, and two cookies": ("/private", [authorization(BY_KEY), proof(BY_KEY), ("Cookie", b"session=x; session=y")], 200, "ann"),
    "no proof, and a good cookie": ("/private", [authorization(BY_KEY), ("Cookie", f"session={PLAIN}".encode())], 401, INVALID_PROOF),
    "a forged token, and a good cookie": ("/private", [authorization(BY_KEY[:-4] + "AAAA"), proof(BY_KEY), ("Cookie", f"session={PLAIN}".encode())], 401, INVALID_DPOP),
    "a token and its proof, and a key": ("/private", [authorization(BY_KEY), proof(BY_KEY), ("X-API-Key", API_KEY.encode())], 400, ""),
    "no token": ("/private", [("Authorization", b"DPoP")], 400, f'{BEARER}, DPoP realm="api", error="invalid_request"'),
    "two schemes": ("/private", [authorization(BY_KEY), authorization(PLAIN, "Bearer"), proof(BY_KEY)], 400, ""),
    "two schemes, joined": ("/private", [("Authorization", f"Basic x, DPoP {BY_KEY}".encode()), proof(BY_KEY)], 400, ""),
    "two schemes, joined after a parameter": ("/private", [("Authorization", f'Digest a="b", DPoP {BY_KEY}'.encode()), proof(BY_KEY)], 400, ""),
    "an API key by DPoP": ("/private", [authorization(API_KEY), proof(API_KEY)], 401, INVALID_DPOP),
    "an API key": ("/private", [authorization(API_KEY, "Bearer")], 200, "robot"),
    "bound to a certificate": ("/private", [authorization(BY_CERTIFICATE, "Bearer"), CERT], 200, "ann"),
    "no certificate": ("/private", [authorization(BY_CERTIFICATE, "Bearer")], 401, INVALID_BEARER),
    "another certificate": ("/private", [authorization(BY_CERTIFICATE, "Bearer"), OTHER_CERT], 401, INVALID_BEARER),
    "the certificate twice": ("/private", [authorization(BY_CERTIFICATE, "Bearer"), OTHER_CERT, CERT], 401, INVALID_BEARER),
    "a certificate by DPoP": ("/private", [authorization(BY_CERTIFICATE), CERT, proof(BY_CERTIFICATE)], 401, INVALID_DPOP),
    "both": ("/private", [authorization(BY_BOTH), CERT, proof(BY_BOTH)], 200, "ann"),
    "both, no certificate": ("/private", [authorization(BY_BOTH), proof(BY_BOTH)], 401, INVALID_DPOP),
    "both, no proof": ("/private", [authorization(BY_BOTH), CERT], 401, INVALID_PROOF),
    "an unknown member": ("/private", [authorization(make_token(claims(cnf={"jkt": KEY, "kid": "x"})))], 401, INVALID_DPOP),
    "a jwk": ("/private", [authorization(make_token(claims(cnf={"jwk": jwk(ec_key())})), "Bearer")], 401, INVALID_BEARER),
    "an empty cnf": ("/private", [authorization(make_token(claims(cnf={})), "Bearer")], 401, INVALID_BEARER),
    "a cnf that is null": ("/private", [authorization(make_token(claims(cnf=None)), "Bearer")], 401, INVALID_BEARER),
    "a cnf that is text": ("/private", [authorization(make_token(claims(cnf="jkt")), "Bearer")], 401, INVALID_BEARER),
    "a thumbprint that is no text": ("/private", [authorization(make_token(claims(cnf={"jkt": 7})))], 401, INVALID_DPOP),
    "metadata": (PREFIX, [], 200, ""),
    "metadata of the path": (PREFIX + "/mcp", [], 200, ""),
    "metadata with a plain token": (PREFIX, [authorization(PLAIN, "Bearer")], 200, ""),
    "metadata with a bad token": (PREFIX, [authorization("x", "Bearer")], 200, ""),
    "metadata of another path": (PREFIX + "/other", [], 401, BEARER),
    "metadata in another case": (PREFIX.upper(), [], 401, BEARER),
    "metadata on an odd path": (PREFIX + "//mcp", [], 401, BEARER),
}  # fmt: skip

FACES = [(name, ask_asgi, make) for name, make in ASGI.items()] + [
    (name, ask_wsgi, make) for name, make in WSGI.items()
]


@pytest.fixture(name="face", params=FACES, ids=[face[0] for face in FACES])
def _face(request: pytest.FixtureRequest) -> Any:
    _, ask, make = request.param
    asking = ask if ask is ask_asgi else lambda app, *what: ask(_from_loopback(app), *what)
    return lambda protecting, *what: asking(make(protecting, lambda: NOW), *what)


def _from_loopback(app: Any) -> Any:
    return lambda environ, start: app({**environ, "REMOTE_ADDR": "127.0.0.1"}, start)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_answer(face: Any, case: str) -> None:
    """Each adapter gives the answer of the table."""
    path, fields, status, seen = CASES[case]
    answer = face(guard(cookie=AccessCookie("session", secure=False)), "GET", path, fields)
    assert answer.status == status, answer
    if status >= 400:
        assert answer.headers["www-authenticate"].startswith(seen), answer
        assert METADATA in answer.headers["www-authenticate"]
        assert "no-store" in answer.headers["cache-control"]  # Django adds `private` to it
    elif path.startswith(PREFIX):
        assert json.loads(answer.body)["resource"] == "https://api.example/mcp"
        assert answer.headers["access-control-allow-origin"] == "*"
    else:
        assert answer.body.decode() == seen


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", 200), ("OPTIONS", 200), ("POST", 405), ("DELETE", 405)]
)
def test_metadata_by_other_methods(face: Any, method: str, status: int) -> None:
    """The metadata is answered to HEAD and OPTIONS; a method that changes data is a 405."""
    answer = face(guard(), method, PREFIX, [("Origin", b"https://a.example")])
    assert (answer.status, answer.body) == (status, b"")


def test_a_nonce_is_in_its_own_field(face: Any) -> None:
    """A refused proof without a nonce gets an error and a nonce, with which the next proof passes."""
    own_guard = guard(proofs=[DPoP("https://api.example", nonce_secret=NONCE_SECRET)])
    answer = face(own_guard, "GET", "/private", [authorization(BY_KEY), proof(BY_KEY)])
    assert 'error="use_dpop_nonce"' in answer.headers["www-authenticate"]
    good = proof(BY_KEY, nonce=answer.headers["dpop-nonce"])
    assert face(own_guard, "GET", "/private", [authorization(BY_KEY), good]).status == 200


def test_the_next_nonce_comes_before_the_last_is_refused(face: Any) -> None:
    """An answer has a new nonce, and is not stored, if the nonce of the proof is old but still valid."""
    own_guard = guard(proofs=[DPoP("https://api.example", nonce_secret=NONCE_SECRET)])
    young = Nonces(NONCE_SECRET).issue(KEY, NOW)
    old = Nonces(NONCE_SECRET).issue(KEY, NOW - 150)
    answer = face(own_guard, "GET", "/private", [authorization(BY_KEY), proof(BY_KEY, nonce=young)])
    assert (answer.status, answer.headers.get("dpop-nonce")) == (200, None)
    answer = face(own_guard, "GET", "/private", [authorization(BY_KEY), proof(BY_KEY, nonce=old)])
    assert (answer.status, answer.headers["dpop-nonce"]) == (200, young)
    assert "no-store" in answer.headers["cache-control"]  # Django adds `private` to it


def test_every_request_needs_a_proof(face: Any) -> None:
    """Each request with a known token needs a new proof, and a replay is refused."""
    own_guard = guard()
    fields = [authorization(BY_KEY), proof(BY_KEY)]
    assert face(own_guard, "GET", "/private", fields).status == 200
    assert face(own_guard, "GET", "/private", fields).status == 401
    assert face(own_guard, "GET", "/private", fields[:1]).status == 401
    assert face(own_guard, "GET", "/private", [authorization(BY_KEY), proof(BY_KEY)]).status == 200
    assert face(own_guard, "GET", "/private", [authorization(BY_KEY, "Bearer")]).status == 401


def test_every_request_needs_the_certificate(face: Any) -> None:
    """Each request with a known token that is bound to a certificate needs the certificate."""
    own_guard = guard()
    token = authorization(BY_CERTIFICATE, "Bearer")
    assert face(own_guard, "GET", "/private", [token, CERT]).status == 200
    assert face(own_guard, "GET", "/private", [token]).status == 401
    assert face(own_guard, "GET", "/private", [token, OTHER_CERT]).status == 401
    assert face(own_guard, "GET", "/private", [token, CERT]).status == 200


@pytest.mark.parametrize("token", [BY_KEY, BY_CERTIFICATE, BY_BOTH], ids=["key", "certificate", "both"])
def test_without_proofs_no_bound_token_passes(face: Any, token: str) -> None:
    """A guard without proofs refuses each bound token."""
    own_guard = guard(proofs=[], resource=None)
    for scheme in ("Bearer", "DPoP"):
        answer = face(own_guard, "GET", "/private", [authorization(token, scheme), proof(token), CERT])
        assert answer.status == 401
        assert "DPoP" not in answer.headers["www-authenticate"]


def test_a_verifier_of_ones_own_cannot_forget_it(face: Any) -> None:
    """The guard checks the `cnf` claim of a principal that a custom verifier returns."""

    class Mine:
        def verify(self, credential: Any) -> Any:
            return Principal("ann", claims={"cnf": {"x5t#S256": CERTIFICATE}})

    own_guard = Guard(Mine(), proofs=[MutualTLS(header="X-Cert", proxies=["127.0.0.1"])])
    assert face(own_guard, "GET", "/private", [authorization("x", "Bearer")]).status == 401
    assert face(own_guard, "GET", "/private", [authorization("x", "Bearer"), CERT]).status == 200
    assert face(Guard(Mine()), "GET", "/private", [authorization("x", "Bearer"), CERT]).status == 401


def test_a_bound_token_is_verified_once(face: Any) -> None:
    """The verifier is called once for a bound token that is sent three times with new proofs."""
    calls = []

    class Counting(Verifier):
        def accepts(self, credential: Any) -> bool:
            return True

        def flow(self, credential: Any, now: float) -> Any:
            calls.append(credential.value)
            return Verified(Principal("ann", claims={"cnf": {"jkt": KEY}}), now + 60)
            yield

    own_guard = Guard(Counting(), proofs=[DPoP("https://api.example")])
    for _ in range(3):
        assert face(own_guard, "GET", "/private", [authorization("x"), proof("x")]).status == 200
    assert calls == ["x"]


def test_recall_knows_no_bound_token() -> None:
    """`Guard.recall` leaves bound tokens undecided, and decides for tokens without a confirmation."""
    own_guard = guard()
    app = ASGI["asgi"](own_guard, lambda: NOW)
    assert ask_asgi(app, "GET", "/private", [authorization(BY_CERTIFICATE, "Bearer"), CERT]).status == 200
    assert ask_asgi(app, "GET", "/private", [authorization(BY_KEY), proof(BY_KEY)]).status == 200
    assert ask_asgi(app, "GET", "/private", [authorization(PLAIN, "Bearer")]).status == 200
    for token in (BY_KEY, BY_CERTIFICATE):
        for scheme in ("Bearer", "DPoP"):
            presented = [(b"authorization", f"{scheme} {token}".encode())]
            assert own_guard.recall(presented, ("GET", "/private", ""), NOW) is UNDECIDED
    plain = [(b"authorization", f"Bearer {PLAIN}".encode())]
    assert own_guard.recall(plain, ("GET", "/private", ""), NOW) is not UNDECIDED


def ask_tls_asgi(app: Any, shown: list[str]) -> int:
    """Return the status of a request with certificates in the TLS extension of ASGI."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "path": "/private", "query_string": b"", "headers": [authorization_field()],
        "extensions": {"tls": {"client_cert_chain": shown}},
    }  # fmt: skip
    asyncio.run(app(scope, None, send))
    return int(sent[0]["status"])


def authorization_field() -> tuple[bytes, bytes]:
    return (b"authorization", f"Bearer {BY_CERTIFICATE}".encode())


def ask_tls_wsgi(app: Any, shown: list[str]) -> int:
    """Return the status of a request with a certificate in the environ of WSGI."""
    environ = {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/private", "wsgi.input": io.BytesIO(),
        "HTTP_AUTHORIZATION": f"Bearer {BY_CERTIFICATE}", **({"SSL_CLIENT_CERT": shown[0]} if shown else {}),
    }  # fmt: skip
    started: list[str] = []
    list(app(environ, lambda status, headers: started.append(status)))
    return int(started[0].split()[0])


@pytest.mark.parametrize("shown", [[certificate()], [certificate(), certificate("CA")]], ids=["one", "chain"])
def test_the_servers_own_tls(shown: list[str]) -> None:
    """The first certificate of the chain that the server gives is the certificate of the caller."""
    own_guard = guard(proofs=[MutualTLS()])
    for ask, app in _bare(own_guard):
        assert (ask(app, shown), ask(app, []), ask(app, [certificate("other")])) == (200, 401, 401)


def _bare(own_guard: Guard) -> list[Any]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    def wsgi_app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return []

    return [
        (ask_tls_asgi, AuthGuardMiddleware(app, guard=own_guard, clock=lambda: NOW)),
        (ask_tls_wsgi, WSGIAuthGuardMiddleware(wsgi_app, guard=own_guard, clock=lambda: NOW)),
    ]


@pytest.mark.parametrize(("mount", "path"), [("/v1", "/x"), ("/v1", ""), ("", "/x")])
def test_the_mount_point_is_part_of_what_is_proved(mount: str, path: str) -> None:
    """The URL of a proof includes the mount point: `SCRIPT_NAME` or `root_path`."""
    own_guard = guard()
    _, (_, wsgi) = _bare(own_guard)
    given = proof(BY_KEY, htu=f"https://api.example{mount}{path}")[1].decode()
    environ = {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": mount, "PATH_INFO": unquote(path), "HTTP_DPOP": given,
        "HTTP_AUTHORIZATION": f"DPoP {BY_KEY}",
    }  # fmt: skip
    started: list[str] = []
    list(wsgi(environ, lambda status, headers: started.append(status)))
    assert started == ["200 OK"]
