"""Decide about HTTP requests at once, where nothing has to be asked: the straight path of a guard."""

from collections.abc import Callable
from typing import Any, TypeAlias

from authguard._core.answer.charge import Charge
from authguard._core.answer.decision import NOBODY, Allow, Known, Prepared
from authguard._core.credential.cookies import SAFE_METHODS
from authguard._core.deciding.asking import Answered, AskAbout
from authguard._core.deciding.callers import UNDECIDED, AskFirst, Callers, Recalled, Refused, Undecided
from authguard._core.deciding.overridden import Overridden
from authguard._core.deciding.parts import Parts
from authguard._core.policy.policy import Verdict
from authguard._core.request import SITE_FIELD, Presented, RequestKey
from authguard._core.terms import OK, outcome_of
from authguard.errors import MissingCredentialsError, RateLimitedError

#: What `recall` returns where it decides nothing.
Open: TypeAlias = Refused | AskFirst | AskAbout | Answered | Undecided | Prepared
Recall: TypeAlias = Callable[[Presented, RequestKey, float], Recalled | Allow | Prepared]
Confirm: TypeAlias = Callable[[AskAbout, Any, RequestKey, float], Recalled | Allow | Prepared]
_Settle: TypeAlias = Callable[[Known, RequestKey, float], Recalled | Allow | Prepared]


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
        confirm: decides about a request when a function of the application has been asked about the caller,
            or tells what is to be asked next. Its arguments: what `recall` has returned, what the function
            has returned, and the last two of `recall`.
    """

    def __init__(self, callers: Callers, parts: Parts) -> None:
        self.callers: Callers | Overridden = callers
        self.own_callers = callers
        self.all_callers: list[Callers | Overridden] = [callers]
        self._parts = parts
        self._users = callers.users
        self._policy = parts.policy
        self._denials = parts.denials
        self._cookie = parts.extractor.cookie
        # A guard without quotas and terms does not ask for them each time.
        self._look: Recall = self._recall
        if self._cookie is not None:
            self._plain_cookie = self._cookie.plain
            self._look = self._recall_beside_cookie
        self.recall: Recall = self._look
        self.confirm: Confirm = self._confirm
        self._settle: _Settle = _settled
        if parts.quotas is not None:
            self._charge_at_once = parts.quotas.charge_at_once
            self._settle = self._charge
        elif callers.has_terms:
            self._settle = self._tell
        if self._settle is not _settled:
            self.recall = self._recall_and_settle

    def copied(self) -> "StraightPath":
        """Return another one of the same guard, with no callers but its own."""
        return StraightPath(self.own_callers, self._parts)

    def _recall(self, presented: Presented, request_key: RequestKey, now: float) -> Recalled | Prepared:
        """Decide about a request; the arguments are those of `Guard.recall`."""
        if not presented:
            return self._recall_nobody(request_key)
        recalled = self.callers.recall(presented, now)
        verdict = self._policy.memory.young.get(request_key) or self._policy.find_for_http(request_key)
        if not recalled.is_decision:
            if isinstance(recalled, Refused):
                if recalled.error.count is not None:  # in the flow, which knows the address
                    return recalled
                return self._denials.at_once(recalled.error, verdict, request_key) or recalled
            if not isinstance(recalled, AskAbout):
                return recalled
        # Each time, also for a known token, because a sign-in may have become too old. (pyright does not know
        # that all others were returned above: it does not narrow by the truth of a constant.)
        if verdict.requirements and not verdict.admits(recalled.auth.principal, now):  # pyright: ignore
            return UNDECIDED
        return recalled

    def _confirm(
        self, question: AskAbout, answer: Any, request_key: RequestKey, now: float
    ) -> Recalled | Allow | Prepared:
        """Decide as `recall` does, by what a function of the application has answered about a caller."""
        taken = question.take(answer)
        if type(taken) is not Known:
            return taken
        if self._users.ttl and taken is not question.known:
            self._users.keep(question.known, taken, now)
        settled = self._settle(taken, request_key, now)
        return question.answered(answer) if settled is UNDECIDED else settled

    def _recall_beside_cookie(
        self, fields: Presented, request_key: RequestKey, now: float
    ) -> Recalled | Allow | Prepared:
        """Decide as `_recall` does, and about a known cookie if this site has started the request."""
        presented: Presented = []
        site = None
        for field in fields:
            if field[0] != SITE_FIELD:
                presented.append(field)
            else:
                site = field[1] if site is None else b""  # what comes twice tells nothing
        if len(presented) == 1 and presented[0][0] == b"cookie":
            # The rule of `AccessCookie.is_cross_site`, as far as it can be told from this.
            is_from_here = site == b"same-origin" or request_key[0] in SAFE_METHODS
            token = self._plain_cookie(presented[0][1]) if is_from_here else None
            if token is None:
                return UNDECIDED
            presented[0] = (b"cookie", token)
        return self._recall(presented, request_key, now)

    def _recall_and_settle(
        self, presented: Presented, request_key: RequestKey, now: float
    ) -> Recalled | Allow | Prepared:
        """Decide as `_look` does, with what is taken and told for each request of a known caller."""
        known = self._look(presented, request_key, now)
        if type(known) is not Known or known is NOBODY:
            return known
        return self._settle(known, request_key, now)

    def _tell(self, known: Known, request_key: RequestKey, now: float) -> Known:
        """Tell the verifier of a request that passes."""
        if known.terms is not None and known.terms.count is not None:
            verdict = self._policy.memory.young.get(request_key) or self._policy.find_for_http(request_key)
            known.terms.count(now, None, verdict.rule, OK)
        return known

    def _charge(self, known: Known, request_key: RequestKey, now: float) -> Recalled | Allow | Prepared:
        """Take from the quotas of a known caller, and tell the verifier."""
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
        denied = self._denials.at_once(error, verdict, request_key)
        count = None if known.terms is None else known.terms.count
        if denied is None:
            error.count = count
            return Refused(error, known.auth)
        denied.caller = known.auth
        if count is not None:
            count(now, None, verdict.rule, outcome_of(error) or "")
        return denied

    def _recall_nobody(self, request_key: RequestKey) -> Recalled | Prepared:
        signs_in = self._cookie is not None and self._policy.is_login_page(request_key[1])
        if not self.callers.at_once or signs_in:
            return UNDECIDED
        verdict = self._policy.memory.young.get(request_key) or self._policy.find_for_http(request_key)
        if not verdict.protected:
            return NOBODY
        prepared = self._denials.missing_at_once(verdict, request_key)
        return prepared or Refused(MissingCredentialsError("no credential"))


def _settled(known: Known, request_key: RequestKey, now: float) -> Known:
    """Let the request of a known caller pass, which costs no quota and has no terms."""
    return known
