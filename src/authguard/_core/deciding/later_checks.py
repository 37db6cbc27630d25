"""Check callers after the decision: the requirements of a route, and open connections."""

from authguard._core.answer.charge import Charge
from authguard._core.answer.decision import Allow, Deny
from authguard._core.answer.denials import as_refused, refused_for
from authguard._core.deciding.outcomes import recount, refuse_outside, taken_outside
from authguard._core.deciding.parts import Parts
from authguard._core.deciding.straight_path import StraightPath
from authguard._core.flow import Flow
from authguard._core.model import Auth, Principal
from authguard._core.policy.rules import Requirement
from authguard._core.request import RequestView
from authguard._core.terms import Terms, outcome_of
from authguard.errors import InsufficientScopeError, InvalidTokenError, MissingCredentialsError, RefusedError


class LaterChecks:
    """Check a caller again after the decision about the request.

    Args:
        straight_path: has the callers in use.
        parts: those of the guard.
    """

    def __init__(self, straight_path: StraightPath, parts: Parts) -> None:
        self._straight_path = straight_path
        self._parts = parts
        self._policy = parts.policy
        self._denials = parts.denials
        self._quotas = parts.quotas

    def on(self, straight_path: StraightPath) -> "LaterChecks":
        """Return the same checks with the callers of another straight path."""
        return LaterChecks(straight_path, self._parts)

    def authorize(
        self,
        request: RequestView,
        auth: Auth,
        error: RefusedError | None,
        requirement: Requirement,
        now: float,
        *,
        charge: Charge | None = None,
        terms: Terms | None = None,
    ) -> Flow[Deny | None]:
        """Check the requirement of a route in addition to the path rules; return None if the caller meets it.

        On public paths, the first route or dependency that requires a caller takes from its quotas.

        Args:
            request: the request.
            auth: the principal and scopes that `decide` found.
            error: the reason why the caller is unknown; None for a known caller.
            requirement: the requirement of the route; if empty, any authenticated caller meets it.
            now: seconds since the epoch.
            charge: that of the decision about the request.
            terms: those of the decision, by which a refusal is reported to the verifier.
        """
        own = Allow(auth, None, error, terms=terms)
        if not auth.principal.is_authenticated:
            unknown = error or MissingCredentialsError("no credential")
            self._recount(own, request, unknown, now)
            return (yield from self._denials.deny(request, unknown, requirement))
        try:
            requirement.check(auth.principal, now)
        except RefusedError as lacking:
            if charge is not None:
                charge.is_refused = True
            self._recount(own, request, lacking, now)
            return (yield from self._denials.deny(request, refused_for(lacking, auth), requirement))
        if charge is None or charge.taken is not None or self._quotas is None:
            return None
        try:
            verdict = self._policy.find_for(request.request_key)
            outside = taken_outside(request.outer, self._quotas.store)
            yield from self._quotas.charge(charge, auth.principal, verdict, outside)
        except Exception as raised:
            refused = as_refused(raised)
            self._recount(own, request, refused, now)
            return (yield from self._denials.deny(request, refused))
        return None

    def _recount(self, own: Allow, request: RequestView, error: RefusedError, now: float) -> None:
        """Tell the verifiers that a request is refused, which has been counted as one that passed; once."""
        if not request.note_refusal():
            return
        if own.terms is not None:
            recount(own.terms.count, self._policy.find_for(request.request_key).rule, outcome_of(error), now)
        refuse_outside(request.outer, own, error)

    def refuse(self, request: RequestView, error: RefusedError) -> Flow[Deny]:
        """Return the answer to a refusal that the application itself has raised, as by `Guard.verify`.

        The answer is never a redirect to the login page: the refused credential may be another one than that
        of the request, and a signed-in user would be redirected in a loop.

        Args:
            request: the request.
            error: the reason of the refusal.
        """
        return (yield from self._denials.deny(request, error, redirects=False))

    def recheck(self, request: RequestView, auth: Auth, now: float) -> Flow[Deny | None]:
        """Check again whether an open connection, such as a websocket, may continue; return None if it may.

        The credential of the handshake is verified again, and the same rules apply. No proof of possession is
        required, because only a request could carry a new proof.

        Args:
            request: the handshake.
            auth: the principal and scopes that `decide` found.
            now: seconds since the epoch.
        """
        callers = self._straight_path.callers
        try:
            known, _ = yield from callers.identify(request, now, proven=True)
            principal = known.auth.principal
            _check_same_subject(principal, auth.principal)
            verdict = self._policy.find_for(request.request_key)
            if verdict.protected:
                verdict.check(principal, now)
            _check_nothing_withdrawn(principal, auth.principal)
            yield from callers.load_user(known, now)
        except Exception as raised:
            return (yield from self._denials.deny(request, refused_for(raised, auth)))
        return None


def _check_same_subject(principal: Principal, before: Principal) -> None:
    """Raise InvalidTokenError if the credential belongs to another subject than before."""
    if (principal.issuer, principal.subject) != (before.issuer, before.subject):
        raise InvalidTokenError("the credential now belongs to another subject")


def _check_nothing_withdrawn(principal: Principal, before: Principal) -> None:
    """Raise InsufficientScopeError if the principal has fewer scopes or roles than before.

    The route's own requirements are no longer known, so no scope or role may be missing.
    """
    if not (principal.scopes >= before.scopes and principal.roles >= before.roles):
        raise InsufficientScopeError("a scope or a role was withdrawn", scopes=before.scopes)
