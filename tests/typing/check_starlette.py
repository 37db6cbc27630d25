"""Check the types of the public face with Starlette; this module is never run."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from collections.abc import Callable, Mapping
from typing import Any, Literal, assert_type

from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket

from authguard import (
    ANONYMOUS,
    AccessCookie,
    APIKey,
    APIKeyFile,
    APIKeyVerifier,
    Credential,
    Guard,
    InvalidTokenError,
    JWTVerifier,
    MemoryRevocations,
    Principal,
    Refusal,
    RequestView,
    Rule,
    Verdict,
    digest_api_key,
    safe_next,
)
from authguard.asgi import AuthGuardMiddleware
from authguard.starlette import RefusedHTTPException, current_principal, current_user, optional_user, requires
from authguard.testing import issue_token, override


async def find_key(digest: str) -> APIKey | None:
    """Look up API keys, in an `async` function."""
    assert_type(digest, str)
    return None


def find_key_now(digest: str) -> APIKey | None:
    """Look up API keys, in a plain function."""
    return APIKey("billing", scopes=["read"]) if digest else None


class OpaqueVerifier:
    """Represent a verifier of the application."""

    async def verify(self, credential: Credential) -> Principal:
        """Refuse every caller."""
        assert_type(credential.value, str)
        raise InvalidTokenError


class PlainVerifier:
    """Represent a plain verifier of the application."""

    def verify(self, credential: Credential) -> Principal:
        """Accept every caller."""
        return Principal(credential.value)


class SharedRevocations:
    """Represent a store of logouts of the application."""

    async def is_revoked(self, principal: Principal) -> bool:
        """Return that no caller has logged out."""
        return principal.token_id is None


def answer(request: RequestView, refusal: Refusal) -> Refusal:
    """Return another body for refusals."""
    assert_type(request.path, str)
    assert_type(refusal.status, int)
    return refusal.with_json({"error": refusal.status}).with_header("x-reason", "see above")


async def answer_later(request: RequestView, refusal: Refusal) -> Refusal:
    """Return another body for refusals, in an `async` function."""
    return refusal.with_body("no", "text/plain")


async def is_customer(issuer: str) -> bool:
    return issuer != ""


org: dict[str, str] = {"repository_owner": "acme"}
JWTVerifier("secret", algorithms=["HS256"], issuer=is_customer, audience="api", claims=org)
JWTVerifier(
    "secret",
    algorithms=["HS256"],
    issuer="https://login.example/{tenantid}",
    tenants=("a", "b"),
    audience=None,
    header="X-Token",
    client_ids="web",
    claims={"verified": True, "level": [1, 2], ("a", "b"): "c"},
    header_claims={"signer": "a"},
    subject_claims=["upn", ("a", "b")],
    role_claims=[("a", "b"), "roles"],
    tier_claim=("a", "tier"),
    id_tokens=True,
)
jwt = JWTVerifier("secret", algorithms=["HS256"], issuer="https://auth.example.com", audience=["a", "b"])
cookie = AccessCookie(secure=True, trusted_origins=["https://app.example.com"])
guard = Guard(
    jwt,
    APIKeyVerifier({"sk_live_0123456789abcdef": APIKey("billing")}),
    APIKeyVerifier(APIKeyFile("keys.toml"), header="X-Key"),
    APIKeyVerifier(find_key, prefixes=["pk_"], cache_ttl=0),
    APIKeyVerifier(find_key_now),
    OpaqueVerifier(),
    PlainVerifier(),
    protected_paths=["/dashboard", Rule("/feed", optional="strict"), Rule("/admin", scopes=["admin"])],
    public_paths=("/", "/static"),
    login_path="/login",
    cookie=cookie,
    revocations=MemoryRevocations(),
    user_loader=lambda principal: principal.subject,
    on_error=answer,
)
Guard(jwt, revocations=SharedRevocations(), on_error=answer_later)

assert_type(guard.explain("GET", "/admin"), Verdict)
assert_type(guard.explain("GET", "/admin").protected, bool)
assert_type(guard.safe_next("/dashboard"), str)
assert_type(safe_next(None, default="/home"), str)
assert_type(cookie.issue("token", max_age=900), str)
assert_type(digest_api_key("sk_live_0123456789abcdef"), str)
assert_type(issue_token("secret", scopes=["read"], iss="https://auth.example.com"), str)
assert_type(ANONYMOUS, Principal)
assert_type(ANONYMOUS.scopes, frozenset[str])
assert_type(ANONYMOUS.claims, Mapping[str, Any])
assert_type(ANONYMOUS.expires_at, float | None)
assert_type(ANONYMOUS.method, Literal["bearer", "api_key", "cookie", "dpop", "header", ""])
assert_type(ANONYMOUS.is_authenticated, bool)

with override(guard, Principal("ada")):
    pass
with override(guard, object(), principal=Principal("ada")):
    pass

app = Starlette(middleware=[Middleware(AuthGuardMiddleware, guard=guard)])
app.add_middleware(AuthGuardMiddleware, guard=guard)
AuthGuardMiddleware(app, guard=guard)


@requires("read", any_of=["a", "b"], roles=["editor"])
async def page(request: Request) -> JSONResponse:
    """Check an `async` endpoint."""
    principal = current_principal(request)
    assert_type(principal, Principal)
    return JSONResponse({"subject": principal.subject})


@requires()
def plain_page(request: Request) -> JSONResponse:
    """Check a plain endpoint."""
    return JSONResponse({"subject": current_principal(request).subject})


class User:
    """Represent a user of the application."""

    name = ""


async def own_page(request: Request) -> JSONResponse:
    """Check that the user has the named class."""
    user, visitor = current_user(request, User), optional_user(request, User)
    assert_type(user, User)
    assert_type(visitor, User | None)
    str(user.subject)  # type: ignore[attr-defined]
    str(visitor.name)  # type: ignore[union-attr]
    assert_type(current_user(request), Principal)
    assert_type(optional_user(request), Principal | None)
    return JSONResponse({"name": user.name if visitor else ""})


@requires("stream")
async def stream(websocket: WebSocket) -> None:
    """Check a websocket."""
    assert_type(current_principal(websocket), Principal)


@requires("read")
class Page(HTTPEndpoint):
    """Check an endpoint class."""


# A decorated endpoint keeps its type.
endpoint: Callable[[Request], JSONResponse] = plain_page
page_class: type[Page] = Page


async def call(request: Request) -> None:
    """Check that a decorated endpoint keeps its return type."""
    assert_type(await page(request), JSONResponse)
    assert_type(plain_page(request), JSONResponse)


def refused(request: Request, error: RefusedHTTPException) -> JSONResponse:
    """Check a handler with the application's own answer."""
    base: HTTPException = error
    return JSONResponse({"error": base.status_code, "code": error.refusal.status}, headers=base.headers)
