"""An environ with characters beyond latin-1, as of a WSGI server that breaks PEP 3333."""

from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from authguard import AccessCookie, APIKey, APIKeyVerifier, Guard, JWTVerifier
from authguard.wsgi import AuthGuardMiddleware
from support import SECRET

GUARD = Guard(
    JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None),
    APIKeyVerifier({"sk_live_0123456789abcdef": APIKey("kay")}),
    public_paths=["/open"],
    cookie=AccessCookie(),
)


def status_of(environ: dict[str, Any]) -> str:
    """Return the status of a request behind the guard."""
    statuses: list[str] = []

    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b""]

    setup_testing_defaults(environ)
    app: Any = AuthGuardMiddleware(application, guard=GUARD)
    list(app(environ, lambda status, *_: statuses.append(status[:3])))
    return statuses[0]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"PATH_INFO": "/€"}, "401"),
        ({"PATH_INFO": "/open€"}, "401"),
        ({"PATH_INFO": "/open/€"}, "401"),
        ({"SCRIPT_NAME": "/€"}, "401"),
        ({"HTTP_AUTHORIZATION": "Bearer €"}, "400"),
        ({"HTTP_AUTHORIZATION": "Bearer a.€.c"}, "400"),
        ({"HTTP_X_API_KEY": "€"}, "401"),
        ({"HTTP_COOKIE": "__Host-access_token=€"}, "401"),
        ({"REQUEST_METHOD": "POST", "HTTP_COOKIE": "__Host-access_token=a.b.c", "HTTP_ORIGIN": "€"}, "403"),
    ],
    ids=str,
)
def test_such_a_request_is_refused_as_another_one(changes: dict[str, str], status: str) -> None:
    """An environ with a character beyond latin-1 is refused without an error."""
    assert status_of({"PATH_INFO": "/", **changes}) == status


def test_a_public_path_stays_open() -> None:
    """A character beyond latin-1 in a field that no rule reads does not close a public path."""
    assert status_of({"PATH_INFO": "/open", "HTTP_USER_AGENT": "€"}) == "200"
