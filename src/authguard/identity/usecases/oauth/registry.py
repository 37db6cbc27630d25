"""Register, disable and enable OAuth clients, and give them new secrets: for operators."""

import re
import secrets
from uuid import uuid4

from authguard._core.encoding import sha256_hex
from authguard._core.options import several_names
from authguard.identity.errors import InvalidFieldsError, NotFoundError
from authguard.identity.model import NO_CALLER, Client
from authguard.identity.storage import queries as store
from authguard.identity.usecases.context import Base

_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,200}\Z")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,64}\Z")  # RFC 6749 section 3.3


class ClientRegistry:
    """Manage the OAuth clients of the service. Each change is recorded as an event.

    Args:
        base: the common parts of use cases.
    """

    def __init__(self, base: Base) -> None:
        self._base = base

    def create(
        self, name: str, scopes: frozenset[str] = frozenset(), *, public: bool = False
    ) -> tuple[Client, str]:
        """Register a client.

        Args:
            name: its display name.
            scopes: the scopes that it may request for itself.
            public: whether it has no secret, such as a page in a browser or an app on a phone; such a client
                acts only for users, and has no scopes.

        Returns:
            The client, and its secret, of which only a digest is stored; that of a public one is empty.

        Raises:
            InvalidFieldsError: for an invalid name or scope, and for scopes of a public client.
        """
        if not _NAME.match(name):
            raise InvalidFieldsError({"name": ["must be 1 to 200 characters, on one line"]})
        if not all(map(_SCOPE.match, scopes)) or any(map(several_names, scopes)):
            must = "must be 1 to 64 ASCII characters each, without spaces, quotes and commas"
            raise InvalidFieldsError({"scope": [must]})
        if public and scopes:
            raise InvalidFieldsError({"scope": ["is for clients that have a secret"]})
        client = Client(str(uuid4()), name, scopes, disabled=False, is_public=public)
        secret, digest = ("", "") if public else _new_secret()
        with self._base.database.write() as connection:
            store.insert_client(connection, client, digest, self._base.clock())
        self._record("client_created", client.id)
        return client, secret

    def list(self) -> list[tuple[Client, float]]:
        """List all clients, the oldest first, with their times of registration in seconds since the epoch."""
        with self._base.database.read() as connection:
            return [(row.client, row.created_at) for row in store.list_clients(connection)]

    def disable(self, client_id: str, *, disabled: bool = True) -> None:
        """Disable a client, or enable it.

        A disabled client gets no tokens, neither new ones nor by refreshing.

        Raises:
            NotFoundError: if the client does not exist.
        """
        self._change(client_id, disabled=disabled)
        self._record("client_disabled" if disabled else "client_enabled", client_id)

    def rotate(self, client_id: str) -> str:
        """Give a client a new secret, and return it; the old one is refused at once.

        Raises:
            NotFoundError: if the client does not exist.
            InvalidFieldsError: for a public client, which has no secret.
        """
        with self._base.database.read() as connection:
            row = store.find_client(connection, client_id)
        if row is not None and row.client.is_public:
            raise InvalidFieldsError({"client": ["is public, and has no secret"]})
        secret, digest = _new_secret()
        self._change(client_id, secret_digest=digest)
        self._record("client_rotated", client_id)
        return secret

    def _change(self, client_id: str, **values: object) -> None:
        with self._base.database.write() as connection:
            if not store.update_client(connection, client_id, **values):
                raise NotFoundError

    def _record(self, name: str, client_id: str) -> None:
        self._base.succeeded(name, NO_CALLER, user_id=client_id)


def _new_secret() -> tuple[str, str]:
    secret = secrets.token_urlsafe(32)
    return secret, sha256_hex(secret)
