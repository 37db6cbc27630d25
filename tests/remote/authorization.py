"""Run the authorization server of Authlib on loopback, with a store in memory."""

import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from authlib.common.security import generate_token
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin, grants
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from flask import Flask, request
from joserfc.jwk import ECKey, Key, KeySet
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

AUDIENCE = "https://api.example"
SECRET = "s3cr%t+with:odd chars"  # characters that only form-urlencoding transmits safely


class Client(ClientMixin):  # type: ignore[misc]
    """Describe a confidential client; all have the same secret."""

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id

    def get_client_id(self) -> str:
        return self.client_id

    def get_allowed_scope(self, scope: str | None) -> str:
        return scope or ""

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method != "none"

    def check_grant_type(self, grant_type: str) -> bool:
        return True


class Token(TokenMixin):  # type: ignore[misc]
    """Hold an issued token."""

    def __init__(self, token: dict[str, Any], client: Client, user: "User | None") -> None:
        self.token = token
        self.client = client
        self.user = user
        self.issued_at = int(time.time())
        self.revoked = False

    def check_client(self, client: Client) -> bool:
        return self.client.client_id == client.client_id

    def get_scope(self) -> str:
        scope: str = self.token.get("scope", "")
        return scope

    def get_expires_in(self) -> int:
        seconds: int = self.token["expires_in"]
        return seconds

    def is_expired(self) -> bool:
        return time.time() >= self.issued_at + self.get_expires_in()

    def is_revoked(self) -> bool:
        return self.revoked

    def get_user(self) -> "User | None":
        return self.user

    def get_client(self) -> Client:
        return self.client


class User(str):
    """Hold a user, who has only a name."""

    __slots__ = ()

    def get_user_id(self) -> str:
        return str(self)


class PasswordGrant(grants.ResourceOwnerPasswordCredentialsGrant):  # type: ignore[misc]
    """Accept users whose password is their name."""

    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]

    def authenticate_user(self, username: str, password: str) -> User | None:
        return User(username) if username == password else None


class Issuer:
    """Hold the state of the server: its keys, its tokens, and the number of requests for each page."""

    def __init__(self) -> None:
        self.url = ""
        self.tokens: dict[str, Token] = {}
        self.counts: dict[str, int] = {}
        self.keys: list[Key] = []
        self.published: list[Key] = []
        self.rotate()

    def rotate(self, *, publish: bool = True) -> None:
        """Sign with a new key from now on. Tokens do not name it: Authlib writes no kid."""
        key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
        self.keys.append(key)
        if publish:
            self.published = self.keys[-1:]

    def save(self, token: dict[str, Any], request: Any) -> None:
        self.tokens[token["access_token"]] = Token(token, request.client, request.user)

    def app(self) -> Flask:
        """Return the Flask application around Authlib's server."""
        app = Flask("issuer")
        server = AuthorizationServer(app, Client, self.save)
        server.register_token_generator("default", Generator(self))
        server.register_grant(PasswordGrant)
        server.register_grant(grants.ClientCredentialsGrant)
        server.register_endpoint(Introspection.of(self))
        server.register_endpoint(Revocation.of(self))
        app.add_url_rule("/token", "token", server.create_token_response, methods=["POST"])
        for name in ("introspection", "revocation"):
            answer = partial(server.create_endpoint_response, name)
            app.add_url_rule(f"/{name}", name, answer, methods=["POST"])
        app.add_url_rule("/jwks", "jwks", lambda: KeySet(self.published).as_dict(private=False))
        app.add_url_rule("/.well-known/oauth-authorization-server", "metadata", self.metadata)
        app.before_request(self.count)
        return app

    def metadata(self) -> dict[str, Any]:
        """Return the metadata (RFC 8414)."""
        pages = {"token_endpoint": "token", "jwks_uri": "jwks", "introspection_endpoint": "introspection"}
        urls = {name: f"{self.url}/{page}" for name, page in pages.items()}
        return dict(AuthorizationServerMetadata(issuer=self.url, **urls))

    def count(self) -> None:
        """Count a request for a page."""
        self.counts[request.path] = self.counts.get(request.path, 0) + 1


class Generator(JWTBearerTokenGenerator):  # type: ignore[misc]
    """Generate JWTs if the scope `jwt` is requested, and otherwise random tokens."""

    def __init__(self, issuer: Issuer) -> None:
        super().__init__(issuer.url, alg="ES256")
        self._keys = issuer.keys

    def get_jwks(self) -> Key:
        return self._keys[-1]

    def get_audiences(self, client: Client, user: User | None, scope: str | None) -> list[str]:
        return [AUDIENCE]

    def access_token_generator(
        self, client: Client, grant_type: str, user: User | None, scope: str | None
    ) -> Any:
        if "jwt" in (scope or "").split():
            return super().access_token_generator(client, grant_type, user, scope)
        return generate_token(42)


class _Of:
    """Define an endpoint of one issuer."""

    issuer: Issuer

    @classmethod
    def of(cls, issuer: Issuer) -> type[Any]:
        return type(cls.__name__, (cls,), {"issuer": issuer})

    def query_token(self, token: str, token_type_hint: str | None) -> Token | None:
        return self.issuer.tokens.get(token)


class Introspection(_Of, IntrospectionEndpoint):  # type: ignore[misc]
    """Answer introspection requests (RFC 7662); a client's own token has no sub."""

    CLIENT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]

    def check_permission(self, token: Token, client: Client, request: Any) -> bool:
        return True

    def introspect_token(self, token: Token) -> dict[str, Any]:
        members = {
            "active": True,
            "client_id": token.client.client_id,
            "token_type": "Bearer",
            "scope": token.get_scope(),
            "aud": AUDIENCE,
            "iss": self.issuer.url,
            "iat": token.issued_at,
            "exp": token.issued_at + token.get_expires_in(),
        }
        return {**members, "sub": token.user, "username": token.user} if token.user else members


class Revocation(_Of, RevocationEndpoint):  # type: ignore[misc]
    """Answer revocation requests (RFC 7009)."""

    def revoke_token(self, token: Token, request: Any) -> None:
        token.revoked = True


@contextmanager
def authorization_server() -> Iterator[Issuer]:
    """Run the server in a thread, on a free port."""
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    issuer = Issuer()

    def late(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        return application(environ, start_response)

    http = make_server("127.0.0.1", 0, late, threaded=True)
    issuer.url = f"http://127.0.0.1:{http.server_port}"
    application = issuer.app()
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        http.shutdown()
        http.server_close()
        thread.join(5)
        os.environ.pop("AUTHLIB_INSECURE_TRANSPORT")
