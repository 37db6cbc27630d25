"""Send requests to Flask applications in tests, like a browser on the same site."""

from collections.abc import Iterable
from inspect import signature
from typing import TYPE_CHECKING, Any

from flask.testing import FlaskClient
from werkzeug.test import Client

from authguard._core.deciding.overridden import check_no_class
from authguard._core.guard import Guard
from authguard._core.model import Principal
from authguard._core.options import check_object, check_text, type_of, unknown_option
from authguard.errors import ConfigurationError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class AuthGuardClient(FlaskClient):
    """Send requests in tests, like a browser that shows a page of the same site.

    Cookies are then accepted for each method: the client sends `Sec-Fetch-Site: same-origin`, unless a test
    sends that field or `Origin` itself. Write `app.test_client_class = AuthGuardClient`, and then
    `app.test_client(user=…)` or `app.test_client(token=…)`; both apply to all requests of the client.

    Args:
        given: the arguments that Flask passes to its test client.
        user: a `Principal`, `ANONYMOUS`, or the application's own user, as with `authguard.testing.override`;
            None to use the credentials of the requests.
        principal: the principal for the guard, if the user is not a principal.
        token: an access token, sent in the cookie of the guard, or in the Authorization field if it has no
            cookie.
        options: the keyword arguments that Flask passes to its test client.

    Raises:
        ConfigurationError: if the application has no guard, or an option has the wrong type.
    """

    def __init__(
        self,
        *given: Any,
        user: Any = None,
        principal: Principal | None = None,
        token: str | None = None,
        **options: Any,
    ) -> None:
        try:
            super().__init__(*given, **options)
        except TypeError:
            parameters = {**signature(AuthGuardClient).parameters, **signature(Client).parameters}
            unknown = next((name for name in options if name not in parameters), None)
            if unknown is None:
                raise
            raise unknown_option("AuthGuardClient", unknown, parameters, options[unknown]) from None
        guard = self.application.extensions.get("authguard")
        if not isinstance(guard, Guard):
            raise ConfigurationError(
                f"app of AuthGuardClient must have a guard, got {type_of(self.application)} without one: "
                "write init_app(app, guard) first"
            )
        check_no_class(user, "app.test_client(user={})")
        check_object(principal, "principal", Principal, 'principal=Principal("ann")')
        if principal is not None and user is None:
            raise ConfigurationError(
                "principal must be given together with user, got only principal: write user=Principal(…)"
            )
        self._guard = guard
        self._user = user
        self._principal = principal
        if token is not None:
            self._sign_in(check_text(token, "token"))

    def _sign_in(self, token: str) -> None:
        cookie = self._guard.cookie
        if cookie is None:
            self.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
            return
        name, _, value = cookie.issue(token, max_age=1).partition(";")[0].partition("=")
        host = str(self.application.config.get("SERVER_NAME") or "localhost").partition(":")[0]
        self.set_cookie(name, value, domain=host)

    def run_wsgi_app(
        self, environ: "WSGIEnvironment", buffered: bool = False
    ) -> tuple[Iterable[bytes], str, Any]:
        """Send one request."""
        if "HTTP_ORIGIN" not in environ:
            environ.setdefault("HTTP_SEC_FETCH_SITE", "same-origin")
        if self._user is None:
            return super().run_wsgi_app(environ, buffered)
        # Flask answers in this thread, so tests in other threads are not affected.
        with self._guard.override(self._user, principal=self._principal, everywhere=False):
            return super().run_wsgi_app(environ, buffered)
