"""Find quotas by tier that apply to no caller."""

from collections.abc import Iterable, Iterator, Mapping

from authguard._core.verifier import Verifier


def sentences_on_unused_tiers(quotas: object, verifiers: Iterable[Verifier]) -> Iterator[str]:
    """Yield a sentence if quotas have tiers, and no verifier gives its callers a tier.

    All callers then have the quotas of callers without a tier, which may be none.

    Args:
        quotas: those of the guard, checked.
        verifiers: those of the guard.
    """
    if not isinstance(quotas, Mapping) or any(verifier.gives_tiers for verifier in verifiers):
        return
    if tiers := sorted(tier for tier in quotas if tier is not None):
        yield (
            f"quotas must be by tiers that callers have, got {tiers}, and no verifier with tiers, so that "
            "each caller has the quotas under None: write JWTVerifier(…, tier_claim='tier') or APIKey(…, "
            "tier='free'), or a list of quotas for all callers"
        )
