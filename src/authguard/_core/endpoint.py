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
    metadata_paths: Iterable[str],
    endpoint: Endpoint | None,
    revocations: object,
    verifiers: Sequence[Verifier],
) -> dict[str, str]:
    """Return the paths that a guard answers at, and what each is for.

    Args:
        metadata_paths: where the resource's metadata is.
        endpoint: the endpoint of the guard, if it has one.
        revocations: what the guard asks.
        verifiers: those of the guard.

    Raises:
        ConfigurationError: if the endpoint is none, if the guard would never see what it writes, or if that
            would not name the subjects of the verifiers.
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
        _check_subjects(endpoint, verifiers)
    served = {} if endpoint is None else {endpoint.path: endpoint.purpose}
    return served | dict.fromkeys(metadata_paths, "the resource's metadata")


def _check_subjects(endpoint: Endpoint, verifiers: Sequence[Verifier]) -> None:
    """Check that a logout, which names the `sub`, ends the sessions of the tokens that a guard takes."""
    issuers = {issuer for verifier in endpoint.verifiers for issuer, _ in verifier.jwts}
    for verifier in verifiers:
        if verifier.own_subjects_of & {None, *issuers}:
            raise ConfigurationError(
                f"subject_claims of {verifier!r} must be left out with backchannel_logout, got both: a "
                "logout names the sub, and would not end the sessions of subjects with another name"
            )
