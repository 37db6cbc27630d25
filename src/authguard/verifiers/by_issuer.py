"""Choose among several JWT verifiers, by the exact `iss` and the algorithm."""

from collections.abc import Sequence
from contextlib import suppress
from math import inf
from typing import Protocol, TypeAlias

from authguard._core.flow import Channel, Flow
from authguard._core.jose.claims import read_claims
from authguard._core.jose.compact import Token, read_compact
from authguard._core.jose.issuers import Issuers
from authguard._core.jose.jwk import ALIASES
from authguard._core.model import Credential
from authguard._core.remote.http import RemoteHealth
from authguard._core.verifier import Verified, Verifier
from authguard.errors import ConfigurationError, InvalidIssuerError, MalformedTokenError, RefusedError


class IssuerVerifier(Protocol):
    """Define the interface of the verifiers to choose from.

    That of `JWTVerifier`, which imports this module.
    """

    algorithms: frozenset[str]
    issuers: str | Issuers | None
    padding: bool
    has_public_keys: bool

    def accepts(self, credential: Credential) -> bool:
        """Return whether a credential looks like a token."""
        ...

    def verify(self, token: Token, credential: Credential, now: float) -> Flow[Verified] | Verified:
        """Verify a parsed token."""
        ...

    def channels(self) -> Sequence[Channel]:
        """Return its channels to the issuer."""
        ...

    def health(self, now: float | None) -> Sequence[RemoteHealth]:
        """Return the state of the issuer."""
        ...


_REPORT_SECONDS = 1.0  # between two tokens whose signature is verified for the log alone

_Key: TypeAlias = tuple[str | None, str]


class VerifierByIssuer(Verifier):
    """Choose among several JWT verifiers, by the exact `iss` and the algorithm.

    A verifier whose `issuer` is a function, or None, is used for the issuers that no other verifier lists.
    A verifier whose `issuer` is None is also used for tokens without `iss`.

    Args:
        verifiers: the verifiers to choose from.

    Raises:
        ConfigurationError: if two have the same issuer and algorithm.
    """

    def __init__(self, verifiers: Sequence[IssuerVerifier]) -> None:
        self._verifiers: dict[_Key, IssuerVerifier] = {}
        self._all = verifiers
        self._named: set[str | None] = set()
        self._next_report = -inf
        self._reports = -1  # counted from 0
        self._padding = any(verifier.padding for verifier in verifiers)
        self.has_public_keys = any(verifier.has_public_keys for verifier in verifiers)
        for verifier in verifiers:
            for issuer in issuer_names(verifier.issuers):
                for algorithm in verifier.algorithms:
                    self._add(issuer, algorithm, verifier)

    def _add(self, issuer: str | None, algorithm: str, verifier: IssuerVerifier) -> None:
        if (issuer, algorithm) in self._verifiers:
            if issuer is None:
                raise ConfigurationError(
                    f"issuer must be None or a function of one JWTVerifier for {algorithm} alone, got two: "
                    "name the issuers of one of them, by issuer= or tenants="
                )
            raise ConfigurationError(
                f"each JWTVerifier must have its own issuer and algorithm, got two for {algorithm} "
                f"of {issuer!r}: give one of them all the keys, as in JWTVerifier([new, old], …)"
            )
        self._verifiers[issuer, algorithm] = verifier
        self._named.add(issuer)

    def accepts(self, credential: Credential) -> bool:
        """Return whether a credential looks like a token."""
        return self._all[0].accepts(credential)

    def flow(self, credential: Credential, now: float) -> Flow[Verified] | Verified:
        """Verify a token with the verifier of its issuer."""
        token = read_compact(credential.value, padding=self._padding)
        # Read before verification, only to choose the verifier (RFC 8725 section 3.3).
        _, claims = read_claims(token)
        issuer = claims.get("iss")
        algorithm = ALIASES.get(token.header.algorithm, token.header.algorithm)
        verifier = None
        if issuer is None or isinstance(issuer, str):
            verifier = self._verifiers.get((issuer if issuer in self._named else None, algorithm))
        if verifier is None:
            if now >= self._next_report:
                self._next_report = now + _REPORT_SECONDS
                self._report(token, credential, now, algorithm)
            raise InvalidIssuerError("no verifier for this issuer and algorithm")
        if self._padding and not verifier.padding and "=" in credential.value:
            raise MalformedTokenError("padding, which this issuer does not use")
        return verifier.verify(token, credential, now)

    def _report(self, token: Token, credential: Credential, now: float, algorithm: str) -> None:
        """Let a verifier log that it expects another issuer, if it has the key of the token.

        Only a valid signature shows that an option is wrong. Nothing is fetched for it, because others can
        write any issuer into a token. The verifiers take turns, so that no token costs two signature checks.
        """
        able = [verifier for verifier in self._all if algorithm in verifier.algorithms]
        if not able:
            return
        self._reports += 1
        with suppress(RefusedError):
            outcome = able[self._reports % len(able)].verify(token, credential, now)
            # The flow ends at its first question.
            next(iter(()) if isinstance(outcome, Verified) else outcome, None)

    def channels(self) -> Sequence[Channel]:
        """Return their channels to the issuers."""
        return [channel for verifier in self._all for channel in verifier.channels()]

    def health(self, now: float | None) -> Sequence[RemoteHealth]:
        """Return the state of their issuers."""
        return [health for verifier in self._all for health in verifier.health(now)]

    def __repr__(self) -> str:
        return ", ".join(map(repr, self._all))


def issuer_names(expected: str | Issuers | None) -> frozenset[str | None]:
    """Return the expected issuers as a set; None stands for those that no other verifier lists."""
    accepted = expected.accepted if isinstance(expected, Issuers) else {expected}
    return frozenset({None} if accepted is None else accepted)
