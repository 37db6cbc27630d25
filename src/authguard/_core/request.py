"""Define a request as the core sees it; the ASGI and WSGI adapters each have a class for it."""

from abc import ABC, abstractmethod
from typing import Any, TypeAlias

#: The method under which a websocket handshake is matched; on the wire it is a GET.
WEBSOCKET = "WEBSOCKET"

#: The method in the request key of a handshake for `recall`. No HTTP method is equal to it: HTTP/2 may carry
#: a method with spaces, but none with a line break.
HANDSHAKE = "\nhandshake"

#: The credential fields as presented: lower-case name and value, in order, and not merged.
Presented = list[tuple[bytes, bytes]]

#: The field by which a browser tells which site has started a request (Fetch Metadata). It is no credential.
SITE_FIELD = b"sec-fetch-site"

#: Method, path and root path, as `Policy.find` takes them; and True, if the root path is misplaced.
RequestKey: TypeAlias = tuple[str, str, str] | tuple[str, str, str, bool]

#: The proofs that a request has used: for each, the memory that stores it, and its digest.
NotedProofs: TypeAlias = tuple[tuple[object, bytes], ...]


def http_method(method: str) -> str:
    """Return the method of an HTTP request in a form that no rule for handshakes can match.

    A client may send `WEBSOCKET` as a method. It becomes `HTTP WEBSOCKET`, which no rule can name.
    """
    is_like_it = len(method) == len(WEBSOCKET) and method.upper() == WEBSOCKET
    return f"HTTP {method}" if is_like_it else method


def credentials_among(fields: Presented) -> Presented:
    """Return the credential fields among the fields with which a guard recalls a caller."""
    return [field for field in fields if field[0] != SITE_FIELD]


class RequestView(ABC):
    """Present a request to the guard; a client cannot change the path by forging fields.

    Attributes:
        method: the HTTP method; `WEBSOCKET` for a handshake.
        scheme: `http`, `https`, `ws` or `wss`, as the server reports it.
        path: decoded, below `root_path`; never rebuilt from Host or forwarded headers.
        root_path: the mount point of the application (ASGI `root_path`, WSGI `SCRIPT_NAME`).
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
        """Return method, path and mount point, in the form that the policy expects."""
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
    def outer(self) -> Any:
        """Return the data that the guard around this one has stored with the request; None without one.

        The data is an `Outer` of `deciding.outcomes`, which this module must not import.
        """
        return None

    @property
    def noted_proofs(self) -> NotedProofs:
        """Return the proofs that outer guards have noted as used for this request."""
        return ()

    def note_proof(self, memory: object, digest: bytes) -> None:
        """Note for inner guards that a proof was used for this request.

        Other requests, and guards that are not inside this one, do not see the note.

        Args:
            memory: the memory that stores the proof.
            digest: of the proof.
        """

    def note_refusal(self) -> bool:
        """Note that a decorator or dependency refuses the request; return whether it is the first to do so.

        An application may catch a refusal, and ask for something else.
        """
        return True

    @property
    def certificate(self) -> str | None:
        """Return the client certificate (PEM) that the server's own TLS has verified, if it reports one."""
        return None
