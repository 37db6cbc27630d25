"""Answer the requests to a fake issuer: its metadata, key set, introspection and revocation."""

import base64
import binascii
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

_JSON = {"content-type": "application/json"}
_UNAUTHORIZED = {"www-authenticate": 'Basic realm="issuer"'}


@dataclass(frozen=True)
class Page:
    """Hold a request; field names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Answer:
    """Hold the answer to a request."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Pages:
    """Find the page for a request, and authenticate clients of introspection and revocation.

    Args:
        issuer: the URL of the issuer.
        clients: secrets by client id.
        key_set: returns the key set.
        introspect: returns the introspection response for a token (RFC 7662).
        revoke: revokes a token (RFC 7009).

    Attributes:
        origin: the origin of its URL.
        introspection_endpoint: the URL of introspection.
    """

    def __init__(
        self,
        issuer: str,
        clients: Mapping[str, str],
        key_set: Callable[[], dict[str, Any]],
        introspect: Callable[[str], dict[str, Any]],
        revoke: Callable[[str], dict[str, Any]],
    ) -> None:
        parts = urlsplit(issuer)
        self.origin, prefix = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
        self.introspection_endpoint = f"{self.origin}{prefix}/introspect"
        self._issuer = issuer
        self._clients = clients
        self._documents: dict[str, Callable[[], dict[str, Any]]] = {
            f"{prefix}/.well-known/openid-configuration": self._metadata,
            f"/.well-known/oauth-authorization-server{prefix}": self._metadata,
            f"{prefix}/jwks": key_set,
        }
        self._about_tokens = {f"{prefix}/introspect": introspect, f"{prefix}/revoke": revoke}

    def _metadata(self) -> dict[str, Any]:
        base = self.introspection_endpoint.removesuffix("/introspect")
        return {
            "issuer": self._issuer,
            "jwks_uri": f"{base}/jwks",
            "introspection_endpoint": self.introspection_endpoint,
            "revocation_endpoint": f"{base}/revoke",
            "id_token_signing_alg_values_supported": ["ES256"],
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
        }

    def answer(self, page: Page) -> Answer:
        """Return the answer of a page: 404 for an unknown path, 405 for another method."""
        document, about_token = self._documents.get(page.path), self._about_tokens.get(page.path)
        if document is not None:
            return (
                _json(document()) if page.method in ("GET", "HEAD") else Answer(405, {"allow": "GET, HEAD"})
            )
        if about_token is not None:
            return self._ask(about_token, page) if page.method == "POST" else Answer(405, {"allow": "POST"})
        return Answer(404)

    def _ask(self, about_token: Callable[[str], dict[str, Any]], page: Page) -> Answer:
        form = {name: values[-1] for name, values in parse_qs(page.body.decode("latin-1")).items()}
        if not self._is_client(page.headers.get("authorization", ""), form):
            return Answer(401, _UNAUTHORIZED | _JSON, b'{"error": "invalid_client"}')
        if "token" not in form:
            return Answer(400, _JSON, b'{"error": "invalid_request"}')
        return _json(about_token(form["token"]))

    def _is_client(self, authorization: str, form: Mapping[str, str]) -> bool:
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() == "basic":
            try:
                decoded = base64.b64decode(text, validate=True).decode("latin-1")
            except binascii.Error:
                return False
            client_id, _, secret = (unquote_plus(part) for part in decoded.partition(":"))
        expected = self._clients.get(client_id)
        return expected is not None and hmac.compare_digest(expected.encode(), secret.encode())


def _json(document: dict[str, Any]) -> Answer:
    return Answer(200, _JSON | {"cache-control": "no-store"}, json.dumps(document).encode())
