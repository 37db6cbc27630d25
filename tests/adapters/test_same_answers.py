"""The specification: one table of requests and answers, the same over every adapter."""

import json
import secrets
from typing import Any

import pytest

from adapters.faces import ASGI, DECORATED, WSGI, Answer, ask_asgi, ask_wsgi
from authguard import AccessCookie, APIKey, APIKeyVerifier, Guard, JWTVerifier, Principal, Rule
from authguard.errors import InsufficientUserAuthenticationError
from authguard.testing import issue_token

NOW = 1_800_000_000.0
SECRET = secrets.token_urlsafe(40)
ISSUER, AUDIENCE = "https://issuer.example", "https://api.example"
KEY = "sk_live_" + secrets.token_urlsafe(32)
OLD_KEY = "sk_live_" + secrets.token_urlsafe(32)
OFF_KEY = "sk_live_" + secrets.token_urlsafe(32)


def token(key: str = SECRET, **claims: Any) -> str:
    """A token for the guard below, at NOW."""
    return issue_token(key, now=NOW, **({"iss": ISSUER, "aud": AUDIENCE} | claims))


GOOD = token(scope="read", roles=["clerk"])
ADMIN = token(scope="read admin", roles=["boss"])
EXPIRED = token(exp=NOW - 31)
FORGED = token(secrets.token_urlsafe(40))
FRESH = token(scope="read admin", auth_time=NOW - 300, acr="phr")
STALE = token(scope="read admin", auth_time=NOW - 301, acr="pwd")


def guard(**options: Any) -> Guard:
    """A guard with a rule of every kind."""
    return Guard(
        JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE),
        APIKeyVerifier(
            {
                KEY: APIKey("robot", scopes=["read"]),
                OLD_KEY: APIKey("robot", expires_at=NOW),
                OFF_KEY: APIKey("robot", disabled=True),
            }
        ),
        protected_paths=[
            "/private",
            Rule("/admin", scopes=["admin"]),
            Rule("/roles", roles=["boss", "chief"]),
            Rule("/recent", max_age=300),
            Rule("/strong", acr=["phrh", "phr"]),
            Rule("/vault", scopes=["admin"], acr="phr", max_age=300),
            Rule("/maybe", optional="strict"),
            Rule("/lenient", optional="lenient"),
        ],
        public_paths=["/", "/public", Rule("/socket", methods=["WEBSOCKET"])],
        login_path="/login",
        cookie=AccessCookie("session", secure=False),
        **options,
    )


def bearer(text: str, scheme: str = "Bearer ") -> tuple[str, bytes]:
    """An Authorization field."""
    return ("Authorization", scheme.encode() + text.encode("latin-1"))


def api_key(text: str) -> tuple[str, bytes]:
    """An X-API-Key field."""
    return ("X-API-Key", text.encode("latin-1"))


def cookie(text: str) -> tuple[str, bytes]:
    """A Cookie field."""
    return ("Cookie", f"theme=dark; session={text}".encode())


HTML = ("Accept", b"text/html,application/xhtml+xml;q=0.9")
NAVIGATES = ("Sec-Fetch-Mode", b"navigate")
SAME, CROSS, SIBLING = (("Sec-Fetch-Site", site) for site in (b"same-origin", b"cross-site", b"same-site"))
OWN_ORIGIN = ("Origin", b"http://site.example")
PREFLIGHT = [("Origin", b"https://a.example"), ("Access-Control-Request-Method", b"POST")]

BEARER = 'Bearer realm="api"'
STEP_UP_DETAIL = InsufficientUserAuthenticationError.detail
INVALID_TOKEN = f'{BEARER}, error="invalid_token"'
INVALID_REQUEST = f'{BEARER}, error="invalid_request"'
LACKS_SCOPE = f'{BEARER}, error="insufficient_scope"'
STEP_UP = f'{BEARER}, error="insufficient_user_authentication", error_description="{STEP_UP_DETAIL}"'

