"""The security schemes of the OpenAPI document, and the operations that require no caller."""

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Security
from fastapi.security import APIKeyHeader, APIKeyQuery, HTTPBasic, OAuth2PasswordBearer

from adapters.test_openapi import JWT, get, keys
from authguard import (
    AccessCookie,
    ClientAuth,
    DPoP,
    Guard,
    IntrospectionVerifier,
    JWTVerifier,
    MutualTLS,
    Principal,
    Rule,
)
from authguard._core.model import Kind
from authguard.fastapi import (
    CurrentPrincipal,
    CurrentUser,
    OptionalUser,
    current_principal,
    install,
    optional_user,
)
from support import SECRET

ISSUER = "https://auth.example.com"
DISCOVERY = f"{ISSUER}/.well-known/openid-configuration"


def schemes(guard: Guard, version: str = "3.1.0") -> tuple[dict[str, Any], list[Any]]:
    """Return the schemes of a document, and the security of its only operation."""
    app = FastAPI()
    app.openapi_version = version
    app.add_api_route("/x", lambda: "")
    install(app, guard)
    return app.openapi()["components"]["securitySchemes"], get(app, "/x")["security"]


def scoped(*verifiers: Any, **options: Any) -> Guard:
    return Guard(*verifiers, protected_paths=[Rule("/x", scopes=["read"])], **options)


def test_a_token_that_is_bound_to_a_key_comes_with_its_proof() -> None:
    """A token that is bound to a key is a scheme of its own, together with the scheme of the proof."""
    components, security = schemes(scoped(JWT, proofs=[DPoP("https://api.example.com")]))
    assert components["DPoP"] == {"type": "http", "scheme": "dpop", "bearerFormat": "JWT"}
    proof = components["DPoPProof"]
    assert (proof["type"], proof["in"], proof["name"]) == ("apiKey", "header", "DPoP")
    assert security == [{"Bearer": ["read"]}, {"DPoP": ["read"], "DPoPProof": []}]


@pytest.mark.parametrize(("version", "known"), [("3.1.0", True), ("3.0.3", False)])
def test_a_certificate_is_a_scheme_since_openapi_3_1(version: str, known: bool) -> None:
    """OpenAPI 3.1 has a scheme for a certificate, together with the token that is bound to it."""
    components, security = schemes(Guard(JWT, proofs=[MutualTLS()]), version)
    assert ("MutualTLS" in components) is known
    assert security == [{"Bearer": []}, *([{"Bearer": [], "MutualTLS": []}] if known else [])]


@pytest.mark.parametrize(("version", "names"), [("3.1.0", ["read"]), ("3.0.3", [])])
def test_an_issuer_whose_metadata_are_looked_for_is_a_scheme(version: str, names: list[str]) -> None:
    """An issuer with metadata is a scheme by which tools find the endpoint for tokens, with scopes."""
    verifier = JWTVerifier.from_issuer(ISSUER, audience="api")
    components, security = schemes(scoped(verifier), version)
    assert components["OpenIDConnect"] == {"type": "openIdConnect", "openIdConnectUrl": DISCOVERY}
    assert security == [{"Bearer": names}, {"OpenIDConnect": ["read"]}]


def test_roles_are_no_scopes_of_an_issuer() -> None:
    """A role is required of a caller, and no scope that a client may request from its issuer."""
    rule = Rule("/**", scopes=["read"], roles=["boss"])
    verifier = JWTVerifier.from_issuer(ISSUER, audience="api")
    _, security = schemes(Guard(verifier, protected_paths=[rule]))
    assert security == [{"Bearer": ["boss", "read"]}, {"OpenIDConnect": ["read"]}]


def test_two_issuers_are_two_schemes() -> None:
    """Each issuer is one scheme, also if a second verifier or an introspection uses it."""
    verifier = JWTVerifier.from_issuer(ISSUER, audience="api")
    two = JWTVerifier.from_issuer("https://other.example.org", audience="api")
    opaque = IntrospectionVerifier(
        f"{ISSUER}/introspect", auth=ClientAuth.post("a", "b"), audience="api", jwt=verifier
    )
    again = JWTVerifier.from_issuer(ISSUER, audience="api", header="X-Token")
    components, _ = schemes(Guard(opaque, two, again))
    results = {name: each["openIdConnectUrl"] for name, each in components.items() if "OpenID" in name}
    assert results == {
        "OpenIDConnect": DISCOVERY,
        "OpenIDConnect-other.example.org": "https://other.example.org/.well-known/openid-configuration",
    }


def test_keys_alone_are_no_jwt() -> None:
    """A guard with keys alone has a Bearer scheme that is no JWT."""
    components, security = schemes(Guard(keys("sk")))
    assert components["Bearer"] == {"type": "http", "scheme": "bearer"}
    assert security == [{"Bearer": []}, {"APIKey": []}]


class Maybe:
    def __init__(self, user: OptionalUser) -> None:
        self.user = user


