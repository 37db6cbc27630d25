"""Check that an application can annotate a function that builds a guard; this module is never run."""

from collections.abc import Iterable
from typing import Any, assert_type

from authguard import (
    AccessCookie,
    APIKey,
    APIKeyVerifier,
    Credential,
    Guard,
    JWTVerifier,
    Principal,
    Quota,
    Refusal,
    RequestView,
    Rule,
)
from authguard.testing import override
from authguard.types import (
    ClaimName,
    CountedBy,
    CustomVerifier,
    Duration,
    Endpoint,
    IssuerCheck,
    KeyStore,
    Kind,
    Lookup,
    Moment,
    OnDecision,
    OnError,
    Override,
    Preflight,
    Proof,
    QuotasByTier,
    QuotaStore,
    Revocations,
    UserLoader,
    Values,
    Verifier,
)


def make_guard(
    *verifiers: Verifier | CustomVerifier,
    revocations: Revocations | None = None,
    backchannel_logout: Endpoint | None = None,
    user_loader: UserLoader | None = None,
    user_ttl: float | Duration = 0,
    proofs: Iterable[Proof] = (),
    preflight: Preflight = "answer",
    quotas: Iterable[Quota] | QuotasByTier | None = None,
    quota_store: QuotaStore | None = None,
    on_error: OnError | None = None,
    on_decision: OnDecision | None = None,
    credentials: Iterable[Kind] = ("bearer",),
) -> Guard:
    """Build a guard with all of its options that have types of this package."""
    return Guard(
        *verifiers,
        protected_paths=[Rule("/", credentials=credentials)],
        cookie=AccessCookie(),
        revocations=revocations,
        backchannel_logout=backchannel_logout,
        user_loader=user_loader,
        user_ttl=user_ttl,
        proofs=proofs,
        preflight=preflight,
        quotas=quotas,
        quota_store=quota_store,
        on_error=on_error,
        on_decision=on_decision,
    )


def make_verifier(issuer: str | IssuerCheck, roles: ClaimName, required: Values) -> Verifier:
    """Build a verifier."""
    keys: dict[str, Any] = {"keys": []}
    return JWTVerifier(
        keys, algorithms=["RS256"], issuer=issuer, audience="api", role_claims=[roles], claims=required
    )


def make_keys(keys: KeyStore | Lookup) -> Verifier:
    """Build a verifier of API keys."""
    return APIKeyVerifier(keys)


def make_key(expires_at: float | Moment | None, by: CountedBy) -> APIKey:
    """Build an API key."""
    return APIKey("ada", expires_at=expires_at, quotas=[Quota(10, 60, by=by)])


class Own:
    """Verify credentials in an application's own way."""

    async def verify(self, credential: Credential) -> Principal:
        """Return the caller."""
        return Principal(credential.value)


async def answer(request: RequestView, refusal: Refusal) -> Refusal:
    """Return the refusal."""
    return refusal


def load(principal: Principal) -> Any:
    """Return the user."""
    return principal.subject


guard = make_guard(Own(), on_error=answer, user_loader=load, quotas={"free": [Quota(10, 60)], None: []})
assert_type(override(guard, Principal("ada")), Override)