# name: method, path, fields → status, and what is seen: the subject, or the start of the challenge.
CASES: dict[str, tuple[str, str, list[Any], int, str | None]] = {
    "nobody on a public page": ("GET", "/public", [], 200, ""),
    "nobody on the root page": ("GET", "/", [], 200, ""),
    "nobody below a public page": ("GET", "/public/logo.svg", [], 200, ""),
    "nobody on the login page": ("POST", "/login", [], 200, ""),
    "nobody on a protected page": ("GET", "/private", [], 401, BEARER),
    "nobody on a page of no list": ("GET", "/other", [], 401, BEARER),
    "nobody with HEAD": ("HEAD", "/private", [], 401, BEARER),
    "nobody with an unknown method": ("PROPFIND", "/private", [], 401, BEARER),
    "nobody beside a public page": ("GET", "/publicity", [], 401, BEARER),
    "nobody with the method WEBSOCKET": ("WEBSOCKET", "/socket", [], 401, BEARER),
    "nobody with the method websocket": ("websocket", "/socket", [], 401, BEARER),
    "nobody with a method in small letters": ("get", "/private", [], 401, BEARER),
    "nobody on a path that is too long": ("GET", "/public/" + "a" * 9000, [], 401, BEARER),
    "a good token on an odd path that grows": ("GET", "/public//" + "%EF%B7%BA" * 99, [bearer(GOOD)], 403, LACKS_SCOPE),
    "nobody on an odd path": ("GET", "/public/../private", [], 401, BEARER),
    "nobody on a path with a line break": ("GET", "/public/%0a", [], 401, BEARER),
    "nobody on a path that is not UTF-8": ("GET", "/public/%ff", [], 401, BEARER),
    "a good token": ("GET", "/private", [bearer(GOOD)], 200, "somebody"),
    "a good token twice": ("GET", "/private", [bearer(GOOD)], 200, "somebody"),
    "a good token below": ("GET", "/private/x/y", [bearer(GOOD)], 200, "somebody"),
    "a good token on a public page": ("GET", "/public", [bearer(GOOD)], 200, "somebody"),
    "a good token on an odd path": ("GET", "/public/../private", [bearer(GOOD)], 200, "somebody"),
    "a lower-case scheme": ("GET", "/private", [bearer(GOOD, "bearer ")], 200, "somebody"),
    "an upper-case scheme": ("GET", "/private", [bearer(GOOD, "BEARER ")], 200, "somebody"),
    "two spaces": ("GET", "/private", [bearer(GOOD, "Bearer  ")], 200, "somebody"),
    "white space around": ("GET", "/private", [("Authorization", f" Bearer {GOOD} ".encode())], 200, "somebody"),
    "a tab after the scheme": ("GET", "/private", [bearer(GOOD, "Bearer\t")], 401, BEARER),
    "a colon after the scheme": ("GET", "/private", [bearer(GOOD, "Bearer: ")], 401, BEARER),
    "another scheme": ("GET", "/private", [bearer("dXNlcjpwdw==", "Basic ")], 401, BEARER),
    "a token with no scheme": ("GET", "/private", [bearer(GOOD, "")], 401, BEARER),
    "an empty Authorization field": ("GET", "/private", [bearer("", "")], 401, BEARER),
    "no token after Bearer": ("GET", "/private", [bearer("", "Bearer")], 400, INVALID_REQUEST),
    "only a space after Bearer": ("GET", "/private", [bearer("", "Bearer ")], 400, INVALID_REQUEST),
    "something after the token": ("GET", "/private", [bearer(f"{GOOD} x")], 400, INVALID_REQUEST),
    "a token that is not ASCII": ("GET", "/private", [bearer("caf\xe9")], 400, INVALID_REQUEST),
    "two Authorization fields": ("GET", "/private", [bearer(GOOD), bearer(GOOD)], 400, INVALID_REQUEST),
    "a bad one before a good one": ("GET", "/private", [bearer("bad"), bearer(GOOD)], 400, INVALID_REQUEST),
    "a good one behind Basic": ("GET", "/private", [bearer("x", "Basic "), bearer(GOOD)], 400, INVALID_REQUEST),
    "a joined field": ("GET", "/private", [bearer(f"{GOOD}, Bearer {GOOD}")], 400, INVALID_REQUEST),
    "a token and a key": ("GET", "/private", [bearer(GOOD), api_key(KEY)], 400, INVALID_REQUEST),
    "a bad token and a good key": ("GET", "/private", [bearer("bad"), api_key(KEY)], 400, INVALID_REQUEST),
    "two joined Basic fields": ("GET", "/private", [bearer("eDp5eg==", "Basic ")] * 2, 400, INVALID_REQUEST),
    "Basic and Digest": ("GET", "/private", [bearer("eDp5", "Basic "), bearer('a="b", c="d"', "Digest ")], 400, INVALID_REQUEST),
    "Digest and Bearer": ("GET", "/private", [bearer('a="b", c="d"', "Digest "), bearer(GOOD)], 400, INVALID_REQUEST),
    "Bearer and an empty field": ("GET", "/private", [bearer(GOOD), bearer("", "")], 400, INVALID_REQUEST),
    "an empty field and Bearer": ("GET", "/private", [bearer("", ""), bearer(GOOD)], 400, INVALID_REQUEST),
    "two empty Authorization fields": ("GET", "/private", [bearer("", ""), bearer("", "")], 400, INVALID_REQUEST),
    "Digest alone": ("GET", "/private", [bearer('a="b", c="d"', "Digest ")], 401, BEARER),
    "two keys": ("GET", "/private", [api_key(KEY), api_key(KEY)], 400, INVALID_REQUEST),
    "a good key and a bad one": ("GET", "/private", [api_key(KEY), api_key("bad")], 400, INVALID_REQUEST),
    "an empty key and a good one": ("GET", "/private", [api_key(""), api_key(KEY)], 400, INVALID_REQUEST),
    "two empty keys": ("GET", "/private", [api_key(""), api_key("")], 400, INVALID_REQUEST),
    "two keys, not ASCII": ("GET", "/private", [api_key("caf\xe9"), api_key("caf\xe9")], 400, INVALID_REQUEST),
    "two keys of a megabyte": ("GET", "/private", [api_key("k" * 1_000_000), api_key("x")], 400, INVALID_REQUEST),
    "a key with a comma": ("GET", "/private", [api_key(f"{KEY},x")], 400, INVALID_REQUEST),
    "a key with a comma at its end": ("GET", "/private", [api_key(f"{KEY},")], 400, INVALID_REQUEST),
    "a key with a comma after Bearer": ("GET", "/private", [bearer(f"{KEY},{KEY}")], 400, INVALID_REQUEST),
    "a token as Bearer, a key as Bearer": ("GET", "/private", [bearer(GOOD), bearer(KEY)], 400, INVALID_REQUEST),
    "two keys on a public page": ("GET", "/public", [api_key(KEY), api_key(KEY)], 200, ""),
    "two keys where a browser navigates": ("GET", "/private", [HTML, api_key(KEY), api_key(KEY)], 400, INVALID_REQUEST),
    "an expired token": ("GET", "/private", [bearer(EXPIRED)], 401, INVALID_TOKEN),
    "an expired token on a public page": ("GET", "/public", [bearer(EXPIRED)], 200, ""),
    "a forged token": ("GET", "/private", [bearer(FORGED)], 401, INVALID_TOKEN),
    "a forged token where scopes are asked": ("GET", "/admin", [bearer(FORGED)], 401, INVALID_TOKEN),
    "a token of somebody else": ("GET", "/private", [bearer(token(iss="https://other"))], 401, INVALID_TOKEN),
    "a token for somebody else": ("GET", "/private", [bearer(token(aud="https://other"))], 401, INVALID_TOKEN),
    "garbage": ("GET", "/private", [bearer("a.b.c")], 401, INVALID_TOKEN),
    "a token too long": ("GET", "/private", [bearer("a" * 20_000)], 401, INVALID_TOKEN),
    "a scope that is missing": ("GET", "/admin", [bearer(GOOD)], 403, f'{LACKS_SCOPE}, error_description="'),
    "a scope that is there": ("GET", "/admin/users", [bearer(ADMIN)], 200, "somebody"),
    "a role that is missing": ("GET", "/roles", [bearer(GOOD)], 403, LACKS_SCOPE),
    "a role that is there": ("GET", "/roles", [bearer(ADMIN)], 200, "somebody"),
    "a recent sign-in": ("GET", "/recent", [bearer(FRESH)], 200, "somebody"),
    "a sign-in in the cookie": ("GET", "/recent", [cookie(FRESH)], 200, "somebody"),
    "a sign-in too long ago": ("GET", "/recent", [bearer(STALE)], 401, f'{STEP_UP}, max_age="300"'),
    "a sign-in too long ago, twice": ("GET", "/recent", [bearer(STALE)], 401, f'{STEP_UP}, max_age="300"'),
    "a sign-in that nobody dates": ("GET", "/recent", [bearer(GOOD)], 401, STEP_UP),
    "a sign-in in the future": ("GET", "/recent", [bearer(token(auth_time=NOW + 31))], 401, STEP_UP),
    "a sign-in by a fast clock": ("GET", "/recent", [bearer(token(auth_time=NOW + 30))], 200, "somebody"),
    "a sign-in, but no credential": ("GET", "/recent", [], 401, f'{BEARER}'),
    "a sign-in, on an odd path": ("GET", "/public/../recent", [bearer(STALE)], 401, STEP_UP),
    "a key never signed in": ("GET", "/recent", [api_key(KEY)], 401, STEP_UP),
    "an acr that will do": ("GET", "/strong", [bearer(FRESH)], 200, "somebody"),
    "an acr that will not do": ("GET", "/strong", [bearer(STALE)], 401, f'{STEP_UP}, acr_values="phrh phr"'),
    "no acr": ("GET", "/strong", [bearer(GOOD)], 401, STEP_UP),
    "a scope, an acr and a sign-in": ("GET", "/vault", [bearer(FRESH)], 200, "somebody"),
    "a scope first": ("GET", "/vault", [bearer(token(auth_time=NOW - 301))], 403, LACKS_SCOPE),
    "then acr and sign-in": ("GET", "/vault", [bearer(STALE)], 401, f'{STEP_UP}, acr_values="phr", max_age="300"'),
    "a browser that has to sign in anew": ("GET", "/recent?a=1", [HTML, cookie(STALE)], 303, "/login?next=%2Frecent%3Fa%3D1&max_age=300"),
    "a browser that needs another acr": ("GET", "/strong", [HTML, cookie(STALE)], 303, "/login?next=%2Fstrong&acr_values=phrh+phr"),
    "a browser that lacks a scope": ("GET", "/vault", [HTML, cookie(GOOD)], 403, LACKS_SCOPE),
    "a browser that posts, signed in long ago": ("POST", "/recent", [HTML, cookie(STALE), SAME], 401, STEP_UP),
    "a script, signed in long ago": ("GET", "/recent", [cookie(STALE), ("Sec-Fetch-Mode", b"cors")], 401, STEP_UP),
    "a browser with a token, signed in long ago": ("GET", "/recent", [HTML, bearer(STALE)], 401, STEP_UP),
    "a key": ("GET", "/private", [api_key(KEY)], 200, "robot"),
    "a key in the Authorization field": ("GET", "/private", [bearer(KEY)], 200, "robot"),
    "a key beside Basic": ("GET", "/private", [bearer("eA==", "Basic "), api_key(KEY)], 200, "robot"),
    "a key without the scope": ("GET", "/admin", [api_key(KEY)], 403, LACKS_SCOPE),
    "a key disguised as a scheme": ("GET", "/private", [bearer(KEY, "X-API-Key ")], 401, BEARER),
    "a key in another case": ("GET", "/private", [api_key(KEY.swapcase())], 401, INVALID_TOKEN),
    "a key with a suffix": ("GET", "/private", [api_key(KEY + "x")], 401, INVALID_TOKEN),
    "a key cut short": ("GET", "/private", [api_key(KEY[:-1])], 401, INVALID_TOKEN),
    "an empty key": ("GET", "/private", [api_key("")], 401, INVALID_TOKEN),
    "a key that is not ASCII": ("GET", "/private", [api_key("caf\xe9")], 401, INVALID_TOKEN),
    "a key of a megabyte": ("GET", "/private", [api_key("k" * 1_000_000)], 401, INVALID_TOKEN),
    "an expired key": ("GET", "/private", [api_key(OLD_KEY)], 401, INVALID_TOKEN),
    "a disabled key": ("GET", "/private", [api_key(OFF_KEY)], 401, INVALID_TOKEN),
    "a token as a key": ("GET", "/private", [api_key(GOOD)], 401, INVALID_TOKEN),
    "optional, nobody": ("GET", "/maybe", [], 200, ""),
    "optional, somebody": ("GET", "/maybe", [bearer(GOOD)], 200, "somebody"),
    "optional, a bad token": ("GET", "/maybe", [bearer(FORGED)], 401, INVALID_TOKEN),
    "lenient, a bad token": ("GET", "/lenient", [bearer(FORGED)], 200, ""),
    "a preflight": ("OPTIONS", "/private", PREFLIGHT, 204, ""),
    "a preflight below": ("OPTIONS", "/admin/users", PREFLIGHT, 204, ""),
    "a preflight on a page of no list": ("OPTIONS", "/other", PREFLIGHT, 204, ""),
    "a preflight on an odd path": ("OPTIONS", "/public/../private", PREFLIGHT, 204, ""),
    "a preflight on a public page": ("OPTIONS", "/public", PREFLIGHT, 200, ""),
    "a preflight, optional": ("OPTIONS", "/maybe", PREFLIGHT, 200, ""),
    "a preflight, lenient": ("OPTIONS", "/lenient", PREFLIGHT, 200, ""),
    "a preflight of a browser": ("OPTIONS", "/private", [*PREFLIGHT, HTML, CROSS], 204, ""),
    "a preflight with another cookie": ("OPTIONS", "/private", [*PREFLIGHT, ("Cookie", b"theme=dark")], 204, ""),
    "OPTIONS with a good token": ("OPTIONS", "/private", [*PREFLIGHT, bearer(GOOD)], 200, "somebody"),
    "OPTIONS with a good key": ("OPTIONS", "/private", [*PREFLIGHT, api_key(KEY)], 200, "robot"),
    "OPTIONS with a good cookie": ("OPTIONS", "/private", [*PREFLIGHT, cookie(GOOD)], 200, "somebody"),
    "OPTIONS with a bad token": ("OPTIONS", "/private", [*PREFLIGHT, bearer(FORGED)], 401, INVALID_TOKEN),
    "OPTIONS with a bad key": ("OPTIONS", "/private", [*PREFLIGHT, api_key(OLD_KEY)], 401, INVALID_TOKEN),
    "OPTIONS with a bad cookie": ("OPTIONS", "/private", [*PREFLIGHT, cookie(EXPIRED)], 401, INVALID_TOKEN),
    "OPTIONS with Basic": ("OPTIONS", "/private", [*PREFLIGHT, bearer("x", "Basic ")], 401, BEARER),
    "OPTIONS with two credentials": ("OPTIONS", "/private", [*PREFLIGHT, bearer(GOOD), api_key(KEY)], 400, INVALID_REQUEST),
    "OPTIONS without the scope": ("OPTIONS", "/admin", [*PREFLIGHT, bearer(GOOD)], 403, LACKS_SCOPE),
    "OPTIONS without Origin": ("OPTIONS", "/private", PREFLIGHT[1:], 401, BEARER),
    "OPTIONS without a method": ("OPTIONS", "/private", PREFLIGHT[:1], 401, BEARER),
    "a browser": ("GET", "/private", [HTML], 303, "/login?next=%2Fprivate"),
    "a browser that says so": ("GET", "/private?a=1&b=%2F", [NAVIGATES], 303, "/login?next=%2Fprivate%3Fa%3D1%26b%3D%252F"),
    "a browser with HEAD": ("HEAD", "/private", [HTML], 303, "/login?next=%2Fprivate"),
    "a browser with a stale cookie": ("GET", "/private", [HTML, cookie(EXPIRED)], 303, "/login?next=%2Fprivate"),
    "a browser with a broken cookie": ("GET", "/private", [HTML, cookie("%%%")], 303, "/login?next=%2Fprivate"),
    "a browser on an odd path": ("GET", "/public//private", [HTML], 303, "/login"),
    "a script that takes HTML": ("GET", "/private", [HTML, ("Sec-Fetch-Mode", b"cors")], 401, BEARER),
    "a browser that posts": ("POST", "/private", [HTML], 401, BEARER),
    "a browser with a bad token": ("GET", "/private", [HTML, bearer(FORGED)], 401, INVALID_TOKEN),
    "no HTML, please": ("GET", "/private", [("Accept", b"text/html;q=0, */*")], 401, BEARER),
    "a cookie": ("GET", "/private", [cookie(GOOD)], 200, "somebody"),
    "a cookie sent twice": ("GET", "/private", [cookie(GOOD), cookie(GOOD)], 400, INVALID_REQUEST),
    "a cookie of another name": ("GET", "/private", [("Cookie", f"sessions={GOOD}".encode())], 401, BEARER),
    "a bad token beside a good cookie": ("GET", "/private", [bearer(FORGED), cookie(GOOD)], 401, INVALID_TOKEN),
    "a good token beside a good cookie": ("GET", "/private", [bearer(GOOD), cookie(ADMIN)], 200, "somebody"),
    "the token's scopes count, not the cookie's": ("GET", "/admin", [bearer(GOOD), cookie(ADMIN)], 403, LACKS_SCOPE),
    "a good token beside a bad cookie": ("GET", "/private", [bearer(GOOD), cookie(FORGED)], 200, "somebody"),
    "a good token beside two cookies": ("GET", "/private", [bearer(GOOD), cookie(GOOD), cookie(GOOD)], 200, "somebody"),
    "a good token beside a broken cookie": ("GET", "/private", [bearer(GOOD), cookie("%%%")], 200, "somebody"),
    "a good token posted beside a cookie": ("POST", "/private", [bearer(GOOD), cookie(GOOD), CROSS], 200, "somebody"),
    "a good key beside a good cookie": ("GET", "/private", [api_key(KEY), cookie(ADMIN)], 200, "robot"),
    "a good key beside two cookies": ("GET", "/private", [api_key(KEY), cookie(GOOD), cookie(GOOD)], 200, "robot"),
    "a bad key beside a good cookie": ("GET", "/private", [api_key("bad"), cookie(GOOD)], 401, INVALID_TOKEN),
    "an empty key beside a good cookie": ("GET", "/private", [api_key(""), cookie(GOOD)], 401, INVALID_TOKEN),
    "an expired token beside a good cookie": ("GET", "/private", [bearer(EXPIRED), cookie(GOOD)], 401, INVALID_TOKEN),
    "no token after Bearer, beside a cookie": ("GET", "/private", [bearer("", "Bearer"), cookie(GOOD)], 400, INVALID_REQUEST),
    "a browser with a bad key and a cookie": ("GET", "/private", [HTML, api_key("bad"), cookie(GOOD)], 401, INVALID_TOKEN),
    "a browser with a bad token and a cookie": ("GET", "/private", [HTML, bearer(FORGED), cookie(GOOD)], 401, INVALID_TOKEN),
    "an optional page, a bad token and a cookie": ("GET", "/lenient", [bearer(FORGED), cookie(GOOD)], 200, ""),
    "a public page, a bad key and a cookie": ("GET", "/public", [api_key("bad"), cookie(GOOD)], 200, ""),
    "Basic beside a cookie": ("GET", "/private", [bearer("eDp5", "Basic "), cookie(GOOD)], 200, "somebody"),
    "an empty Authorization field beside a cookie": ("GET", "/private", [bearer("", ""), cookie(GOOD)], 200, "somebody"),
    "a cookie, posted by this site": ("POST", "/private", [cookie(GOOD), SAME], 200, "somebody"),
    "a cookie, posted by this origin": ("POST", "/private", [cookie(GOOD), OWN_ORIGIN], 200, "somebody"),
    "a cookie, posted by another site": ("POST", "/private", [cookie(GOOD), CROSS], 403, None),
    "a cookie, posted by a sibling": ("POST", "/private", [cookie(GOOD), SIBLING, OWN_ORIGIN], 403, None),
    "a cookie, posted by Origin null": ("POST", "/private", [cookie(GOOD), ("Origin", b"null")], 403, None),
    "a cookie, posted by who knows": ("POST", "/private", [cookie(GOOD)], 403, None),
    "a cookie, with Basic beside it": ("POST", "/private", [cookie(GOOD), bearer("x", "Basic "), CROSS], 403, None),
    "a token, posted by another site": ("POST", "/private", [bearer(GOOD), CROSS], 200, "somebody"),
    "signing in from another site": ("POST", "/login", [CROSS], 403, None),
    "a token in the query": ("GET", f"/private?access_token={GOOD}", [], 401, BEARER),
    "a token for a proxy": ("GET", "/private", [("Proxy-Authorization", f"Bearer {GOOD}".encode())], 401, BEARER),
    "a token in another field": ("GET", "/private", [("X-Auth-Token", GOOD.encode())], 401, BEARER),
    "the query does not matter": ("GET", "/private?/public", [], 401, BEARER),
    "a magic field": ("GET", "/private", [("X-Original-URL", b"/public"), ("X-Middleware-Subrequest", b"1")], 401, BEARER),
}  # fmt: skip
HTMX = [("HX-Request", b"true"), ("HX-Current-URL", b"http://site.example/page?x=1")]
CASES["HTMX"] = ("GET", "/private", HTMX, 401, BEARER)

