"""The requirements of the guard, the rules and the routes in the OpenAPI document."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Security
from fastapi.security import APIKeyCookie
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from authguard import AccessCookie, APIKey, APIKeyVerifier, Guard, JWTVerifier, Principal, Quota, Rule
from authguard.fastapi import CurrentUser, current_user, install, requires
from support import SECRET

JWT = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
PROBLEM = {
    "application/problem+json": {"schema": {"$ref": "#/components/schemas/AuthGuardProblem"}},
    "text/html": {"schema": {"type": "string"}},
}


def keys(word: str, **options: Any) -> APIKeyVerifier:
    return APIKeyVerifier(
        {f"{word}_live_" + "k3Yz9" * 8: APIKey("robot")}, prefixes=[f"{word}_live_"], **options
    )


def get(app: FastAPI, path: str, method: str = "get") -> dict[str, Any]:
    operation: dict[str, Any] = app.openapi()["paths"][path][method]
    return operation


def installed(*paths: str, **options: Any) -> FastAPI:
    app = FastAPI()
    for path in paths:
        app.get(path)(lambda: "")
        app.post(path)(lambda: "")
    install(app, Guard(JWT, **options))
    return app


def test_two_key_fields_are_two_schemes() -> None:
    """Each field for keys is a scheme of its own, and the usual field has the usual name."""
    app = FastAPI()
    app.add_api_route("/x", lambda: "")
    verifiers = [keys("pk", header="X-Partner-Key"), keys("sk"), keys("ak", header="A-Key")]
    install(app, Guard(*verifiers))
    schemes = app.openapi()["components"]["securitySchemes"]
    assert {name: scheme["name"] for name, scheme in schemes.items() if name != "Bearer"} == {
        "APIKey": "x-api-key",
        "APIKey-A-Key": "a-key",
        "APIKey-X-Partner-Key": "x-partner-key",
    }
    assert get(app, "/x")["security"] == [{name: []} for name in schemes]


@pytest.mark.parametrize(
    ("cookie", "name"),
    [
        (AccessCookie(), "__Host-access_token"),
        (AccessCookie(name="sid", secure=False), "sid"),
        (AccessCookie(name="CF_Authorization", host_prefix=False), "CF_Authorization"),
    ],
)
def test_the_cookie_is_a_scheme(cookie: AccessCookie, name: str) -> None:
    """The scheme of the cookie has its full name, and unsafe methods have a 403 for other origins."""
    app = installed("/x", cookie=cookie)
    schemes = app.openapi()["components"]["securitySchemes"]
    assert schemes["Cookie"] == {"type": "apiKey", "in": "cookie", "name": name}
    assert {"Cookie": []} in get(app, "/x")["security"]
    assert "403" not in get(app, "/x")["responses"]
    assert "another site" in get(app, "/x", "post")["responses"]["403"]["description"]


def test_what_rules_ask_is_named() -> None:
    """The document has scopes and a single role of a rule in its security, and choices in its description."""
    rules = [
        "/",
        Rule("/scopes", scopes=["b", "a"]),
        Rule("/role", roles=["editor"]),
        Rule("/choice", any_of=["x", "y"], roles=["boss", "owner"]),
        Rule("/posts", methods=["POST"], scopes=["write"]),
    ]
    app = installed("/scopes", "/role", "/choice", "/posts", "/any", protected_paths=rules)
    assert get(app, "/scopes")["security"] == [{"Bearer": ["a", "b"]}]
    assert get(app, "/role")["security"] == [{"Bearer": ["editor"]}]
    assert get(app, "/choice")["security"] == [{"Bearer": []}]
    words = get(app, "/choice")["responses"]["403"]["description"]
    assert all(name in words for name in ("x", "y", "boss", "owner"))
    assert "scope a and scope b" in get(app, "/scopes")["responses"]["403"]["description"]
    assert get(app, "/posts")["security"] == get(app, "/any")["security"] == [{"Bearer": []}]
    assert get(app, "/posts", "post")["security"] == [{"Bearer": ["write"]}]
    assert "403" not in get(app, "/any")["responses"]


def test_what_routes_ask_is_named() -> None:
    """The document has the scopes of decorators and of dependencies in each place, beside those of rules."""

    @requires("helper")
    async def helper() -> AsyncIterator[str]:
        yield ""

    class Commons:
        @requires("commons")
        def __init__(self) -> None: ...

    app = FastAPI()
    router = APIRouter(prefix="/router", dependencies=[Depends(requires("routed"))])

    @app.get("/decorated")
    @requires("read", roles=["editor"])
    async def _decorated() -> None: ...

    @app.get("/user")
    async def _user(user: Annotated[Principal, Security(current_user, scopes=["write"])]) -> None: ...

    @app.get("/helped")
    async def _helped(
        value: Annotated[str, Depends(helper)], two: Annotated[Any, Depends(Commons)]
    ) -> None: ...

    @router.get("/{item}")
    async def _item(item: int) -> None: ...

    app.include_router(router, prefix="/v1")
    app.add_api_route("/open", lambda: "")
    rules = [Rule("/helped", scopes=["rule"])]
    install(app, Guard(JWT, protected_paths=rules))
    assert get(app, "/decorated")["security"] == [{"Bearer": ["editor", "read"]}]
    assert get(app, "/user")["security"] == [{"Bearer": ["write"]}]
    assert get(app, "/helped")["security"] == [{"Bearer": ["commons", "helper", "rule"]}]
    assert get(app, "/v1/router/{item}")["security"] == [{"Bearer": ["routed"]}]
    assert "security" not in get(app, "/open")
    assert {"401", "403"} <= set(get(app, "/decorated")["responses"])
    assert not {"401", "403"} & set(get(app, "/open")["responses"])
    assert "authguard_connection" not in str(app.openapi())


def test_refusals_are_problem_documents() -> None:
    """A refusal is documented with a challenge and a schema, unless the route documents the status itself."""
    app = FastAPI()

    @app.get("/mine", responses={403: {"description": "Mine."}})
    @requires("read")
    async def _mine() -> None: ...

    install(app, Guard(JWT))
    unauthenticated = get(app, "/mine")["responses"]["401"]
    assert unauthenticated["content"] == PROBLEM
    assert "WWW-Authenticate" in unauthenticated["headers"]
    assert get(app, "/mine")["responses"]["403"] == {"description": "Mine."}
    schema = app.openapi()["components"]["schemas"]["AuthGuardProblem"]
    answer = TestClient(app).get("/mine").json()
    assert set(answer) == set(schema["required"]) == set(schema["properties"]) - {"violated-policies"}


def test_optional_routes_are_optional() -> None:
    """An optional rule adds the empty requirement, unless the route requires a caller."""
    app = FastAPI()
    app.add_api_route("/strict", lambda: "")
    app.add_api_route("/lenient", lambda: "")

    @app.get("/strict/me")
    async def _me(user: CurrentUser) -> None: ...

    rules = [Rule("/strict", optional="strict"), Rule("/lenient", optional="lenient")]
    install(app, Guard(JWT, protected_paths=rules))
    assert get(app, "/strict")["security"] == get(app, "/lenient")["security"] == [{}, {"Bearer": []}]
    assert "401" in get(app, "/strict")["responses"]
    assert "401" not in get(app, "/lenient")["responses"]
    assert get(app, "/strict/me")["security"] == [{"Bearer": []}]


@pytest.mark.parametrize("mount_first", [True, False])
def test_mounted_applications_are_marked_by_the_path_from_outside(mount_first: bool) -> None:
    """The document of a mounted application has the rules of its outer path, also if it is mounted later."""
    sub, deep = FastAPI(), FastAPI()
    sub.add_api_route("/open", lambda: "")
    sub.add_api_route("/admin", lambda: "")
    deep.add_api_route("/admin", lambda: "")
    app = FastAPI()
    guard = Guard(
        JWT,
        protected_paths=["/sub", Rule("/sub/admin", scopes=["a"]), Rule("/sub/in/deep/admin", scopes=["d"])],
        public_paths=["/sub/open", "/sub/openapi.json", "/sub/in/deep/openapi.json"],
    )
    if mount_first:
        app.mount("/sub", sub)
        sub.mount("/in", Starlette(routes=[Mount("/deep", deep)]))
    install(app, guard)
    if not mount_first:
        app.mount("/sub", sub)
        sub.mount("/in", Starlette(routes=[Mount("/deep", deep)]))
    client = TestClient(app)
    for _ in range(2):
        paths = client.get("/sub/openapi.json").json()["paths"]
        assert "security" not in paths["/open"]["get"]
        assert paths["/admin"]["get"]["security"] == [{"Bearer": ["a"]}]
        paths = client.get("/sub/in/deep/openapi.json").json()["paths"]
        assert paths["/admin"]["get"]["security"] == [{"Bearer": ["d"]}]
    assert sub.openapi() is sub.openapi()


def test_a_sample_is_no_word_of_a_rule() -> None:
    """A path template is not documented with a rule for one of its values."""
    rules = [Rule("/items/x", scopes=["special"]), Rule("/items/XX", scopes=["special"]), "/"]
    app = installed("/items/{item}", "/v{version}/x", protected_paths=rules)
    assert get(app, "/items/{item}")["security"] == [{"Bearer": []}]
    assert get(app, "/v{version}/x")["security"] == [{"Bearer": []}]


def test_names_of_scopes_are_left_out_before_openapi_3_1() -> None:
    """OpenAPI 3.0 has no scopes for these schemes, so that only the description of the 403 names them."""
    app = FastAPI()
    app.openapi_version = "3.0.3"
    app.add_api_route("/x", lambda: "")
    install(app, Guard(JWT, protected_paths=[Rule("/x", scopes=["read"])]))
    assert get(app, "/x")["security"] == [{"Bearer": []}]
    assert "read" in get(app, "/x")["responses"]["403"]["description"]


def test_other_schemes_and_later_routes() -> None:
    """A scheme of the application is required beside the guard's, and a later route is documented."""
    app = FastAPI()

    @app.get("/both")
    async def _both(user: CurrentUser, session: Annotated[str, Security(APIKeyCookie(name="s"))]) -> None: ...

    install(app, Guard(JWT))
    app.add_api_route("/late", lambda: "")
    assert get(app, "/both")["security"] == [{"Bearer": [], "APIKeyCookie": []}]
    assert get(app, "/late")["security"] == [{"Bearer": []}]


