"""Test that the answers of the example match its OpenAPI document."""

import pytest
from starlette.testclient import TestClient

from documented import answered_as_documented
from fastapi_app.app import create_app
from fastapi_app.settings import Settings

EMAIL, PASSWORD = "ada@example.com", "Right-Horse-7"


@pytest.mark.slow
def test_no_answer_is_missing_in_the_document(tmp_path):
    """Every answer is in the document: to anonymous callers, accounts, robots and invalid credentials."""
    settings = Settings(directory=tmp_path, largest_upload=-1)  # every upload is too large, even an empty one
    app = create_app(settings)
    app.state.identity.accounts.create(EMAIL, PASSWORD, "Ada", "ADMIN")
    with TestClient(app) as client:
        account = {"email": EMAIL, "password": PASSWORD}
        token = client.post("/id/api/v1/auth/login", json=account).json()["access_token"]
    callers = [{}, {"authorization": f"Bearer {token}"}, {"x-api-key": settings.api_key}]
    seen = answered_as_documented(app, callers)
    assert {
        "GET /healthz 200",
        "GET /api/me 200",
        "GET /api/me 400",
        "GET /api/me 401",
        "GET /api/notes 200",
        "POST /api/notes 201",
        "POST /api/notes 403",
        "POST /api/upload 413",
    } <= seen
