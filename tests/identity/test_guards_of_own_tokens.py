"""Guards of the service's own tokens in the same process: options without which signing in or out fails."""

from typing import Any

import pytest

from authguard import AccessCookie, Guard
from authguard.identity import Identity, IdentityService

pytestmark = pytest.mark.one_database  # nothing is stored

LOGOUT = "revocations must be given with OwnTokens"
LOOP = "cookie must be that of the service, 'access_token', with login_path='/id/login', got"


def warnings_of(service: IdentityService, caplog: pytest.LogCaptureFixture, **options: Any) -> list[str]:
    """Build a guard of the service's tokens; return its warnings."""
    caplog.clear()
    Guard(service.own_tokens, **options)
    return [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]


def test_a_guard_without_revocations_is_warned_of(
    service: IdentityService, caplog: pytest.LogCaptureFixture
) -> None:
    """A guard of own tokens that accepts them after a logout causes a WARNING with the remedy."""
    (sentence,) = warnings_of(service, caplog)
    assert sentence.startswith(LOGOUT) and sentence.endswith("write revocations=service.revocations")


@pytest.mark.parametrize("name", [None, "token"])
def test_a_login_page_without_its_cookie_is_warned_of(
    service: IdentityService, caplog: pytest.LogCaptureFixture, name: str | None
) -> None:
    """A guard that redirects to the sign-in page, and does not read its cookie, causes a WARNING."""
    cookie = None if name is None else AccessCookie(name)
    options = {"login_path": "/id/login", "revocations": service.revocations, "cookie": cookie}
    (sentence,) = warnings_of(service, caplog, **options)
    assert sentence.startswith(f"{LOOP} {name!r}, so that browsers are redirected")
    assert sentence.endswith("write cookie=service.settings.access_cookie")


def test_a_complete_guard_causes_no_warning(
    service: IdentityService, caplog: pytest.LogCaptureFixture
) -> None:
    """A guard with the cookie and the revocations of the service, or without a login page, is right."""
    revocations, cookie = service.revocations, service.settings.access_cookie
    assert warnings_of(service, caplog, revocations=revocations) == []
    assert warnings_of(service, caplog, revocations=revocations, cookie=cookie, login_path="/id/login") == []


def test_the_guards_of_the_service_cause_no_warning(app: Identity, caplog: pytest.LogCaptureFixture) -> None:
    """The service's own guards check sessions in another way, and cause no WARNING."""
    caplog.clear()
    Identity(app.service)
    assert "revocations must" not in caplog.text
