"""Define the guard, the callers and the form of the table of `test_same_answers.py`."""

import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adapters.faces import Field
from authguard import AccessCookie, APIKey, APIKeyVerifier, Guard, JWTVerifier, Rule
from authguard.errors import InsufficientUserAuthenticationError
from authguard.testing import issue_token

NOW = 1_800_000_000.0
#: The secrets are new for each run of the tests. A server that the tests start inherits the variable, and has
#: the same secrets. Its name does not begin with AUTHGUARD_, because `authguard serve` treats such variables
#: as settings.
_SEED = os.environ.setdefault("ANSWERING_SEED", secrets.token_urlsafe(40))


def _secret(name: str) -> str:
    return hashlib.sha256(f"{_SEED} {name}".encode()).hexdigest()


SECRET = _secret("secret")
ISSUER, AUDIENCE = "https://issuer.example", "https://api.example"
KEY, OLD_KEY, OFF_KEY = (f"sk_live_Aa{_secret(name)}" for name in ("key", "old key", "disabled key"))


def token(key: str = SECRET, **claims: Any) -> str:
    """Return a token for the guard below, at NOW."""
    return issue_token(key, now=NOW, **({"iss": ISSUER, "aud": AUDIENCE} | claims))


GOOD = token(scope="read", roles=["clerk"])
ADMIN = token(scope="read admin", roles=["boss"])
EXPIRED = token(exp=NOW - 31)
FORGED = token(secrets.token_urlsafe(40))
FRESH = token(scope="read admin", auth_time=NOW - 300, acr="phr")
STALE = token(scope="read admin", auth_time=NOW - 301, acr="pwd")


def guard(**options: Any) -> Guard:
    """Return a guard with a rule of every kind."""
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
            Rule("/hooks", credentials=["api_key"]),
            Rule("/form", credentials=["cookie"], scopes=["read"]),
            Rule("/api", login_redirect=False, scopes=["read"]),
        ],
        public_paths=["/", "/public", Rule("/socket", methods=["WEBSOCKET"])],
        login_path="/login",
        cookie=AccessCookie("session", secure=False),
        **options,
    )


def bearer(text: str, scheme: str = "Bearer ") -> tuple[str, bytes]:
    """Return an Authorization field."""
    return ("Authorization", scheme.encode() + text.encode("latin-1"))


def api_key(text: str) -> tuple[str, bytes]:
    """Return an X-API-Key field."""
    return ("X-API-Key", text.encode("latin-1"))


def cookie(text: str) -> tuple[str, bytes]:
    """Return a Cookie field."""
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
HTMX = [("HX-Request", b"true"), ("HX-Current-URL", b"http://site.example/page?x=1")]


@dataclass(frozen=True, kw_only=True)
class Case:
    """Describe a request, and the answer to it.

    Attributes:
        method: of the request.
        path: of the request, with a query or without.
        fields: header fields, in their order.
        status: of the answer.
        subject: the subject that the application saw, if the status is 200; empty for the anonymous caller.
        challenge: the beginning of the field WWW-Authenticate, if the request is refused.
        location: the target of the redirect, if the status is 303.
        page: whether the body is a page, if the request is refused.
    """

    method: str = "GET"
    path: str = "/private"
    fields: Sequence[Field] = ()
    status: int = 200
    subject: str = ""
    challenge: str = ""
    location: str = ""
    page: bool = False