def test_the_root_path_is_seen() -> None:
    """A rule with the root path in its pattern is documented."""
    app = FastAPI()
    app.root_path = "/api"
    app.add_api_route("/admin", lambda: "")
    install(app, Guard(JWT, protected_paths=["/", Rule("/api/admin", scopes=["a"])]))
    assert get(app, "/admin")["security"] == [{"Bearer": ["a"]}]


def test_a_document_of_the_application_s_own_is_marked() -> None:
    """A document that the application makes itself has the rules, also if it is set after the guard."""
    for after in (False, True):
        app = FastAPI()
        app.add_api_route("/x", lambda: "")
        guard = Guard(JWT, protected_paths=[Rule("/x", optional="strict")], public_paths=["/openapi.json"])
        if after:
            install(app, guard)
        original = app.openapi

        def own(original: Any = original) -> dict[str, Any]:
            return {**original(), "x-own": 1}

        app.openapi = own  # type: ignore[method-assign]
        if not after:
            install(app, guard)
        document = TestClient(app).get("/openapi.json").json()
        assert document["x-own"] == 1
        assert document["paths"]["/x"]["get"]["security"] == [{}, {"Bearer": []}]


def test_two_guards_are_both_marked() -> None:
    """The document of a mounted application has the rules of its own guard and of the outer one."""
    sub, app = FastAPI(), FastAPI()
    sub.add_api_route("/x", lambda: "")
    install(sub, Guard(JWT, protected_paths=[Rule("/x", scopes=["inner"])]))
    app.mount("/sub", sub)
    install(app, Guard(JWT, protected_paths=[Rule("/sub", scopes=["outer"])]))
    assert get(sub, "/x")["security"] == [{"Bearer": ["inner", "outer"]}]


