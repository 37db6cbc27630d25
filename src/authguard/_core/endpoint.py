"""Define an endpoint that a guard serves itself, at a public path."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from authguard._core.options import FixedOptions, check_object
from authguard._core.policy.patterns import local_path
from authguard._core.verifier import Verifier
from authguard.errors import ConfigurationError


class Endpoint(FixedOptions, ABC):
    """Answer at one path instead of the application, for any caller.

    Args:
        path: the exact path, below the mount point.

    Raises:
        ConfigurationError: if it is not a plain path.
    """

    #: The purpose of the path, in words.
    purpose: str
    #: The store to which it writes revocations.
    revocations: Any

    def __init__(self, path: str) -> None:
        self.path = local_path(path, "path")

    @property
    @abstractmethod
    def verifiers(self) -> Sequence[Verifier]:
        """Return the verifiers of the endpoint, whose remotes the guard monitors and closes."""

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
    """Return the paths that a guard serves itself, with their purposes.

    Args:
        metadata_paths: the paths of the resource's metadata.
        endpoint: the endpoint of the guard, if it has one.
        revocations: the store that the guard checks.
        verifiers: those of the guard.

    Raises:
        ConfigurationError: if the endpoint has the wrong type, if the guard would not see its revocations, or
            if the revocations would not name the subjects of the verifiers.
    """
    check_object(endpoint, "backchannel_logout", Endpoint, "backchannel_logout=BackChannelLogout(…)")
    if endpoint is not None:
        # Two objects may belong to one shared store.
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
    """Check that a logout, which names the `sub`, ends the sessions of the tokens that a guard accepts."""
    issuers = {issuer for verifier in endpoint.verifiers for issuer, _ in verifier.jwts}
    for verifier in verifiers:
        if verifier.own_subjects_of & {None, *issuers}:
            raise ConfigurationError(
                f"subject_claims of {verifier!r} must be left out with backchannel_logout, got both: a "
                "logout names the sub, and would not end the sessions of subjects with another name"
            )
