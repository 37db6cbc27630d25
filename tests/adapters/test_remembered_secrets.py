"""Law 9 for remembered credentials: no living object contains a credential in clear."""

import gc
import sys
from collections.abc import Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import pytest

from adapters.faces import ask_asgi, ask_wsgi, raw_asgi, raw_wsgi, run
from authguard import (
    AccessCookie,
    APIKey,
    APIKeyVerifier,
    DPoP,
    Guard,
    IntrospectionVerifier,
    JWTVerifier,
    MemoryRevocations,
    digest_api_key,
)
from remote.servers import answer, serving
from support import AUDIENCE, ISSUER, NOW, SECRET, claims, ec_key, jwk, make_proof, make_token, thumbprint

FACES = {"ASGI": (raw_asgi, ask_asgi), "WSGI": (raw_wsgi, ask_wsgi)}
EACH_FACE = pytest.mark.parametrize("face", FACES)
URI = "https://site.example/private"
KEY, UNKNOWN_KEY = (f"sk_live_{word}-Key-of-enough-bytes-6Tq" for word in ("remembered", "forgotten"))
OPAQUE, INACTIVE = "opaque-token-remembered-7Rk", "opaque-token-that-is-inactive-2Wd"
TOKEN, COOKIE, REVOKED = (make_token(claims(jti=name)) for name in ("header", "cookie", "revoked"))
BOUND = make_token(claims(jti="bound", cnf={"jkt": thumbprint(jwk(ec_key()))}))
PROOF = make_proof(BOUND, htu=URI)
BAD = make_token(key="x" * 40)
# The header and claims of a JWT alone are no secret; its signature is one.
MARKS = (
    KEY,
    UNKNOWN_KEY,
    OPAQUE,
    INACTIVE,
    *(token.rpartition(".")[2] for token in (TOKEN, COOKIE, REVOKED, BOUND, PROOF, BAD)),
)
REQUESTS = {
    "a JWT": [("Authorization", f"Bearer {TOKEN}")],
    "a JWT by another key": [("Authorization", f"Bearer {BAD}")],
    "a JWT that is revoked": [("Authorization", f"Bearer {REVOKED}")],
    "an opaque token": [("Authorization", f"Bearer {OPAQUE}")],
    "an inactive token": [("Authorization", f"Bearer {INACTIVE}")],
    "an API key": [("X-API-Key", KEY)],
    "an API key as Bearer": [("Authorization", f"Bearer {KEY}")],
    "an unknown API key": [("X-API-Key", UNKNOWN_KEY)],
    "a cookie": [("Cookie", f"access_token={COOKIE}"), ("Sec-Fetch-Site", "same-origin")],
    "a proof": [("Authorization", f"DPoP {BOUND}"), ("DPoP", PROOF)],
    "two credentials": [("Authorization", f"Bearer {TOKEN}"), ("X-API-Key", KEY)],
}
STATUSES = [200, 401, 401, 200, 401, 200, 200, 401, 200, 200, 400]
_NOT_WALKED = (ModuleType, BuiltinFunctionType, CodeType, type)


def _find_key(digest: str) -> APIKey | None:
    return APIKey("robot") if digest == digest_api_key(KEY) else None


def _guard(url: str) -> Guard:
    """Return a guard with a memory of each kind."""
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    asking = IntrospectionVerifier(
        f"{url}/introspect", client_id="api", client_secret="s3cret", audience=AUDIENCE
    )
    revocations = MemoryRevocations(clock=lambda: NOW)
    revocations.revoke(token_id="revoked", until=NOW + 600)
    return Guard(
        jwt,
        APIKeyVerifier(_find_key),
        asking,
        cookie=AccessCookie("access_token", secure=False),
        proofs=[DPoP("https://site.example", nonce_secret=None)],
        revocations=revocations,
    )


def _is_active(seen: Any) -> Any:
    return answer({"active": seen.form["token"] == [OPAQUE], "sub": "ann", "aud": AUDIENCE})