FACES = [(name, ask_asgi, make) for name, make in ASGI.items()] + [
    (name, ask_wsgi, make) for name, make in WSGI.items()
]


@pytest.fixture(name="face", params=FACES, ids=[face[0] for face in FACES], scope="module")
def _face(request: pytest.FixtureRequest) -> Any:
    _, ask, make = request.param
    app = make(guard(), lambda: NOW)
    return lambda *what: ask(app, *what)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_answer(face: Any, case: str) -> None:
    """Every adapter gives the answer of the table."""
    method, path, fields, status, seen = CASES[case]
    answer = face(method, path, fields)
    assert answer.status == status, answer
    if status == 200:
        assert method == "HEAD" or answer.body.decode() == seen
    elif status == 204:
        assert (answer.body, answer.headers) == (b"", {})
    elif status == 303:
        assert answer.headers["location"] == seen
        assert_never_stored(answer)
    else:
        assert_problem(answer, method)
        assert answer.headers.get("www-authenticate", "").startswith(seen or "")


def assert_never_stored(answer: Answer) -> None:
    """Refusals are not kept by caches."""
    assert answer.headers["cache-control"] == "no-store"


def assert_problem(answer: Answer, method: str) -> None:
    """An RFC 9457 document that agrees with the status; HEAD has none."""
    assert_never_stored(answer)
    assert answer.headers["content-type"] == "application/problem+json"
    if method == "HEAD":
        assert answer.body == b""
    else:
        assert json.loads(answer.body)["status"] == answer.status
        assert int(answer.headers["content-length"]) == len(answer.body)


