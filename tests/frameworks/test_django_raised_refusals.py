"""A `RefusedError` that a view of Django raises is answered as by the guard, and is no 500."""

import json
from typing import Any

import pytest

from frameworks.support import need

need("django", "corsheaders", "rest_framework")

pytestmark = pytest.mark.frameworks

from django.http import HttpResponse
from django.urls import path as url

from adapters.answering import AUDIENCE, GOOD, ISSUER, SECRET, bearer
from authguard import Guard, JWTVerifier, VerificationUnavailableError
from authguard.errors import InvalidTokenError, UnexpectedError
from authguard.testing import issue_token
from frameworks.django_project import Project

EXPIRED = issue_token(SECRET, now=1_700_000_000, iss=ISSUER, aud=AUDIENCE)
KINDS = pytest.mark.parametrize("kind", ["wsgi", "asgi"])


def ask(kind: str, error: Exception | None, *, is_async: bool = False, fields: Any = ()) -> Any:
    """Return the answer to a request whose view raises an error; None verifies an expired token."""
    guard = Guard(
        JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE),
        public_paths=["/**"],
        login_path="/login",
    )

    def view(request: Any) -> HttpResponse:
        if error is not None:
            raise error
        guard.verify(EXPIRED)
        return HttpResponse("in")

    async def later(request: Any) -> HttpResponse:
        return view(request)

    return Project(kind, guard, url("view", later if is_async else view)).ask("GET", "/view", fields)


@KINDS
@pytest.mark.parametrize("is_async", [False, True])
def test_an_invalid_token_is_401(kind: str, is_async: bool) -> None:
    """An invalid token is a 401 with the body, the challenge and the fields of the guard, and no redirect."""
    page = ask(kind, None, is_async=is_async, fields=[("Sec-Fetch-Mode", b"navigate")])
    assert (page.status, "location" in page.headers) == (401, False)
    answer = ask(kind, None, is_async=is_async)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="api", error="invalid_token"')
    assert "no-store" in answer.headers["cache-control"]
    assert json.loads(answer.body)["code"] == "invalid_token"


@KINDS
def test_an_outage_is_503(kind: str) -> None:
    """An outage is a 503 with Retry-After and without a challenge, also for a known caller."""
    error = VerificationUnavailableError("down", retry_after=7)
    answer = ask(kind, error, fields=[bearer(GOOD)])
    assert (answer.status, answer.headers["retry-after"]) == (503, "7")
    assert "www-authenticate" not in answer.headers


@KINDS
def test_a_reason_is_not_told(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """The reason of a raised error is neither in the answer nor in the log, because it may have a token."""
    caplog.set_level("DEBUG", "authguard")
    answer = ask(kind, InvalidTokenError(f"bad {EXPIRED}"))
    assert answer.status == 401
    assert EXPIRED.encode() not in answer.body
    assert EXPIRED not in caplog.text


@KINDS
def test_a_bug_stays_a_bug(kind: str) -> None:
    """Another exception is a 500 of Django."""
    assert ask(kind, UnexpectedError("bug")).status == 500
