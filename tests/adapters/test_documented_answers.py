"""An application answers as its OpenAPI document describes, for each caller and each request."""

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from pydantic import BaseModel
from schemathesis.core.failures import FailureGroup

from adapters.callers import ADMIN, READER, headers
from adapters.test_openapi import JWT
from authguard import (
    AccessCookie,
    APIKey,
    APIKeyVerifier,
    Guard,
    Principal,
    Quota,
    Rule,
    VerificationUnavailableError,
)
from authguard.fastapi import CurrentPrincipal, CurrentUser, OptionalUser, install, requires
from documented import answered_as_documented

KEY = "sk_live_" + "k3Yz9" * 8
CALLERS = [
    {},
    *map(headers, ("bad", READER, ADMIN)),
    {"x-api-key": KEY},
    {"cookie": f"__Host-access_token={READER}"},
]


class Note(BaseModel):
    text: str


def application(**options: Any) -> FastAPI:
    app, router, sub = FastAPI(), APIRouter(prefix="/notes"), FastAPI()

    @router.get("/{number}")
    async def _read(number: int, user: OptionalUser) -> Note:
        return Note(text="nobody" if user is None else user.subject)

    @router.post("", status_code=201)
    @requires("admin")
    async def _write(note: Note, principal: CurrentPrincipal) -> Note:
        return note

    @router.delete("/{number}", dependencies=[Depends(requires(roles=["boss"]))])
    def _delete(number: int) -> None: ...

    @app.get("/me")
    async def _me(user: CurrentUser) -> Note:
        return Note(text=user.subject)

    @app.get("/healthz")
    async def _healthz(user: OptionalUser) -> Note:
        return Note(text="nobody" if user is None else user.subject)

    @app.put("/settings")
    def _settings(principal: Annotated[Principal, Depends(requires(any_of=["read", "admin"]))]) -> Note:
        return Note(text=principal.subject)

    @sub.post("/admin")
    async def _admin() -> Note:
        return Note(text="admin")

    app.include_router(router)
    app.mount("/sub", sub)
    keys = APIKeyVerifier({KEY: APIKey("robot", scopes=["read"])})
    rules = [
        "/me", Rule("/notes", optional="strict"), Rule("/settings", optional="lenient"),
        Rule("/sub/admin", scopes=["admin"]),
    ]  # fmt: skip
    install(app, Guard(JWT, keys, protected_paths=rules, cookie=AccessCookie(), login_path="/in", **options))
    return app


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/openapi.json", "/sub/openapi.json"])
def test_no_answer_is_missing_in_the_document(path: str) -> None:
    """The statuses, types, fields and bodies of the answers are in the document."""
    seen = answered_as_documented(application(), CALLERS, path)
    expected = {"POST /admin 400", "POST /admin 401", "POST /admin 403", "POST /admin 200"}
    if path == "/openapi.json":
        expected = {
            "GET /me 200", "GET /me 400", "GET /me 401", "POST /notes 403", "POST /notes 201", "GET /healthz 200",
            "GET /notes/{number} 200", "GET /notes/{number} 401", "DELETE /notes/{number} 403", "PUT /settings 200",
        }  # fmt: skip
    assert expected <= seen


def test_quotas_are_in_the_document() -> None:
    """The 429 of a caller above its quota is in the document."""
    seen = answered_as_documented(application(quotas=[Quota(1, 60)]), [headers(ADMIN)])
    assert {"PUT /settings 429", "GET /me 429"} <= seen


class Down:
    """A verifier with a service that is unreachable."""

    async def verify(self, credential: Any) -> Principal:
        raise VerificationUnavailableError("down")


def test_an_outage_is_in_the_document() -> None:
    """The 503 of an outage is in the document for an endpoint that requires a caller."""
    app = FastAPI()

    @app.get("/me")
    async def _me(user: CurrentUser) -> str:
        return user.subject

    install(app, Guard(Down(), public_paths=["/openapi.json"]))
    assert "GET /me 503" in answered_as_documented(app, [headers("x.y.z")])


@pytest.mark.parametrize("status", ["400", "401", "403"])
def test_what_is_missing_in_the_document_is_found(status: str) -> None:
    """The comparison fails for a status that is missing in the document."""
    app = application()
    del app.openapi()["paths"]["/notes"]["post"]["responses"][status]
    with pytest.raises(FailureGroup, match="Undocumented status code"):
        answered_as_documented(app, CALLERS)