class Partners:
    """A verifier of an application, for keys in a field of their own."""

    header = "X-Partner-Key"

    def verify(self, credential: Any) -> Principal:
        return Principal(f"partner {credential.value}", method="api_key")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([api_key(KEY)], 200),
        ([api_key(KEY), ("X-Partner-Key", b"p")], 400),
        ([("X-Partner-Key", b"p"), api_key(KEY)], 400),
        ([("X-Partner-Key", KEY.encode()), api_key(KEY)], 400),
        ([("X-Partner-Key", b""), api_key(KEY)], 400),
        ([("X-Partner-Key", b"p"), ("X-Partner-Key", b"p")], 400),
        ([("X-Partner-Key", b"p,q")], 400),
        ([("X-Partner-Key", b"p"), bearer(GOOD)], 400),
        ([("X-Partner-Key", b"p"), bearer(KEY)], 400),
    ],
    ids=[
        "one key",
        "a key, then another",
        "another, then a key",
        "the same key twice",
        "an empty field",
        "one field twice",
        "joined",
        "a key and a token",
        "a key and a key as Bearer",
    ],
)
@pytest.mark.parametrize(("ask", "make"), [pytest.param(*face[1:], id=face[0]) for face in FACES])
def test_keys_in_two_fields_are_two_credentials(ask: Any, make: Any, fields: list[Any], status: int) -> None:
    """Which of them counts would be a guess, also where both are the same."""
    two = Guard(
        JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE),
        APIKeyVerifier({KEY: APIKey("robot")}),
        Partners(),
    )
    answer = ask(make(two, lambda: NOW), "GET", "/private", fields)
    assert answer.status == status
    if status == 400:
        assert_problem(answer, "GET")
        assert answer.headers["www-authenticate"].startswith(INVALID_REQUEST)


