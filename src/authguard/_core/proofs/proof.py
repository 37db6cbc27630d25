"""Check the proofs that tokens bound to a key require of each request (RFC 7800).

Anyone can use a stolen bearer token. A bound token names in `cnf` the key or certificate of its holder, and
each request must prove possession. So the verification of such a token may be remembered, but never its
proof.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from authguard._core.flow import Flow
from authguard._core.model import Confirmation, Credential
from authguard._core.options import FixedOptions, check_list, got
from authguard._core.request import RequestView
from authguard.errors import ConfigurationError, MalformedTokenError, UnprovenTokenError


class Proof(FixedOptions, ABC):
    """Define one way to prove possession for a token: `DPoP`, `MutualTLS`."""

    #: The member of `cnf` that this class checks.
    member: ClassVar[str]
    #: The algorithms of the signatures, as the challenge of the scheme lists them; empty without a scheme.
    algorithms: Sequence[str] = ()
    #: Whether used proofs are noted in the memory of this process.
    in_memory: bool = False

    @property
    @abstractmethod
    def metadata(self) -> Mapping[str, Any]:
        """Return the members of the resource's metadata about this proof (RFC 9728 section 2)."""

    @abstractmethod
    def check(self, request: RequestView, credential: Credential, bound_to: str, now: float) -> Flow[str]:
        """Raise an error unless the request has a valid proof.

        Args:
            request: the request.
            credential: the token.
            bound_to: the value of the member of `cnf`.
            now: seconds since the epoch.

        Returns:
            a nonce for the caller's next proofs, which the response must contain; empty for none.
        """


class Proofs:
    """Hold all ways of proof of a guard; without any, bound tokens are refused.

    Args:
        proofs: at most one for each member of `cnf`.

    Raises:
        ConfigurationError: for two of one kind, or an object that is not a way of proof.
    """

    def __init__(self, proofs: Iterable[Proof]) -> None:
        self._proofs: dict[str, Proof] = {}
        if isinstance(proofs, Proof):
            kind = type(proofs).__name__
            raise ConfigurationError(f"proofs must be a list, got {kind}: write proofs=[{kind}(…)]")
        for proof in check_list(proofs, "proofs", "DPoP(…)"):
            if not isinstance(proof, Proof):
                raise ConfigurationError(f"each of proofs must be DPoP(…) or MutualTLS(…), got {got(proof)}")
            if proof.member in self._proofs:
                raise ConfigurationError(f"proofs must have one of each kind, got two {type(proof).__name__}")
            self._proofs[proof.member] = proof

    @property
    def in_memory(self) -> bool:
        """Return whether used proofs are noted in the memory of this process."""
        return any(proof.in_memory for proof in self._proofs.values())

    @property
    def members(self) -> frozenset[str]:
        """Return the members of `cnf` that the proofs check."""
        return frozenset(self._proofs)

    @property
    def algorithms(self) -> str:
        """Return the `algs` of the DPoP challenge; empty without DPoP."""
        return " ".join(name for proof in self._proofs.values() for name in proof.algorithms)

    @property
    def metadata(self) -> dict[str, Any]:
        """Return the members of the resource's metadata about all proofs."""
        return {name: value for proof in self._proofs.values() for name, value in proof.metadata.items()}

    def confirmation_of(self, claims: Mapping[str, Any]) -> Confirmation:
        """Return the confirmation that the token is bound to; empty for a plain bearer token.

        RFC 7800 section 3.1 allows a verifier to ignore unknown members. But an issuer that adds them
        restricts the token, so a token with unknown members is refused.

        Raises:
            UnprovenTokenError: if the guard cannot check the confirmation.
            MalformedTokenError: if the claim `cnf` is malformed.
        """
        if "cnf" not in claims:
            return ()
        members = claims["cnf"]
        if not isinstance(members, Mapping) or not members:
            raise MalformedTokenError("cnf is not an object with members")
        if not members.keys() <= self._proofs.keys():
            raise UnprovenTokenError("bound by a cnf that none of the guard's proofs is for")
        if not all(isinstance(value, str) for value in members.values()):
            raise MalformedTokenError("a member of cnf is not text")
        # DPoP is checked last, because its check uses up the proof.
        return tuple(sorted(members.items(), key=lambda member: member[0] == "jkt"))

    def check(
        self, request: RequestView, credential: Credential, confirmation: Confirmation, now: float
    ) -> Flow[str]:
        """Raise an error unless the request has all proofs that the token requires.

        Args:
            request: the request.
            credential: the token.
            confirmation: the result of `confirmation_of` for it.
            now: seconds since the epoch.

        Returns:
            as `Proof.check`.
        """
        if credential.method == "dpop" and all(member != "jkt" for member, _ in confirmation):
            raise UnprovenTokenError("the scheme DPoP with a token that is bound to no key")
        nonce = ""
        for member, value in confirmation:
            nonce = (yield from self._proofs[member].check(request, credential, value, now)) or nonce
        return nonce
