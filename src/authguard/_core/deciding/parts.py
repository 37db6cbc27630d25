"""Hold the parts of a guard that all its deciding modules share."""

from dataclasses import dataclass

from authguard._core.answer.denials import Denials
from authguard._core.credential.extractor import Extractor
from authguard._core.deciding.quotas import Quotas
from authguard._core.policy.policy import Policy
from authguard._core.proxies import TrustedProxies


@dataclass(frozen=True, slots=True)
class Parts:
    """Hold the parts of one guard.

    Attributes:
        policy: the rules.
        denials: builds the answers to errors.
        extractor: finds the credential of a request.
        quotas: those of the guard; None if it has none.
        proxies: find the address of a client.
    """

    policy: Policy
    denials: Denials
    extractor: Extractor
    quotas: Quotas | None
    proxies: TrustedProxies
