"""Decide about requests by a flow, which can ask questions: the full path of a guard."""

from authguard._core.answer.charge import Charge
from authguard._core.answer.decision import Allow, Deny, Known
from authguard._core.answer.denials import as_refused, refused_for
from authguard._core.answer.response_fields import response_fields
from authguard._core.deciding.asking import Answered
from authguard._core.deciding.callers import AskFirst, Recalled, Refused
from authguard._core.deciding.outcomes import Outcomes, count_of, taken_outside
from authguard._core.deciding.parts import Parts
from authguard._core.deciding.straight_path import StraightPath
from authguard._core.flow import Flow
from authguard._core.model import ANONYMOUS, ANONYMOUS_AUTH, Auth
from authguard._core.policy.policy import Verdict
from authguard._core.policy.rules import Preflight, check_preflight
from authguard._core.request import RequestView
from authguard._core.terms import OK, Count, outcome_of
from authguard.errors import (
    CrossSiteRequestError,
    MissingCredentialsError,
    RateLimitedError,
    RefusedError,
    UnexpectedError,
)

_VARY_IF_OPTIONAL = response_fields("Authorization, Cookie")


class FullPath:
    """Decide about the requests that `StraightPath` has left undecided, by a flow that asks questions.

    Args:
        straight_path: has the callers in use.
        parts: those of the guard.
        preflight: the handling of CORS preflights, unless a rule has its own.
    """

    def __init__(self, straight_path: StraightPath, parts: Parts, preflight: Preflight) -> None:
        self._straight_path = straight_path
        self._parts = parts
        self._policy = parts.policy
        self._denials = parts.denials
        self._quotas = parts.quotas
        self._extractor = parts.extractor
        self._outcomes = Outcomes(parts.proxies)
        self._preflight: Preflight = check_preflight(preflight)

    def on(self, straight_path: StraightPath) -> "FullPath":
        """Return the same path with the callers of another straight path."""
        return FullPath(straight_path, self._parts, self._preflight)

    def decide(self, request: RequestView, now: float, recalled: Recalled | None) -> Flow[Allow | Deny]:
        """Decide about a request; the arguments are those of `Guard.decide`."""
        if isinstance(recalled, Answered):
            return recalled.given_to(self._decide(request, now, None))
        return self._decide(request, now, recalled)

    def _decide(self, request: RequestView, now: float, recalled: Recalled | None) -> Flow[Allow | Deny]:
        try:
            verdict = self._policy.find_for(request.request_key)
            if verdict.protected and verdict.optional is None and self._extractor.is_preflight(request):
                return Allow(ANONYMOUS_AUTH, ANONYMOUS, preflight=verdict.preflight or self._preflight)
            outcome = (yield from recalled.question) if isinstance(recalled, AskFirst) else recalled
            if isinstance(outcome, Refused):
                error, caller = outcome.error, outcome.caller
                return (yield from self._refused(request, verdict, error, now, error.count, auth=caller))
            known = outcome if isinstance(outcome, Known) else None
            return (yield from self._allow(request, now, verdict, known))
        except Exception as raised:
            return (yield from self._denials.deny(request, as_refused(raised)))

    def _allow(
        self, request: RequestView, now: float, verdict: Verdict, known: Known | None
    ) -> Flow[Allow | Deny]:
        """Let the request pass, if its caller is known, meets the rules and has enough quota."""
        callers, auth = self._straight_path.callers, None
        try:
            known, nonce = yield from callers.identify(request, now, known)
            auth = known.auth
            if verdict.protected:
                verdict.check(auth.principal, now)
            user = yield from callers.load_user(known, now)
        except Exception as raised:
            error = refused_for(raised, auth)
            count = error.count or count_of(known)
            return (yield from self._refused(request, verdict, error, now, count, auth=auth))
        fields = response_fields(auth.vary, nonce) if nonce else known.response_fields
        allowed = Allow(auth, user, response_fields=fields, terms=known.terms)
        if self._quotas is not None:
            allowed = Allow(auth, user, charge=(charge := Charge(fields)), terms=known.terms)
            if verdict.protected:  # the last step, because a refused request takes nothing from quotas
                try:
                    outside = taken_outside(request.outer, self._quotas.store)
                    yield from self._quotas.charge(charge, auth.principal, verdict, outside)
                except RateLimitedError as error:
                    count = count_of(known)
                    return (yield from self._refused(request, verdict, error, now, count, auth=auth))
        if known.terms is not None:
            self._outcomes.tell(known.terms.count, request, verdict.rule, OK, now)
        return allowed

    def _refused(
        self,
        request: RequestView,
        verdict: Verdict,
        error: RefusedError,
        now: float,
        count: Count | None,
        *,
        auth: Auth | None = None,
    ) -> Flow[Allow | Deny]:
        """Deny a request without a known caller, or let it pass as anonymous on a public path."""
        error.count = count  # for `follow`
        self._outcomes.tell(count, request, verdict.rule, outcome_of(error), now)
        missing = isinstance(error, MissingCredentialsError)
        optional = verdict.optional == "lenient" or (missing and verdict.optional == "strict")
        if (verdict.protected and not optional) or isinstance(error, (UnexpectedError, RateLimitedError)):
            denied = yield from self._denials.deny(request, error)
            denied.caller = auth
            return denied
        cookie = self._extractor.cookie
        if cookie and self._policy.is_login_page(request.path) and cookie.is_cross_site(request):
            raise CrossSiteRequestError("a request from another site must not sign in a user")
        return Allow(ANONYMOUS_AUTH, ANONYMOUS, error, _VARY_IF_OPTIONAL if verdict.optional else ())
