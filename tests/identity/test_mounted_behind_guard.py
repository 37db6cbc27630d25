"""The guard around a mounted identity service warns if callers cannot sign in there."""

import logging

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from authguard import Guard, Rule
from authguard.fastapi import install
from authguard.identity import Identity
from identity.support import empty, service_at

pytestmark = pytest.mark.one_database  # requests and answers do not depend on the database


@pytest.fixture
def warned(sqlite_url, caplog):
    """Return a function that gives the warnings of a guard around a service at `/id`, and a status."""
    empty(sqlite_url)
    with service_at(sqlite_url, issuer="https://testserver/id") as service:

        def call(**lists):
            app = FastAPI()
            cookie = service.settings.access_cookie
            options = {"cookie": cookie, "revocations": service.revocations, "login_path": "/id/login"}
            install(app, Guard(service.own_tokens, **options, **lists), clock=service.clock)
            app.mount("/id", Identity(service))
            caplog.clear()
            with (
                caplog.at_level(logging.WARNING, "authguard"),
                TestClient(app, base_url="https://testserver") as client,
            ):
                call.status = client.post("/id/v1/auth/register", json={}).status_code
            return [
                each.getMessage() for each in caplog.records if "identity service at" in each.getMessage()
            ]

        yield call


@pytest.mark.parametrize(
    "lists",
    [{}, {"public_paths": ["/docs"]}, {"public_paths": ["/id/login"]}, {"protected_paths": ["/"]}],
    ids=["no lists", "other path", "the page alone", "protected"],
)
def test_a_closed_service_is_named_at_the_start(warned, lists):
    """The warning names a path of the service that the guard protects, and the spelling."""
    [warning] = warned(**lists)
    assert warned.status == 401
    assert warning.startswith("the identity service at '/id' must be open in the guard around it")
    path = "/id/api/v1/auth/login"
    assert f"got {path!r}, which this guard protects" in warning
    beside = "" if lists else "'/' and "
    assert warning.endswith(
        f"write '/id' in public_paths; if it is closed on purpose, write {beside}{path!r} in protected_paths"
    )


@pytest.mark.parametrize(
    "lists",
    [
        {"public_paths": ["/id"]},
        {"public_paths": ["/id/**"]},
        {"public_paths": ["/"], "protected_paths": ["/id"]},
        {"public_paths": ["/id"], "protected_paths": ["/"]},
        {"public_paths": ["/id"], "protected_paths": [Rule("/id/v1/auth/register", roles=["admin"])]},
        {"protected_paths": ["/dashboard"]},
        {"public_paths": ["/id/v1", "/id/login", "/id/register", "/id/account", "/id/assets"]},
        {"protected_paths": ["/", "/id/api/v1/auth/login", "/id/login"]},
        {"public_paths": ["/id/login"], "protected_paths": ["/id/v1", "/id/api/v1"]},
    ],
    ids=[
        "open",
        "wildcard",
        "closed on purpose",
        "rest protected",
        "no registration",
        "open by default",
        "one prefix",
        "all on purpose",
        "pages",
    ],
)
def test_an_open_service_is_not_named(warned, lists):
    """A guard that opens the service, or has rules for its paths, logs no warning."""
    assert warned(**lists) == []
