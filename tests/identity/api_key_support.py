"""Create owners, keys, and a guarded application on the same database, for tests of API keys."""

from typing import Any

from sqlalchemy import text

from authguard import Credential, Guard, Principal
from authguard.identity import APIKeyRequest, IdentityService, NewAPIKey, SQLAPIKeys
from identity.support import CALLER, PASSWORD
from support import judge

EMAIL = "ann@example.com"


def owner(service: IdentityService, email: str = EMAIL, role: str | None = None) -> Principal:
    """Return the principal of the session of a new account."""
    user = service.accounts.create(email, PASSWORD, "Ann", role)
    tokens = service.accounts.issue_tokens(user.id, CALLER)
    return judge(service.own_tokens, Credential(tokens.access_token, "bearer"), service.clock()).principal


def create(service: IdentityService, principal: Principal, **wishes: Any) -> NewAPIKey:
    """Create a key."""
    return service.api_keys.create(principal, APIKeyRequest(**wishes), CALLER)


def verify(service: IdentityService, key_text: str, verifier: SQLAPIKeys | None = None) -> Principal:
    """Return the principal of a key, as a guard of the service sees it."""
    verifier = verifier or service.api_key_verifier
    return judge(verifier, Credential(key_text, "api_key", "x-api-key"), service.clock()).principal


def rows(service: IdentityService, table: str) -> list[Any]:
    """Return all rows of a table."""
    with service.database.read() as connection:
        return list(connection.execute(text(f"SELECT * FROM {table}")).all())


def update(service: IdentityService, statement: str, **values: Any) -> None:
    """Change the database as an operator would."""
    with service.database.write() as connection:
        connection.execute(text(statement), values)


def guarded(verifier: SQLAPIKeys, clock: Any, *, verifiers: Any = (), **options: Any) -> Any:
    """Return an ASGI application behind a guard, with further verifiers, and a client of it."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.responses import JSONResponse
    from starlette.routing import Route
    from starlette.testclient import TestClient

    from authguard.asgi import AuthGuardMiddleware

    def me(request: Any) -> Any:
        return JSONResponse({"subject": request.user.subject, "key": request.user.key_id})

    guard = Guard(verifier, *verifiers, **options)
    app = Starlette(
        routes=[Route("/me", me)], middleware=[Middleware(AuthGuardMiddleware, guard=guard, clock=clock)]
    )
    return TestClient(app, base_url="http://api.example")