def test_an_optional_user_on_a_public_path_is_optional() -> None:
    """A public path with an optional user is optional, unless a rule or a dependency requires a caller."""
    app, router = FastAPI(), APIRouter(prefix="/v1")
    query = Annotated[str, Security(APIKeyQuery(name="q", auto_error=False))]

    @app.get("/typed")
    def _typed(user: OptionalUser) -> None: ...

    @app.get("/listed", dependencies=[Depends(optional_user)])
    def _listed() -> None: ...

    @app.get("/with")
    def _with(user: OptionalUser, key: query) -> None: ...

    @app.get("/both")
    def _both(maybe: OptionalUser, user: CurrentUser) -> None: ...

    @app.get("/ruled")
    def _ruled(maybe: OptionalUser) -> None: ...

    @router.get("/deep")
    def _deep(maybe: Annotated[Maybe, Depends()]) -> None: ...

    app.include_router(router)
    install(app, Guard(JWT, protected_paths=["/ruled"]))
    for path in ("/typed", "/listed", "/v1/deep"):
        assert get(app, path)["security"] == [{}, {"Bearer": []}], path
        assert set(get(app, path)["responses"]) == {"200"}, path
    for path in ("/both", "/ruled"):
        assert get(app, path)["security"] == [{"Bearer": []}], path
        assert "401" in get(app, path)["responses"]
    assert get(app, "/with")["security"] == [{"APIKeyQuery": []}, {"Bearer": [], "APIKeyQuery": []}]


def test_the_principal_asks_for_somebody() -> None:
    """A dependency for the principal requires a caller, and the scopes of `Security`."""
    app = FastAPI()

    @app.get("/principal")
    def _principal(principal: CurrentPrincipal) -> None: ...

    @app.get("/boss")
    def _boss(principal: Annotated[Principal, Security(current_principal, scopes=["admin"])]) -> None: ...

    install(app, Guard(JWT, public_paths=["/**"]))
    assert get(app, "/principal")["security"] == [{"Bearer": []}]
    assert get(app, "/boss")["security"] == [{"Bearer": ["admin"]}]
    assert {"400", "401", "403", "503"} <= set(get(app, "/boss")["responses"])


def test_a_scheme_of_the_application_s_own_for_the_same_credential_is_a_way() -> None:
    """An application's scheme for the same credential is an alternative; another one is an addition."""
    app = FastAPI()
    password, key, query = (
        OAuth2PasswordBearer("token"),
        APIKeyHeader(name="X-API-Key"),
        APIKeyQuery(name="q"),
    )
    other = APIKeyHeader(name="X-Other", scheme_name="Other")

    @app.get("/password")
    def _password(token: Annotated[str, Security(password, scopes=["mine"])]) -> None: ...

    @app.get("/key")
    def _key(key: Annotated[str, Security(key)], user: CurrentUser) -> None: ...

    @app.get("/other")
    def _other(key: Annotated[str, Security(other)], user: CurrentUser) -> None: ...

    @app.get("/query")
    def _query(key: Annotated[str, Security(query)], token: Annotated[str, Security(password)]) -> None: ...

    @app.get("/basic")
    def _basic(key: Annotated[Any, Security(HTTPBasic())]) -> None: ...

    @app.get("/open")
    def _open(key: Annotated[str, Security(query)]) -> None: ...

    install(app, Guard(JWT, keys("sk"), public_paths=["/open"]))
    guards: list[dict[str, list[str]]] = [{"Bearer": []}, {"APIKey": []}]
    assert get(app, "/password")["security"] == [{"OAuth2PasswordBearer": ["mine"]}]
    assert get(app, "/key")["security"] == [*guards, {"APIKeyHeader": []}]
    assert get(app, "/other")["security"] == [{**each, "Other": []} for each in guards]
    assert get(app, "/query")["security"] == [{"OAuth2PasswordBearer": [], "APIKeyQuery": []}]
    assert get(app, "/basic")["security"] == [{**each, "HTTPBasic": []} for each in guards]
    assert get(app, "/open")["security"] == [{"APIKeyQuery": []}]


KINDS: dict[Kind, list[str]] = {
    "bearer": ["Bearer", "OpenIDConnect"],
    "api_key": ["APIKey"],
    "cookie": ["Cookie"],
    "dpop": ["DPoP"],
    "header": ["JWT-X-Token"],
}


@pytest.mark.parametrize("kinds", [*([kind] for kind in KINDS), ["bearer", "api_key"], None])
def test_a_rule_has_the_schemes_of_the_credentials_that_it_takes(kinds: list[Kind] | None) -> None:
    """A rule has only the schemes of the kinds of credentials that it accepts."""
    issued = JWTVerifier.from_issuer(ISSUER, audience="api")
    alone = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None, header="X-Token")
    rules = [Rule("/x", credentials=kinds)]
    guard = Guard(
        issued,
        alone,
        keys("sk"),
        cookie=AccessCookie(),
        proofs=[DPoP("https://api.example.com")],
        protected_paths=rules,
    )
    _, security = schemes(guard)
    expected = {name for kind in kinds or KINDS for name in KINDS[kind]}
    assert {name for each in security for name in each} - {"DPoPProof"} == expected


def test_keys_alone_come_as_bearer_too() -> None:
    """The scheme Bearer is for keys if the guard accepts no tokens."""
    _, security = schemes(Guard(keys("sk"), protected_paths=[Rule("/x", credentials=["api_key"])]))
    assert security == [{"Bearer": []}, {"APIKey": []}]


def test_a_scheme_of_the_application_is_no_way_in_where_the_rule_does_not_take_it() -> None:
    """A scheme of the application for a kind that the rule refuses is required beside the key."""
    app = FastAPI()

    @app.get("/x")
    def _x(token: Annotated[str, Security(OAuth2PasswordBearer("token"))]) -> None: ...

    install(app, Guard(JWT, keys("sk"), protected_paths=[Rule("/x", credentials=["api_key"])]))
    assert get(app, "/x")["security"] == [{"APIKey": [], "OAuth2PasswordBearer": []}]
