"""Decide about HTTP requests at once, where nothing has to be asked: the straight path of a guard."""

from collections.abc import Callable
from typing import TypeAlias

from authguard._core.answer.charge import Charge
from authguard._core.answer.decision import NOBODY, Allow, Known, Prepared
from authguard._core.deciding.callers import UNDECIDED, Callers, Recalled, Refused
from authguard._core.deciding.overridden import Overridden
from authguard._core.deciding.parts import Parts
from authguard._core.policy.policy import Verdict
from authguard._core.request import Presented, RequestKey
from authguard._core.terms import OK, outcome_of
from authguard.errors import MissingCredentialsError, RateLimitedError

Recall: TypeAlias = Callable[[Presented, RequestKey, float], Recalled | Allow | Prepared]


class StraightPath:
    """Decide about known callers, public pages and plain refusals, without a flow.

    Args:
        callers: finds out who presents a credential.
        parts: those of the guard.

    Attributes:
        callers: those in use.
        own_callers: the guard's own.
        all_callers: the guard's own, and those of tests; see `overriding`.
        recall: decides about a request, if nothing has to be asked; else tells what is known of it.
    """

    def __init__(self, callers: Callers, parts: Parts) -> None:
        self.callers: Callers | Overridden = callers
        self.own_callers = callers
        self.all_callers: list[Callers | Overridden] = [callers]
        self._parts = parts
        self._policy = parts.policy
        self._denials = parts.denials
        self._cookie = parts.extractor.cookie
        # A guard without quotas and terms does not ask for them each time.
        self.recall: Recall = self._recall
        if parts.quotas is not None:
            self._charge_at_once = parts.quotas.charge_at_once
            self.recall = self._recall_counted
        elif callers.has_terms:
            self.recall = self._recall_told

    def copied(self) -> "StraightPath":
        """Return another one of the same guard, with no callers but its own."""
        return StraightPath(self.own_callers, self._parts)

    def _recall(self, presented: Presented, request_key: RequestKey, now: float) -> Recalled | Prepared:
        """Decide about a request; the arguments are those of `Guard.recall`."""
        if not presented:
            return self._recall_nobody(request_key)
        recalled = self.callers.recall(presented, now)
        if not recalled.is_decision:
            if isinstance(recalled, Refused):
                if recalled.error.count is not None:  # in the flow, which knows the address
                    return recalled
                return self._denials.at_once(recalled.error, request_key) or recalled
            return recalled
        verdict = self._policy.memory.young.get(request_key) or self._policy.find_for_http(request_key)
        # Each time, also for a token that is known: a sign-in grows old. (pyright does not know that all
        # others were returned above: it does not narrow by the truth of a constant.)
        if verdict.requirements and not verdict.admits(recalled.user, now):  # pyright: ignore
            return UNDECIDED
        return recalled

    def _recall_told(self, presented: Presented, request_key: RequestKey, now: float) -> Recalled | Prepared:
        """Decide as `_recall` does, and tell the verifier of a request that passes."""
        known = self._recall(presented, request_key, now)
        if isinstance(known, Known) and known.terms is not None and known.terms.count is not None:
            verdict = self._policy.memory.young.get(request_key) or self._policy.find_for_http(request_key)
            known.terms.count(now, None, verdict.rule, OK)
        return known

    def _recall_counted(
        self, presented: Presented, request_key: RequestKey, now: float
    ) -> Recalled | Allow | Prepared:
        """Decide as `_recall` does, and take from the quotas of a known caller."""
        known = self._recall(presented, request_key, now)
        if type(known) is not Known or known is NOBODY:
            return known
        verdict = self._policy.memory.young.get(request_key) or self._policy.find_for_http(request_key)
        if verdict.protected:
            charge = self._charge_at_once(known, verdict)
        else:  # a decorator may take from them
            charge = Charge(known.response_fields)
        if type(charge) is not Charge:
            if isinstance(charge, RateLimitedError):
                return self._exceeded(charge, known, verdict, request_key, now)
            return UNDECIDED
        terms = known.terms
        if terms is None:
            return Allow(known.auth, known.user, charge=charge)
        if terms.count is not None:
            terms.count(now, None, verdict.rule, OK)
        return Allow(known.auth, known.user, charge=charge, terms=terms)

    def _exceeded(
        self, error: RateLimitedError, known: Known, verdict: Verdict, request_key: RequestKey, now: float
    ) -> Refused | Prepared:
        """Refuse a request for which too little is left, and tell the verifier of it."""
        denied = self._denials.at_once(error, request_key)
        count = None if known.terms is None else known.terms.count
        if denied is None:
            error.count = count
            return Refused(error)
        denied.caller = known.auth
        if count is not None:
            count(now, None, verdict.rule, outcome_of(error) or "")
        return denied

    def _recall_nobody(self, request_key: RequestKey) -> Recalled | Prepared:
        signs_in = self._cookie is not None and self._policy.is_login_page(request_key[1])
        if not self.callers.at_once or signs_in:
            return UNDECIDED
        if not self._policy.find_for_http(request_key).protected:
            return NOBODY
        return self._denials.missing_at_once(request_key) or Refused(MissingCredentialsError("no credential"))
