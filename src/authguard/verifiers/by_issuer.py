"""Choose among several JWT verifiers: by the exact `iss`, and the algorithm."""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from authguard._core.flow import Channel, Flow
from authguard._core.jose.claims import read_claims
from authguard._core.jose.compact import Token, read_compact
from authguard._core.jose.issuers import Issuers
from authguard._core.jose.jwk import ALIASES
from authguard._core.model import Credential
from authguard._core.remote.http import RemoteHealth
from authguard._core.verifier import Verified, Verifier
from authguard.errors import ConfigurationError, InvalidIssuerError, MalformedTokenError


class IssuerVerifier(Protocol):
    """Describe what is chosen among: `JWTVerifier`, which imports this module."""

    algorithms: frozenset[str]
    issuers: str | Issuers | None
    padding: bool
    has_public_keys: bool

    def accepts(self, credential: Credential) -> bool:
        """Return whether it looks like a token."""
        ...

    def verify(self, token: Token, credential: Credential, now: float) -> Flow[Verified] | Verified:
        """Verify a token that has been taken apart."""
        ...

    def channels(self) -> Sequence[Channel]:
        """Return what it reaches the issuer through."""
        ...

    def health(self, now: float | None) -> Sequence[RemoteHealth]:
        """Return how the issuer is doing."""
        ...


_Key: TypeAlias = tuple[str | None, str]


class VerifierByIssuer(Verifier):
    """Choose among several JWT verifiers: by the exact `iss`, and the algorithm.

    One whose `issuer` is a function is asked about the issuers that no other names, for any algorithm.

    Args:
        verifiers: those to choose among.

    Raises:
        ConfigurationError: if two are for one issuer and algorithm, or one names no issuer.
    """

    def __init__(self, verifiers: Sequence[IssuerVerifier]) -> None:
        self._verifiers: dict[_Key, IssuerVerifier] = {}
        self._all = verifiers
        self._named: set[str | None] = set()
        self._padding = any(verifier.padding for verifier in verifiers)
        self.has_public_keys = any(verifier.has_public_keys for verifier in verifiers)
        for verifier in verifiers:
            if verifier.issuers is None:
                raise ConfigurationError(
                    "issuer must be given where there are several JWTVerifiers, to choose by, got None"
                )
            for issuer in issuer_names(verifier.issuers):
                for algorithm in verifier.algorithms:
                    self._add(issuer, algorithm, verifier)

    def _add(self, issuer: str | None, algorithm: str, verifier: IssuerVerifier) -> None:
        if (issuer, algorithm) in self._verifiers:
            if issuer is None:
                raise ConfigurationError(
                    f"issuer must be a function of one JWTVerifier for {algorithm} alone, got two: name the "
                    "issuers of one of them, by tenants="
                )
            raise ConfigurationError(
                f"each JWTVerifier must be for an issuer and algorithm of its own, got two for {algorithm} "
                f"of {issuer!r}: give one of them all the keys, as in JWTVerifier([new, old], …)"
            )
        self._verifiers[issuer, algorithm] = verifier
        self._named.add(issuer)

    def accepts(self, credential: Credential) -> bool:
        """Return whether it looks like a token."""
        return self._all[0].accepts(credential)

    def flow(self, credential: Credential, now: float) -> Flow[Verified] | Verified:
        """Verify a token with the verifier of its issuer."""
        token = read_compact(credential.value, padding=self._padding)
        # Read before it is verified, only to choose who verifies it (RFC 8725 section 3.3).
        _, claims = read_claims(token)
        issuer = claims.get("iss")
        algorithm = ALIASES.get(token.header.algorithm, token.header.algorithm)
        verifier = None
        if isinstance(issuer, str):
            verifier = self._verifiers.get((issuer if issuer in self._named else None, algorithm))
        if verifier is None:
            raise InvalidIssuerError("no verifier for this issuer and algorithm")
        if self._padding and not verifier.padding and "=" in credential.value:
            raise MalformedTokenError("padding, which this issuer does not write")
        return verifier.verify(token, credential, now)

    def channels(self) -> Sequence[Channel]:
        """Return what they reach their issuers through."""
        return [channel for verifier in self._all for channel in verifier.channels()]

    def health(self, now: float | None) -> Sequence[RemoteHealth]:
        """Return how their issuers are doing."""
        return [health for verifier in self._all for health in verifier.health(now)]

    def __repr__(self) -> str:
        return ", ".join(map(repr, self._all))


def issuer_names(expected: str | Issuers | None) -> frozenset[str | None]:
    """Return the issuers that are expected, written out; None stands for those that a function judges."""
    accepted = expected.accepted if isinstance(expected, Issuers) else {expected}
    return frozenset({None} if accepted is None else accepted)