def requested(face: str, guard: Guard) -> Any:
    """Send each request twice, and return the application that has answered them."""
    make, ask = FACES[face]
    app = make(guard, lambda: NOW)
    for again in (False, True):
        statuses = []
        for fields in REQUESTS.values():
            encoded = [(name, value.encode()) for name, value in fields]
            statuses.append(ask(app, "GET", "/private", encoded).status)
        expected = [
            401 if again and status == 200 and name == "a proof" else status
            for name, status in zip(REQUESTS, STATUSES, strict=True)
        ]
        assert statuses == expected
    return app


def _memories(guard: Guard) -> dict[str, int]:
    """Return the number of entries of each memory."""
    keys, asking, dpop = (
        guard._verifiers[1],
        guard._verifiers[2],
        next(iter(guard._straight_path.callers._proofs._proofs.values())),
    )
    carried = {
        str(way): len(memory)
        for way, memory in guard._straight_path.callers._memories.items()
        if way[0] in ("bearer", "api_key", "cookie")
    }
    others = {
        "bound": guard._straight_path.callers._bound,
        "unknown keys": keys._refused,
        "inactive": asking._inactive.until,
    }
    proofs = {"proofs": dpop._used, "keys of proofs": dpop._keys}
    return {**carried, **{name: len(memory) for name, memory in (others | proofs).items()}}


def _living(*roots: Any) -> Iterator[Any]:
    """Yield all objects that the roots refer to; of a function its closure, and not its module."""
    seen: set[int] = set()
    waiting: list[Any] = list(roots)
    while waiting:
        thing = waiting.pop()
        kind = type(thing)  # a lazy object, such as the settings of Django, may not be asked for its class
        if id(thing) in seen or issubclass(kind, _NOT_WALKED):
            continue
        seen.add(id(thing))
        yield thing
        if kind is FunctionType:
            waiting += [thing.__closure__, thing.__defaults__, thing.__kwdefaults__, vars(thing)]
        else:
            waiting += gc.get_referents(thing)
        if issubclass(kind, dict):  # the collector does not visit keys that are text
            waiting += list(thing)


def _modules() -> list[object]:
    """Return the values in the modules of the package."""
    loaded = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == "authguard"]
    # The loader of an installed package may be pytest's, since the package has a plugin.
    others = {"__builtins__", "__loader__", "__spec__"}
    return [value for module in loaded for name, value in vars(module).items() if name not in others]


def _in_clear(*roots: object) -> list[str]:
    """Return the living texts and bytes that contain a mark."""
    marks = [mark.encode() for mark in MARKS]
    results = []
    for thing in _living(*roots):
        if issubclass(type(thing), (str, bytes, bytearray)):
            data = thing.encode("utf-8", "replace") if isinstance(thing, str) else bytes(thing)
            results += [repr(thing)[:200] for mark in marks if mark in data]
    return results


@EACH_FACE
def test_no_memory_holds_a_credential_in_clear(face: str) -> None:
    """After requests of each kind all memories have entries, and no object contains a credential."""
    with serving() as issuer:
        issuer.pages["/introspect"] = _is_active
        guard = _guard(issuer.url)
        app = requested(face, guard)
        run(guard.aclose()) if face == "ASGI" else guard.close()
    gc.collect()
    assert [name for name, size in _memories(guard).items() if size == 0] == []
    assert _in_clear(app, guard, *_modules()) == []


@pytest.mark.parametrize("kind", ["key", "value", "bytes", "of a function", "in an exception"])
def test_a_credential_in_clear_is_found(kind: str) -> None:
    """The search finds a credential in each place of a memory."""
    guard = _guard("http://127.0.0.1:9")
    memory: Any = guard._straight_path.callers._memories["bearer", "authorization"]
    error = ValueError("refused", TOKEN)
    planted: dict[str, tuple[Any, Any]] = {
        "key": (TOKEN, None),
        "value": (b"digest", (NOW, TOKEN)),
        "bytes": (f"Bearer {TOKEN}".encode(), None),
        "of a function": (b"digest", lambda text=TOKEN: text),
        "in an exception": (b"digest", error),
    }
    assert _in_clear(guard) == []
    memory.put(*planted[kind])
    assert _in_clear(guard) != []