def test_htmx_is_told_where_to_sign_in(face: Any) -> None:
    """HTMX gets a field that it follows, and comes back to the page and not to the fragment."""
    answer = face("GET", "/private", HTMX)
    assert answer.headers["hx-redirect"] == "/login?next=%2Fpage%3Fx%3D1"


def test_all_invalid_tokens_get_the_same_answer(face: Any) -> None:
    """Nothing tells which check failed."""
    bad = [EXPIRED, FORGED, token(iss="x"), token(aud="x"), "a.b.c", KEY + "x"]
    answers = {face("GET", "/private", [bearer(text)]).body for text in bad}
    assert len(answers) == 1


def test_key_and_cookie_responses_are_kept_apart_by_caches(face: Any) -> None:
    """Shared caches know nothing of API keys and cookies, and must be told."""
    assert face("GET", "/private", [api_key(KEY)]).headers["vary"] == "x-api-key"
    assert face("GET", "/private", [cookie(GOOD)]).headers["cache-control"] == "private"


def test_a_login_page_that_sends_straight_back_makes_no_circle(face: Any) -> None:
    """The second time within seconds the answer is the challenge; on another page it is the login page."""
    first = face("GET", "/recent", [HTML, cookie(STALE)])
    name, _, rest = first.headers["set-cookie"].partition("=")
    value, *attributes = rest.split("; ")
    assert name == "session-step-up"
    assert set(attributes) == {"Max-Age=10", "Path=/", "HttpOnly", "SameSite=Lax"}
    back = ("Cookie", f"session={STALE}; {name}={value}".encode())
    again = face("GET", "/recent", [HTML, back])
    assert (again.status, "set-cookie" in again.headers) == (401, False)
    assert again.headers["www-authenticate"].startswith(STEP_UP)
    assert face("GET", "/strong", [HTML, back]).status == 303
    twice = ("Cookie", f"session={STALE}; {name}={value}; {name}=x".encode())
    assert face("GET", "/recent", [HTML, twice]).status == 401


