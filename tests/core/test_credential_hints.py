"""Hints to the operator about a token that was sent in a way that the guard does not read."""

import logging
from typing import Any

import pytest

from authguard import _logs
from authguard._core.credential.cookies import AccessCookie
from authguard._core.credential.extractor import Extractor
from authguard.errors import InvalidAPIKeyError
from support import FakeRequest, make_token

JWT = make_token()


def hint(field: str, *, dpop: bool = False, cookie: AccessCookie | None = None) -> str | None:
    """Return the hint for an Authorization field."""
    extractor = Extractor(["x-api-key"], ["sk_"], cookie, dpop=dpop)
    request = FakeRequest(headers=[("authorization", field)], scheme="http")
    assert extractor.extract(request) is None
    return extractor.hint(request)


@pytest.mark.parametrize(
    ("field", "says"),
    [
        (f"Token {JWT}", "the scheme Token came"),
        (f"token {JWT}", "the scheme Token came"),
        (f"JWT {JWT}", "the scheme JWT came"),
        (JWT, "a JWT without a scheme came"),
        (f"  {JWT}  ", "a JWT without a scheme came"),
        (f"Bearer: {JWT}", "a token after 'Bearer:', with a colon, came"),
    ],
    ids=["Token", "token", "JWT", "no scheme", "no scheme, with spaces", "colon"],
)
def test_the_hint_names_what_was_sent(field: str, says: str) -> None:
    """The hint names the scheme that was sent and the scheme to send, and never shows the token."""
    text = hint(field)
    assert text is not None and says in text and "'Bearer '" in text
    assert JWT not in text


@pytest.mark.parametrize("scheme", ["ApiKey", "Api-Key", "API_KEY", "Key", "ApiKey:", "X-API-Key:"])
def test_a_scheme_of_keys_is_named(scheme: str) -> None:
    """The hint for a key in the Authorization field names its own field, and never shows the key."""
    text = hint(f"{scheme} sk_live_abcdefgh")
    assert text is not None and "the client must send the key alone in the field x-api-key" in text
    assert "sk_live" not in text


def test_a_scheme_of_keys_has_no_hint_for_a_guard_without_keys() -> None:
    """A guard that takes no API keys leaves the scheme to the application."""
    request = FakeRequest(headers=[("authorization", "ApiKey abc")])
    assert Extractor([], [], None).hint(request) is None


def test_a_key_after_a_scheme_in_its_own_field_is_explained() -> None:
    """The reason for a key with `Bearer` before it in its own field names the scheme."""
    request = FakeRequest(headers=[("x-api-key", "Bearer sk_live_abcdefgh")])
    with pytest.raises(InvalidAPIKeyError, match="the key and nothing else, such as 'Bearer ', in it"):
        Extractor(["x-api-key"], ["sk_"], None).extract(request)


def test_dpop_without_proofs_is_named() -> None:
    """The hint for a DPoP token tells the operator to set `proofs`."""
    assert "proofs=[DPoP(…)]" in (hint(f"DPoP {JWT}") or "")


@pytest.mark.parametrize(
    "field", ["Basic YTpi", "Token", "Negotiate abc", "hello", "eyJ", "a.b.c", f"{JWT} x", "Digest a=b, c=d"]
)
def test_other_schemes_are_the_applications_own(field: str) -> None:
    """Another scheme, or a field without a JWT, gets no hint."""
    assert hint(field, cookie=AccessCookie()) is None


def test_the_hint_of_the_cookie_stays() -> None:
    """A cookie with its plain name over http gets a hint."""
    request = FakeRequest(headers=[("cookie", "access_token=x")], scheme="http")
    assert "access_token" in (Extractor([], [], AccessCookie()).hint(request) or "")


def test_the_hint_is_logged_once(caplog: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The middleware logs a hint of one kind once, at WARNING."""
    from starlette.testclient import TestClient

    from authguard import Guard
    from authguard.asgi import AuthGuardMiddleware
    from option_tables import verifier

    monkeypatch.setattr(_logs, "_hinted", set())

    async def application(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    client = TestClient(AuthGuardMiddleware(application, guard=Guard(verifier())))
    with caplog.at_level(logging.WARNING, logger="authguard"):
        for _ in range(3):
            assert client.get("/", headers={"Authorization": f"JWT {JWT}"}).status_code == 401
    assert len([record for record in caplog.records if "the scheme JWT came" in record.getMessage()]) == 1
    assert JWT not in caplog.text
