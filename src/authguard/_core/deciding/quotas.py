"""Find the quotas that apply to a request, and take from all of them at once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from math import ceil, isfinite
from typing import Any, ClassVar, NamedTuple, TypeAlias

from authguard._core.answer.charge import Charge
from authguard._core.answer.decision import Known
from authguard._core.answer.denials import as_refused
from authguard._core.answer.rate_limit import limit_field, limit_template, policy_field, refused_field
from authguard._core.answer.response_fields import ResponseFields
from authguard._core.callbacks import says_in_memory, source_name
from authguard._core.flow import Call, Flow
from authguard._core.memory import Memory
from authguard._core.model import Principal, api_key_id
from authguard._core.options import check_method, check_text, got, unusable_answer
from authguard._core.policy.policy import Verdict
from authguard._core.policy.rules import Rule
from authguard._core.quota import Quota, check_quotas
from authguard._core.quota_store import NOTHING, CounterKey, QuotaHealth, QuotaStore, Take, Taken
from authguard._core.verifier import Verifier
from authguard.errors import (
    ConfigurationError,
    QuotaUnavailableError,
    RateLimitedError,
    VerificationUnavailableError,
)

# Three mappings, because for a type checker a `dict[None, …]` is no mapping from `str | None`.
#: The quotas of callers by their tier; None for callers without a tier.
QuotasByTier: TypeAlias = (
    Mapping[str | None, Iterable[Quota]] | Mapping[str, Iterable[Quota]] | Mapping[None, Iterable[Quota]]
)

_MAX_SETS = 1_000  # sets of quotas that apply together; each pair of tier and rule has one
_MAX_SUBJECT = 200  # characters of the caller's names in a counter; longer names are replaced with a digest
# for windows of at least this length, callers get different waiting times, so that they do not all return in
# one second
_JITTERED_SECONDS = 3600
_JITTER = 0.05
_NO_RULES = Verdict(protected=True)


class Limits(NamedTuple):
    """Hold the quotas that apply together.

    Attributes:
        quotas: the quotas.
        counters: the name of the counter of each quota.
        policy: the value of RateLimit-Policy.
        template: that of RateLimit.
    """

    quotas: tuple[Quota, ...]
    counters: tuple[str, ...]
    policy: bytes
    template: bytes


class Quotas:
    """Take from the quotas of a guard.

    Args:
        quotas: for all callers, or by tier.
        store: the store of the counts; None for the memory of this process.
        rules: those of the guard, which may have quotas of their own.

    Raises:
        ConfigurationError: if names clash, a cost is above a quota, or callers without a tier have no entry.
    """

    #: The default store. The package sets it: the core has neither locks nor clocks.
    default_store: ClassVar[type[QuotaStore]]

    def __init__(
        self,
        quotas: Iterable[Quota] | QuotasByTier,
        store: QuotaStore | None,
        rules: Iterable[Rule],
    ) -> None:
        is_shared = isinstance(store, str) or hasattr(store, "revocations")
        write = 'RedisQuotas("redis://…")' if is_shared else "MemoryQuotas()"
        for method, takes in (("take", "takes"), ("give_back", "taken")):
            check_method(store, "quota_store", method, f"quota_store={write}", takes=takes)
        self.store = Quotas.default_store() if store is None else store
        self._by_tier = _by_tier(quotas) if isinstance(quotas, Mapping) else None
        self._for_all = () if isinstance(quotas, Mapping) else check_quotas(quotas, "quotas")
        _check_rules(list(rules), [self._for_all, *(self._by_tier or {}).values()])
        self._in_memory = says_in_memory(self.store, "quota_store", "take")
        #: The function for the straight path; None if the store has none.
        self._take_at_once: Callable[[Sequence[Take]], Any] | None = (
            self.store.take if self._in_memory else getattr(self.store, "take_at_once", None)
        )
        self._limits: Memory[tuple[Any, ...], Limits] = Memory(_MAX_SETS)

    def charge_at_once(self, known: Known, verdict: Verdict) -> Charge | RateLimitedError | None:
        """Take from the quotas of a request; return None if the flow must do it.

        Args:
            known: the caller.
            verdict: the requirements of the rules.
        """
        if self._take_at_once is None:
            return None
        try:
            takes: Sequence[Take]
            # read once, because another thread may replace it with the takes for another path
            last = known.takes
            if last is not None and last[0] is verdict:
                _, limits, takes = last
            else:
                principal = known.auth.principal
                limits = self._limits_of(principal, verdict)
                takes = _takes(limits, principal, verdict.cost)
                known.takes = (verdict, limits, takes)
            if not takes:
                return Charge(known.response_fields, NOTHING)
            taken = self._take_at_once(takes)
            admitted = taken.admitted
        except Exception:  # noqa: BLE001 (as in the flow)
            # the flow raises the same error again and handles it; or the store has not answered yet
            return None
        if not admitted:
            return _exceeded(limits, taken, known.auth.principal)
        return Charge(known.response_fields, taken, _fields(limits, taken))

    def takes_of(self, principal: Principal, verdict: Verdict) -> Sequence[Take]:
        """Return the amounts that a request of a caller takes by the rules."""
        return _takes(self._limits_of(principal, verdict), principal, verdict.cost)

    def charge(
        self, charge: Charge, principal: Principal, verdict: Verdict, taken_outside: Sequence[Take] = ()
    ) -> Flow[None]:
        """Take from the quotas of a request, from all or from none.

        Args:
            charge: that of the request; this method fills it in.
            principal: the caller.
            verdict: the requirements of the rules.
            taken_outside: the amounts that outer guards have taken from the same store for the request.

        Raises:
            RateLimitedError: if too little remains of an enforced quota.
            QuotaUnavailableError: if the store is down.
        """
        limits = self._limits_of(principal, verdict)
        takes = _takes(limits, principal, verdict.cost)
        if taken_outside:
            limits, takes = _without(limits, takes, taken_outside)
        if not takes:
            charge.taken = NOTHING
            return
        taken = yield from self._ask(self.store.take, takes, self._take_at_once)
        if not isinstance(taken, Taken):
            raise unusable_answer("take() of a store of quotas", "a Taken", taken)
        if not taken.admitted:
            raise _exceeded(limits, taken, principal)
        charge.taken, charge.fields = taken, _fields(limits, taken)

    def give_back(self, charge: Charge) -> Flow[None]:
        """Undo the charge of a request that was refused afterwards; do nothing if nothing was taken.

        If the store is down, the amounts stay taken, because the refusal must be sent nevertheless.
        """
        taken, charge.taken, charge.fields, charge.is_refused = charge.taken, None, (), False
        if taken is not None and taken is not NOTHING:
            with suppress(QuotaUnavailableError):
                yield from self._ask(self.store.give_back, taken)

    def give_back_unused(self) -> Flow[None]:
        """Tell the store to give back the leases of this process, if the store has leases."""
        give_back: Callable[[], Any] | None = getattr(self.store, "give_back_unused", None)
        if give_back is not None:
            yield from Call(give_back)

    def _ask(
        self,
        function: Callable[..., Any],
        argument: object,
        at_once: Callable[..., Any] | None = None,
    ) -> Flow[Any]:
        """Call a function of the store, after trying a function that answers at once or returns None."""
        try:
            if self._in_memory:
                return function(argument)
            answer = None if at_once is None else at_once(argument)
            return (yield from Call(function, argument)) if answer is None else answer
        except QuotaUnavailableError:
            raise
        except Exception as raised:
            refused = as_refused(raised, source_name("quota_store", function))
            if not isinstance(refused, VerificationUnavailableError):
                raise refused from raised
            raise QuotaUnavailableError(refused.reason, retry_after=refused.retry_after) from raised

    def check_known(self, principal: Principal) -> None:
        """Check that the guard has quotas for a caller that is known in advance.

        Raises:
            ConfigurationError: if its tier has no quotas, or two quotas have one name.
        """
        self._limits_of(principal, _NO_RULES)

    def health(self) -> Sequence[QuotaHealth]:
        """Return the state of the store, if it reports one."""
        health: Callable[[], QuotaHealth] | None = getattr(self.store, "health", None)
        return () if health is None else (health(),)

    def may_refuse(self, verdict: Verdict) -> bool:
        """Return whether a quota may refuse a caller of a path, ignoring the quotas of single keys."""
        tiers = [self._for_all] if self._by_tier is None else list(self._by_tier.values())
        quotas = [*verdict.quotas, *(quota for tier in tiers for quota in tier)]
        return bool(verdict.cost) and any(quota.enforce for quota in quotas)

    def _limits_of(self, principal: Principal, verdict: Verdict) -> Limits:
        tier = None if self._by_tier is None else principal.tier
        key = (tier, verdict.quotas, principal.quotas)
        return self._limits.get(key) or self._find_limits(*key)

    def _find_limits(self, tier: str | None, of_rule: tuple[Quota, ...], own: tuple[Quota, ...]) -> Limits:
        by_tier = self._by_tier
        if by_tier is not None and tier not in by_tier:
            known = ", ".join(repr(name) for name in by_tier)
            raise ConfigurationError(
                f"the tier of each caller must be one of quotas ({known}), got {got(tier)}: correct it, or "
                "add it to quotas, as by tier_quotas(service.settings.api_key_tiers)"
            )
        of_tier = self._for_all if by_tier is None else by_tier[tier]
        # Each window has a counter of its own: the counts of a minute are deleted before the hour is over.
        # Names contain no quotes, so no two of these texts are equal.
        place = "all" if by_tier is None else f"tier {tier}" if tier else "no tier"
        counted = [(f'"{quota.policy}" {quota.seconds} {place}', quota) for quota in of_tier]
        counted += [(f'"{quota.policy}" {quota.seconds} rule', quota) for quota in of_rule]
        counted += [(f'"{quota.policy}" {quota.seconds} own', quota) for quota in map(_of_key, own)]
        quotas = tuple(quota for _, quota in counted)
        names = [quota.policy for quota in quotas]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ConfigurationError(
                f"each quota must have a name of its own, got two of {twice!r} for one API key: write "
                "Quota(…, name=…)"
            )
        policy, template = policy_field(quotas).encode("ascii"), limit_template(quotas)
        limits = Limits(quotas, tuple(name for name, _ in counted), policy, template)
        self._limits.put((tier, of_rule, own), limits)
        return limits


def _of_key(quota: Quota) -> Quota:
    """Return a quota of one key, with a name that no other quota of the guard should have."""
    return Quota(
        quota.count, quota.seconds, name=f"key-{quota.policy}"[:128], by="key", enforce=quota.enforce
    )


def _takes(limits: Limits, principal: Principal, cost: int) -> Sequence[Take]:
    """Return the amounts that a request takes; empty if its cost is 0."""
    owner = (principal.issuer, principal.subject)
    if len(principal.subject) + len(principal.issuer or "") > _MAX_SUBJECT:
        owner = ("", sha256(repr(owner).encode()).hexdigest())
    keys: Mapping[str, CounterKey] = {"owner": owner, "key": (*owner, api_key_id(principal))}
    named = zip(limits.counters, limits.quotas, strict=True)
    return tuple(Take((name, *keys[quota.by]), quota, cost) for name, quota in named) if cost else ()


def _without(limits: Limits, takes: Sequence[Take], taken: Sequence[Take]) -> tuple[Limits, Sequence[Take]]:
    """Return the amounts that must still be taken, and their limits."""
    kept = [index for index, take in enumerate(takes) if take not in taken]
    quotas = tuple(limits.quotas[index] for index in kept)
    policy = policy_field(quotas).encode("ascii")
    rest = Limits(quotas, tuple(limits.counters[index] for index in kept), policy, limit_template(quotas))
    return rest, [takes[index] for index in kept]


def _fields(limits: Limits, taken: Taken) -> ResponseFields:
    field = limit_field(limits.template, taken.states)
    return ((b"ratelimit-policy", limits.policy), (b"ratelimit", field))


def _exceeded(limits: Limits, taken: Taken, principal: Principal) -> RateLimitedError:
    """Return the refusal by all quotas that have too little left."""
    states = zip(limits.quotas, taken.states, strict=True)
    violated = [(quota, state) for quota, state in states if state.wait > 0 and quota.enforce]
    quota, state = max(violated, key=lambda each: each[1].wait)
    wait = state.wait if isfinite(state.wait) else quota.window
    error = RateLimitedError(
        quota.policy,
        quota=quota.count,
        window=quota.window,
        retry_after=_spread(wait, quota.window, principal),
        violated=[quota.policy for quota, _ in violated],
        fields=(
            ("ratelimit-policy", limits.policy.decode("ascii")),
            ("ratelimit", refused_field(limits.quotas, taken.states)),
        ),
    )
    error.key_id = api_key_id(principal)
    return error


def _spread(wait: float, window: int, principal: Principal) -> int:
    """Return the seconds after which to retry; for long waits, they differ between callers."""
    if window < _JITTERED_SECONDS:
        return ceil(wait)
    digest = sha256(f"{principal.issuer}\n{principal.subject}".encode()).digest()
    later = wait * (1 + _JITTER * int.from_bytes(digest[:2], "big") / 0xFFFF)
    return ceil(max(wait, min(later, window)))


def _by_tier(quotas: Mapping[Any, Any]) -> dict[str | None, tuple[Quota, ...]]:
    by_tier: dict[str | None, tuple[Quota, ...]] = {}
    for tier, listed in quotas.items():
        if tier is not None:
            check_text(tier, "each tier of quotas", must="be text that is not empty, or None")
        by_tier[tier] = check_quotas(listed, "quotas of a tier" if tier is None else f"quotas of {tier}")
    if None not in by_tier:
        raise ConfigurationError(
            "quotas must include callers without a tier, got only tiers: write None: [Quota(…)], "
            "or None: [] for no quota"
        )
    return by_tier


def _check_rules(rules: Sequence[Rule], tiers: Sequence[tuple[Quota, ...]]) -> None:
    """Check that each quota has a name of its own, and that no request costs more than a quota."""
    by_name: dict[str, tuple[Quota, str]] = {
        quota.policy: (quota, "quotas of the Guard") for tier in tiers for quota in tier
    }
    names_of_tiers = set(by_name)
    for rule in rules:
        for quota in rule.quotas:
            other, place = by_name.setdefault(quota.policy, (quota, repr(rule)))
            if other != quota or quota.policy in names_of_tiers:
                raise ConfigurationError(
                    f"each quota must have a name of its own, got {quota.policy!r} in {rule!r} and in "
                    f"{place}: write Quota(…, name=…)"
                )
        for quota in (*rule.quotas, *(quota for tier in tiers for quota in tier)):
            if rule.cost > quota.count:
                raise ConfigurationError(
                    f"cost of {rule!r} must be at most {quota.count}, because no caller has more of "
                    f"{quota.policy!r}, got {rule.cost}"
                )


def quotas_for(
    quotas: Iterable[Quota] | QuotasByTier | None,
    store: QuotaStore | None,
    rules: Sequence[Rule],
    verifiers: Sequence[Verifier],
) -> Quotas | None:
    """Return the quotas of a guard; None if it has none.

    Args:
        quotas: as for `Quotas`; None for only the quotas of rules.
        store: as for `Quotas`.
        rules: those of the guard.
        verifiers: those of the guard, whose callers may be known in advance.

    Raises:
        ConfigurationError: as for `Quotas`, and if an option has no effect without quotas.
    """
    known = [principal for verifier in verifiers for principal in verifier.known_principals]
    if quotas is None and not any(rule.quotas for rule in rules):
        for principal in known:
            check_counts(principal, counts=False)
        if store is not None:
            raise ConfigurationError(
                "quota_store must be left out without quotas, got a store: write quotas=[Quota(…)]"
            )
        for rule in rules:
            if rule.cost != 1:
                raise ConfigurationError(
                    f"cost must be left out without quotas, got {rule!r}: write quotas=[Quota(…)]"
                )
        return None
    made = Quotas(() if quotas is None else quotas, store, rules)
    tiers = [tier for verifier in verifiers for tier in verifier.known_tiers]
    for principal in (*known, *(Principal("owner", tier=tier) for tier in tiers)):
        made.check_known(principal)
    return made


def check_counts(principal: Principal, *, counts: bool) -> None:
    """Check that a guard counts, if an API key has quotas of its own.

    Raises:
        ConfigurationError: if it does not count.
    """
    if principal.quotas and not counts:
        raise ConfigurationError(
            "quotas of a key must be in a guard that counts, got a guard without quotas: write "
            "Guard(quotas=[])"
        )