def test_htmx_is_told_where_to_sign_in_anew(face: Any) -> None:
    """A fragment of a page that is open to old sign-ins may ask for a recent one."""
    answer = face("GET", "/recent", [*HTMX, cookie(STALE)])
    assert answer.headers["hx-redirect"] == "/login?next=%2Fpage%3Fx%3D1&max_age=300"
    assert answer.headers["www-authenticate"].startswith(STEP_UP)


def test_the_document_of_a_sign_in_has_its_code(face: Any) -> None:
    """Programs tell it from other 401s."""
    document = json.loads(face("GET", "/recent", [bearer(STALE)]).body)
    assert document["code"] == "insufficient_user_authentication"


ROUTE_CASES: dict[str, tuple[dict[str, Any], list[Any], int]] = {
    "anybody, nobody": ({}, [], 401),
    "anybody, somebody": ({}, [bearer(GOOD)], 200),
    "anybody, a forged token": ({}, [bearer(FORGED)], 401),
    "anybody, two tokens": ({}, [bearer(GOOD), bearer(GOOD)], 400),
    "anybody, a browser": ({}, [HTML], 303),
    "anybody, a key": ({}, [api_key(KEY)], 200),
    "a scope, there": ({"scopes": ["read"]}, [bearer(GOOD)], 200),
    "two scopes, one there": ({"scopes": ["read", "admin"]}, [bearer(GOOD)], 403),
    "two scopes, both there": ({"scopes": ["read", "admin"]}, [bearer(ADMIN)], 200),
    "any of two, one there": ({"any_of": ["read", "write"]}, [bearer(GOOD)], 200),
    "any of two, none there": ({"any_of": ["write", "admin"]}, [bearer(GOOD)], 403),
    "a role, there": ({"roles": ["clerk"]}, [bearer(GOOD)], 200),
    "a role, missing": ({"roles": ["boss"]}, [bearer(GOOD)], 403),
    "a recent sign-in": ({"max_age": 300}, [bearer(FRESH)], 200),
    "a sign-in too long ago": ({"max_age": 300}, [bearer(STALE)], 401),
    "a recent sign-in, a key": ({"max_age": 300}, [api_key(KEY)], 401),
    "a recent sign-in, nobody": ({"max_age": 300}, [], 401),
    "a recent sign-in, a browser": ({"max_age": 300}, [HTML], 303),
    "an acr, there": ({"acr": "phr"}, [bearer(FRESH)], 200),
    "an acr, missing": ({"acr": ["phr"]}, [bearer(STALE)], 401),
    "a scope before a sign-in": ({"scopes": ["x"], "max_age": 300}, [bearer(STALE)], 403),
    "a scope, a forged token": ({"scopes": ["admin"]}, [bearer(FORGED)], 401),
}


