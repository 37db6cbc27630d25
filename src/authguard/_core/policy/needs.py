"""Describe the needs of callers for a challenge."""

from collections.abc import Iterable
from functools import reduce
from operator import and_
from typing import NamedTuple

from authguard._core.policy.rules import Requirement

_OF_OAUTH = frozenset({"bearer", "dpop"})


class Needs(NamedTuple):
    """Hold the needs of callers at a path.

    Attributes:
        scopes: all scopes in any requirement, sorted.
        credentials: the kinds of credential that all requirements accept; None for all kinds.
    """

    scopes: tuple[str, ...] = ()
    credentials: frozenset[str] | None = None

    @property
    def takes_tokens(self) -> bool:
        """Return whether a token in the Authorization field may be accepted."""
        return self.credentials is None or bool(self.credentials & _OF_OAUTH)

    def takes(self, kind: str) -> bool:
        """Return whether a kind of credential is accepted."""
        return self.credentials is None or kind in self.credentials


#: The needs of places that accept any credential.
NO_NEEDS = Needs()


def needs_of(requirements: Iterable[Requirement]) -> Needs:
    """Return the needs of callers if several requirements apply."""
    listed = list(requirements)
    if not listed:
        return NO_NEEDS
    scopes = {scope for requirement in listed for scope in requirement.scopes | requirement.any_of}
    kinds = [requirement.credentials for requirement in listed if requirement.credentials]
    return Needs(tuple(sorted(scopes)), reduce(and_, kinds) if kinds else None)
