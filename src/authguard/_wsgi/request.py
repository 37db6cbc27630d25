"""Read WSGI requests, and the state that the middleware stores in the environ."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from authguard._core.answer.decision import Decision
from authguard._core.deciding.quotas import Quotas
from authguard._core.guard import Guard
from authguard._core.model import Auth
from authguard._core.policy.policy import Policy
from authguard._core.request import NotedProofs, Presented, RequestView, credentials_among, http_method
from authguard.errors import RefusedError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

HANDLED = "authguard"
USER = "authguard.user"
AUTH = "authguard.auth"
_PROOFS = "authguard.proofs"
_REFUSED = "authguard.refused"
_BY_NONE = object()
OUTER = "authguard.outer"
#: The key under which bridges from ASGI to WSGI, such as a2wsgi, store the scope of the connection.
SCOPE = "asgi.scope"

# The fields of `WSGIHandled` except the environ: a tuple, because it costs each request less than the object.
_Fields: TypeAlias = tuple[Guard, str, str, Decision, float]
HandledFields: TypeAlias = _Fields | tuple[Guard, str, str, Decision, float, Any]


class WSGIRequest(RequestView):
    """Read a request from a WSGI environ.

    Args:
        environ: the environ.
        guard: the guard whose credential fields are read.
        root_path: `SCRIPT_NAME` as the middleware received it; inner mounts change it.
        path: `PATH_INFO` as the middleware received it.
        presented: the fields that the guard used to recall the caller, if they were read already.
    """

    __slots__ = ("_is_mount_point", "environ")

    def __init__(
        self,
        environ: "WSGIEnvironment",
        guard: Guard,
        root_path: str,
        path: str,
        presented: Presented | None = None,
    ) -> None:
        self.environ = environ
        self.method = http_method(environ["REQUEST_METHOD"])
        self.scheme = environ.get("wsgi.url_scheme", "http")
        self.root_path = decoded(root_path)
        self.path = decoded(path) or "/"
        self._is_mount_point = not path
        self.presented = (
            fields_presented(environ, environ_keys(guard.credential_fields))
            if presented is None
            else credentials_among(presented)
        )

    @property
    def query(self) -> str:
        """Return the raw query string."""
        return str(self.environ.get("QUERY_STRING", ""))

    def fields(self, name: bytes) -> list[bytes]:
        """Return the values of a header field; WSGI servers join several into one."""
        value = self.environ.get(_environ_key(name))
        return [] if value is None else [value.strip(" \t").encode("latin-1", "replace")]

    @property
    def external_path(self) -> str:
        """Return the path as the client sees it: a mount point alone has no trailing slash."""
        return (self.root_path if self._is_mount_point else "") or self.root_path + self.path

    @property
    def outer(self) -> Any:
        """Return the data of the guard around this one, which this guard has moved to another key."""
        return self.environ.get(OUTER)

    @property
    def peer(self) -> str | None:
        """Return the address of the peer of the connection, as reported by the server."""
        return self.environ.get("REMOTE_ADDR")

    @property
    def noted_proofs(self) -> NotedProofs:
        """Return the noted proofs from the environ, if a guard has seen the request.

        Each request has its own environ.
        """
        noted: NotedProofs = self.environ.get(_PROOFS, ()) if HANDLED in self.environ else ()
        return noted

    def note_proof(self, memory: object, digest: bytes) -> None:
        """Store the proof in the environ."""
        self.environ[_PROOFS] = (*self.noted_proofs, (memory, digest))

    def note_refusal(self) -> bool:
        """Note it in the environ, with the decision of the guard, because it may contain another guard."""
        handled = self.environ.get(HANDLED)
        is_first = self.environ.get(_REFUSED, _BY_NONE) is not handled
        self.environ[_REFUSED] = handled
        return is_first

    @property
    def certificate(self) -> str | None:
        """Return `SSL_CLIENT_CERT`, as set by mod_wsgi, Werkzeug and others."""
        return self.environ.get("SSL_CLIENT_CERT")


@dataclass(frozen=True, slots=True)
class WSGIHandled:
    """Hold the state that the middleware stores in the environ of a request.

    Attributes:
        environ: the environ.
        guard: the rules.
        root_path: `SCRIPT_NAME` as the middleware received it; inner mounts change it.
        path: `PATH_INFO` as the middleware received it.
        decision: of the guard.
        at: the time of the decision, in seconds since the epoch.
        outer: the data of the guard around this one; None without one.
    """

    environ: "WSGIEnvironment"
    guard: Guard
    root_path: str
    path: str
    decision: Decision
    at: float
    outer: Any = None

    @property
    def error(self) -> RefusedError | None:
        """Return the error because of which the caller is unknown; None if the caller is known."""
        return self.decision.error

    @property
    def policy(self) -> Policy:
        """Return the rules of the guard."""
        return self.guard.policy

    @property
    def quotas(self) -> Quotas | None:
        """Return the quotas of the guard."""
        return self.guard.quotas

    @property
    def request(self) -> WSGIRequest:
        """Return the request as the guard sees it."""
        return WSGIRequest(self.environ, self.guard, self.root_path, self.path)


_Keys: TypeAlias = tuple[tuple[bytes, str], ...]


def _environ_key(name: bytes) -> str:
    return "HTTP_" + name.decode("ascii").upper().replace("-", "_")


@lru_cache(maxsize=256)  # keys that the guard usually sets
def environ_keys(names: frozenset[bytes]) -> _Keys:
    """Return the credential fields, each with its key in the environ."""
    return tuple((name, _environ_key(name)) for name in sorted(names))


def fields_presented(environ: "WSGIEnvironment", keys: _Keys) -> Presented:
    """Return the credential fields among all fields."""
    presented = []  # a comprehension is a function call before Python 3.12
    for name, key in keys:
        value = environ.get(key)
        if value is not None:
            presented.append((name, value.encode("latin-1", "replace")))
    return presented


def request_of(environ: "WSGIEnvironment", guard: Guard, presented: Presented) -> WSGIRequest:
    """Return the request that the middleware handles."""
    return WSGIRequest(
        environ, guard, environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", ""), presented
    )


def decoded(path: str) -> str:
    """Decode a path, which PEP 3333 passes as Latin-1; a path that is not UTF-8 counts as malformed."""
    return path if path.isascii() else path.encode("latin-1", "replace").decode("utf-8", "replace")


def leave(environ: "WSGIEnvironment", auth: Auth, user: Any, handled: HandledFields) -> None:
    """Store the caller in the environ."""
    environ[USER] = user
    environ[AUTH] = auth
    environ[HANDLED] = handled


def handled_by_guard(environ: "WSGIEnvironment") -> WSGIHandled:
    """Return the state that the middleware stored in the environ.

    Raises:
        RuntimeError: if the middleware is not installed.
    """
    handled: HandledFields | None = environ.get(HANDLED)
    if handled is None:
        raise RuntimeError(
            "no AuthGuardMiddleware around this application: write init_app(app, guard) of authguard.flask, "
            "or app.wsgi_app = AuthGuardMiddleware(app.wsgi_app, guard=guard)"
        )
    return WSGIHandled(environ, *handled)  # pyright: ignore  # it does not unpack a union of tuples