@pytest.mark.parametrize("framework", DECORATED)
@pytest.mark.parametrize("case", ROUTE_CASES)
def test_decorated_route(framework: str, case: str) -> None:
    """A decorator on an open path asks for just what a rule would."""
    requirement, fields, status = ROUTE_CASES[case]
    make, ask = DECORATED[framework]
    open_guard = Guard(
        JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE),
        APIKeyVerifier({KEY: APIKey("robot", scopes=["read"])}),
        public_paths=["/route"],
        login_path="/login",
    )
    answer = ask(make(open_guard, lambda: NOW, requirement), "GET", "/route", fields)
    assert answer.status == status
    if status in (400, 401, 403):
        assert_problem(answer, "GET")
        assert answer.headers["www-authenticate"].startswith(BEARER)
    if status == 303:
        assert answer.headers["location"] == "/login?next=%2Froute"


@pytest.mark.parametrize("framework", DECORATED)
def test_a_decorated_route_challenges_as_a_rule_does(framework: str) -> None:
    """By the clock of the middleware, on every request: a known token grows old."""
    make, ask = DECORATED[framework]
    times = [NOW]
    open_guard = Guard(
        JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE),
        protected_paths=["/route"],
        login_path="/login",
        cookie=AccessCookie("session", secure=False),
    )
    app = make(open_guard, lambda: times[0], {"acr": ["phrh", "phr"], "max_age": 300})
    assert ask(app, "GET", "/route", [bearer(FRESH)]).status == 200
    times[0] += 1
    answer = ask(app, "GET", "/route", [bearer(FRESH)])
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == f'{STEP_UP}, acr_values="phrh phr", max_age="300"'
    browser = ask(app, "GET", "/route", [HTML, cookie(FRESH)])
    assert browser.headers["location"] == "/login?next=%2Froute&acr_values=phrh+phr&max_age=300"


@pytest.mark.parametrize("framework", DECORATED)
def test_the_stricter_of_rule_and_decorator_wins(framework: str) -> None:
    """A rule and a decorator are both enforced."""
    make, ask = DECORATED[framework]
    strict = Guard(
        JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE),
        protected_paths=[Rule("/route", scopes=["admin"])],
    )
    app = make(strict, lambda: NOW, {"roles": ["clerk"]})
    assert ask(app, "GET", "/route", [bearer(GOOD)]).status == 403
    assert ask(app, "GET", "/route", [bearer(ADMIN)]).status == 403
    both = token(scope="admin", roles=["clerk"])
    assert ask(app, "GET", "/route", [bearer(both)]).status == 200
