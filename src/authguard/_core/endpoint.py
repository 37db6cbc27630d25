"""Define an endpoint that a guard serves by itself, at a path that is open."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from authguard._core.options import check_object
from authguard._core.policy.patterns import local_path
from authguard._core.verifier import Verifier
from authguard.errors import ConfigurationError


class Endpoint(ABC):
    """Answer at one path in the application's place, for any caller.

    Args:
        path: exactly this one, below the mount point.

    Raises:
        ConfigurationError: for what is no plain path.
    """

    #: What the path is for, in words.
    purpose: str
    #: Where it writes revocations.
    revocations: Any

    def __init__(self, path: str) -> None:
        self.path = local_path(path, "path")

    @property
    @abstractmethod
    def verifiers(self) -> Sequence[Verifier]:
        """Return what it verifies tokens with, whose remotes the guard watches and closes."""

    @abstractmethod
    async def asgi(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, as an ASGI application."""

    @abstractmethod
    def wsgi(self, environ: Any, start_response: Any) -> Any:
        """Answer one request, as a WSGI application."""


def served_paths(
    metadata_paths: Iterable[str], endpoint: Endpoint | None, revocations: object
) -> dict[str, str]:
    """Return the paths that a guard answers at, and what each is for.

    Args:
        metadata_paths: where the resource's metadata is.
        endpoint: the endpoint of the guard, if it has one.
        revocations: what the guard asks.

    Raises:
        ConfigurationError: if the endpoint is none, or the guard would never see what it writes.
    """
    check_object(endpoint, "backchannel_logout", Endpoint, "backchannel_logout=BackChannelLogout(…)")
    if endpoint is not None:
        # Of a shared store, two objects may be one.
        in_memory = getattr(endpoint.revocations, "in_memory", False)
        if revocations is None or (in_memory and revocations is not endpoint.revocations):
            raise ConfigurationError(
                "revocations must be those that backchannel_logout writes to, got "
                f"{'None' if revocations is None else 'others'}: write the same in both"
            )
    served = {} if endpoint is None else {endpoint.path: endpoint.purpose}
    return served | dict.fromkeys(metadata_paths, "the resource's metadata")
