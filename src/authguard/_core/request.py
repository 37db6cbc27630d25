"""Define a request as the core sees it; the ASGI and WSGI adapters make one each."""

from abc import ABC, abstractmethod
from typing import TypeAlias

#: The method under which a websocket handshake is matched; on the wire it is a GET.
WEBSOCKET = "WEBSOCKET"

#: What stands for it in the key of a handshake that is recalled. No HTTP method is equal to it: HTTP/2 may
#: carry one with spaces, but none with a line break.
HANDSHAKE = "\nhandshake"

#: Fields that carry credentials, as presented: lower-case name and value, in order, none merged.
Presented = list[tuple[bytes, bytes]]

#: The field by which a browser tells which site has started a request (Fetch Metadata). It is no credential.
SITE_FIELD = b"sec-fetch-site"

#: Method, path and root path, as `Policy.find` takes them; and True, if the root path is misplaced.
RequestKey: TypeAlias = tuple[str, str, str] | tuple[str, str, str, bool]

#: Proofs that a request has used: each with what remembers it, and its digest.
NotedProofs: TypeAlias = tuple[tuple[object, bytes], ...]


def http_method(method: str) -> str:
    """Return the method of an HTTP request, as no rule for handshakes can match it.

    A client may send `WEBSOCKET` as a method. It becomes `HTTP WEBSOCKET`, which no rule can name.
    """
    is_like_it = len(method) == len(WEBSOCKET) and method.upper() == WEBSOCKET
    return f"HTTP {method}" if is_like_it else method


def credentials_among(fields: Presented) -> Presented:
    """Return the credential fields among those that a guard takes to recall a caller."""
    return [field for field in fields if field[0] != SITE_FIELD]


class RequestView(ABC):
    """Show a request to the guard, without anything that a client could forge to change the path.

    Attributes:
        method: the HTTP method; `WEBSOCKET` for a handshake.
        scheme: `http`, `https`, `ws` or `wss`, as the server says.
        path: decoded, below `root_path`; never rebuilt from Host or forwarded headers.
        root_path: where the application is mounted (ASGI `root_path`, WSGI `SCRIPT_NAME`).
        presented: the credential fields.
    """

    __slots__ = ("method", "path", "presented", "root_path", "scheme")

    method: str
    scheme: str
    path: str
    root_path: str
    presented: Presented

    @property
    @abstractmethod
    def query(self) -> str:
        """Return the raw query string."""

    @abstractmethod
    def fields(self, name: bytes) -> list[bytes]:
        """Return every value of a header field, in order, without the white space around it."""

    def field(self, name: bytes) -> bytes | None:
        """Return the value of a field that may occur once; None if it is absent or repeated."""
        values = self.fields(name)
        return values[0] if len(values) == 1 else None

    @property
    def request_key(self) -> RequestKey:
        """Return method, path and mount point, as the policy takes them."""
        return (self.method, self.path, self.root_path)

    @property
    def external_path(self) -> str:
        """Return the path as the client sees it, decoded: with the mount point."""
        return self.root_path + self.path

    @property
    def peer(self) -> str | None:
        """Return the address of the peer of the connection, as reported by the server."""
        return None

    @property
    def noted_proofs(self) -> NotedProofs:
        """Return the proofs that guards around this one have noted as used, for this very request."""
        return ()

    def note_proof(self, memory: object, digest: bytes) -> None:
        """Tell guards inside of this one that a proof has been noted as used, for this very request.

        No other request and no guard beside this one learns of it.

        Args:
            memory: what remembers the proof.
            digest: of the proof.
        """

    @property
    def certificate(self) -> str | None:
        """Return the client certificate (PEM) that the server's own TLS has verified, if it says."""
        return None
