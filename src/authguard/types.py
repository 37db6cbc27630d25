"""Name the types of options, for the annotations of an application's own functions.

An application that builds a guard in a typed function imports them from this module.

* `CustomVerifier`, `Verifier`: the verifiers of `Guard(…)`
* `UserLoader`, `OnError`, `OnDecision`: the functions of `Guard(user_loader=…, on_error=…, on_decision=…)`
* `Revocations`, `Endpoint`, `Proof`: the objects of `Guard(revocations=…, backchannel_logout=…, proofs=…)`
* `QuotasByTier`, `QuotaStore`, `CountedBy`: `Guard(quotas=…, quota_store=…)` and `Quota(by=…)`
* `Kind`, `Method`, `Preflight`: `Rule(credentials=…)`, `Principal.method` and `Rule(preflight=…)`
* `ClaimName`, `Values`, `IssuerCheck`: options of `JWTVerifier`
* `KeyStore`, `Lookup`: the keys of `APIKeyVerifier`
* `Replays`, `Down`, `QuotasDown`: `DPoP(replays=…)`, and the options of stores for an outage
* `Duration`, `Moment`: a `timedelta`, and a `datetime` with a time zone
* `Confirmation`, `Headers`: `Auth.confirmation` and `Refusal.headers`
* `Override`: the result of `authguard.testing.override`
"""

from authguard._core.answer.denials import OnError
from authguard._core.answer.refusal import Headers
from authguard._core.deciding.overridden import Override
from authguard._core.deciding.quotas import QuotasByTier
from authguard._core.deciding.telling import OnDecision
from authguard._core.deciding.users import UserLoader
from authguard._core.endpoint import Endpoint
from authguard._core.jose.claim_paths import ClaimName
from authguard._core.jose.conditions import Values
from authguard._core.jose.issuers import IssuerCheck
from authguard._core.logouts import Revocations
from authguard._core.model import Confirmation, Kind, Method
from authguard._core.options import Duration, Moment
from authguard._core.policy.rules import Preflight
from authguard._core.proofs.dpop import Replays
from authguard._core.proofs.proof import Proof
from authguard._core.quota import CountedBy
from authguard._core.quota_store import QuotaStore
from authguard._core.verifier import CustomVerifier, Verifier
from authguard.stores.counting.outage import QuotasDown
from authguard.stores.downtime import Down
from authguard.verifiers.apikey import KeyStore, Lookup

__all__ = [
    "ClaimName",
    "Confirmation",
    "CountedBy",
    "CustomVerifier",
    "Down",
    "Duration",
    "Endpoint",
    "Headers",
    "IssuerCheck",
    "KeyStore",
    "Kind",
    "Lookup",
    "Method",
    "Moment",
    "OnDecision",
    "OnError",
    "Override",
    "Preflight",
    "Proof",
    "QuotaStore",
    "QuotasByTier",
    "QuotasDown",
    "Replays",
    "Revocations",
    "UserLoader",
    "Values",
    "Verifier",
]
