"""Decide about HTTP requests at once, if no question is needed: the straight path of a guard."""

from collections.abc import Callable
from typing import Any, TypeAlias

from authguard._core.answer.charge import Charge
from authguard._core.answer.decision import NOBODY, Allow, Known, Prepared
from authguard._core.credential.cookies import SAFE_METHODS
from authguard._core.deciding.asking import Answered, AskAbout, load_at_once
from authguard._core.deciding.callers import UNDECIDED, AskFirst, Callers, Recalled, Refused, Undecided
from authguard._core.deciding.overridden import Overridden
from authguard._core.deciding.parts import Parts
from authguard._core.policy.policy import Verdict
from authguard._core.request import SITE_FIELD, Presented, RequestKey
from authguard._core.terms import OK, outcome_of
from authguard.errors import MissingCredentialsError, RateLimitedError

#: The results of `recall` that are not a decision.
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
        all_callers: the guard's own, and those of tests; see `Override`.
        recall: decides about a request, if no question is needed; otherwise returns the known facts about it.
        confirm: decides about a request after a function of the application has been asked about the caller,
            or returns the next question. Its arguments: the result of `recall`, the return value of the
            function, and the last two arguments of `recall`.
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
        # A guard without quotas and terms uses functions that do not check for them at each request.
        self._look: Recall = self._recall
        if self._cookie is not None:
            self._plain_cookie = self._cookie.plain
            self._look = self._recall_beside_cookie
        self.recall: Recall = self._look
        self.confirm: Confirm = self._confirm
        self._settle: _Settle | None = None  # lets the request of a known caller pass
        if parts.quotas is not None:
            self._charge_at_once = parts.quotas.charge_at_once
            self._settle = self._charge
        elif callers.has_terms:
            self._settle = self._tell
        if callers.loads_at_once and callers.users.loader is not None:
            self._loader = callers.users.loader
            self.recall = self._recall_and_load
        elif self._settle is not None:
            self.recall = self._recall_and_settle

    def copied(self) -> "StraightPath":
        """Return another straight path of the same guard, which has only the guard's own callers."""
        return StraightPath(self.own_callers, self._parts)

    def _recall(self, presented: Presented, request_key: RequestKey, now: float) -> Recalled | Prepared:
        """Decide about a request; the arguments are those of `Guard.recall`."""
        if not presented:
            return self._recall_nobody(request_key)
        recalled = self.callers.recall(presented, now)
        verdict = self._policy.memory.young.get(request_key) or self._policy.find_for_http(request_key)
        if not recalled.is_decision:
            if isinstance(recalled, Refused):
                # the flow counts the request, because it knows the address
                if recalled.error.count is not None:
                    return recalled
                return self._denials.at_once(recalled.error, verdict, request_key) or recalled
            if not isinstance(recalled, AskAbout):
                return recalled
        # The requirements are checked each time, also for a known token, because a sign-in may have become
        # too old. (pyright does not narrow by the truth of a constant, so it does not know that all other
        # types were returned above.)
        if verdict.requirements and not verdict.admits(recalled.auth.principal, now):  # pyright: ignore
            return UNDECIDED
        return recalled

    def _confirm(
        self, question: AskAbout, answer: Any, request_key: RequestKey, now: float
    ) -> Recalled | Allow | Prepared:
        """Decide as `recall` does, by the answer of a function of the application about a caller."""
        taken = question.take(answer)
        if type(taken) is not Known:
            return taken
        if self._users.ttl and taken is not question.known:
            self._users.keep(question.known, taken, now)
        if self._settle is None:
            return taken
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
                site = field[1] if site is None else b""  # a field that was sent twice is not trusted
        if len(presented) == 1 and presented[0][0] == b"cookie":
            # The rule of `AccessCookie.is_cross_site`, as far as these fields are sufficient.
            is_from_here = site == b"same-origin" or request_key[0] in SAFE_METHODS
            token = self._plain_cookie(presented[0][1]) if is_from_here else None
            if token is None:
                return UNDECIDED
            presented[0] = (b"cookie", token)
        return self._recall(presented, request_key, now)

    def _recall_and_load(
        self, presented: Presented, request_key: RequestKey, now: float
    ) -> Recalled | Allow | Prepared:
        """Decide as `_recall_and_settle` does, and load the user of the caller, which is in memory."""
        known = self._look(presented, request_key, now)
        if type(known) is not Known or known is NOBODY:
            return known
        loaded = load_at_once(known, self._loader)
        if type(loaded) is not Known or self._settle is None:
            return loaded
        settled = self._settle(loaded, request_key, now)
        # The flow need not load the user again.
        return AskAbout(known, None, self._loader).answered(loaded.user) if settled is UNDECIDED else settled

    def _recall_and_settle(
        self, presented: Presented, request_key: RequestKey, now: float
    ) -> Recalled | Allow | Prepared:
        """Decide as `_look` does, and charge and count each request of a known caller."""
        known = self._look(presented, request_key, now)
        if type(known) is not Known or known is NOBODY or self._settle is None:
            return known
        return self._settle(known, request_key, now)

    def _tell(self, known: Known, request_key: RequestKey, now: float) -> Known:
        """Report an allowed request to the verifier."""
        if known.terms is not None and known.terms.count is not None:
            verdict = self._policy.memory.young.get(request_key) or self._policy.find_for_http(request_key)
            known.terms.count(now, None, verdict.rule, OK)
        return known

    def _charge(self, known: Known, request_key: RequestKey, now: float) -> Recalled | Allow | Prepared:
        """Take from the quotas of a known caller, and report the request to the verifier."""
        verdict = self._policy.memory.young.get(request_key) or self._policy.find_for_http(request_key)
        if verdict.protected:
            charge = self._charge_at_once(known, verdict)
        else:  # a decorator may take from the quotas later
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
        """Refuse a request because too little of a quota is left, and report it to the verifier."""
        denied = self._denials.at_once(error, verdict, request_key)
        count = error.count = None if known.terms is None else known.terms.count
        if denied is None:
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