def test_an_operation_with_a_quota_may_answer_429() -> None:
    """A 429 is documented for paths that take from a quota, with the fields for the time to wait."""
    rules = ["/x", Rule("/free", cost=0), Rule("/maybe", optional="lenient")]
    app = installed(
        "/x", "/free", "/maybe", "/open", protected_paths=rules, public_paths=["/open"], quotas=[Quota(9, 60)]
    )
    answer = get(app, "/x")["responses"]["429"]
    assert (answer["content"], list(answer["headers"])) == (
        PROBLEM, ["Retry-After", "RateLimit-Policy", "RateLimit"],
    )  # fmt: skip
    assert set(get(app, "/maybe")["responses"]) == {"200", "429", "503"}
    assert [path for path in ("/free", "/open") if "429" in get(app, path)["responses"]] == []


def test_a_quota_of_a_rule_alone_is_documented() -> None:
    """A 429 is documented for a rule with an enforced quota, and for no other path."""
    rules = [Rule("/x", quota=Quota(9, 60)), "/y", Rule("/z", quota=Quota(9, 60, enforce=False))]
    app = installed("/x", "/y", "/z", protected_paths=rules)
    assert [path for path in ("/x", "/y", "/z") if "429" in get(app, path)["responses"]] == ["/x"]


def test_a_decorator_on_a_public_path_is_counted_and_documented() -> None:
    """A 429 is documented for a dependency on a public path, which takes from the quotas."""
    app = FastAPI()

    @app.get("/mine")
    def mine(user: CurrentUser) -> str:
        return user.subject

    install(app, Guard(JWT, public_paths=["/**"], quotas={"free": [Quota(9, 60)], None: []}))
    assert "429" in get(app, "/mine")["responses"]


@pytest.mark.parametrize(
    ("options", "pages"),
    [
        ({"public_paths": ["/docs"]}, ["/docs"]),
        ({"public_paths": ["/docs", "/redoc"]}, ["/docs", "/redoc"]),
        ({"public_paths": ["/docs", "/openapi.json"]}, []),
        ({"public_paths": ["/"]}, []),
        ({"protected_paths": ["/api"]}, []),
        ({"protected_paths": ["/openapi.json"]}, ["/docs", "/redoc"]),
    ],
    ids=repr,
)
def test_an_open_page_without_its_document_is_warned_of(
    caplog: pytest.LogCaptureFixture, options: dict[str, Any], pages: list[str]
) -> None:
    """A public page of the documentation that stays empty causes a WARNING with both paths."""
    installed("/api", **options)
    assert [each.getMessage().partition(" ")[0] for each in caplog.records] == pages
    assert all(f"write public_paths=[…, {page!r}, '/openapi.json']" in caplog.text for page in pages)


def test_an_application_without_documentation_has_no_empty_page(caplog: pytest.LogCaptureFixture) -> None:
    """Without a document or without its pages, nothing is empty."""
    for options in ({"openapi_url": None}, {"docs_url": None, "redoc_url": None}):
        install(FastAPI(**options), Guard(JWT, public_paths=["/docs", "/redoc"]))
    assert caplog.text == ""
