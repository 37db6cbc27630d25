"""Report each decision to a function of the application: `Guard(on_decision=…)`."""

from collections.abc import Callable
from inspect import isawaitable, iscoroutine
from typing import Any, Literal, NamedTuple, TypeAlias, cast

from authguard._core.answer.decision import Allow, Deny, Known, Prepared
from authguard._core.deciding.parts import Parts
from authguard._core.deciding.straight_path import Confirm, Recall
from authguard._core.flow import Flow
from authguard._core.model import ANONYMOUS_AUTH, Auth, api_key_id, note
from authguard._core.options import check_plain_function
from authguard._core.request import HANDSHAKE, WEBSOCKET, RequestKey, RequestView, http_method
from authguard.errors import Cause, RefusedError

#: The step at which a decision is made: for the request or handshake; by a decorator or dependency of a
#: route; or for an open websocket.
Step: TypeAlias = Literal["request", "route", "recheck"]

PREFLIGHT = "preflight"
_NO_METHOD = "none"
# A client may send `WEBSOCKET` as an HTTP method; it must not be reported as a handshake.
_METHODS_AS_TOLD = {HANDSHAKE: WEBSOCKET, WEBSOCKET: http_method(WEBSOCKET)}


class DecisionEvent(NamedTuple):
    """Describe the decision about a request; it contains no credential.

    Attributes:
        allowed: whether the request may pass.
        status: the status of the guard's answer; None if the application answers.
        reason: the reason of a refusal, for programs: the cause of an invalid credential, such as `expired`,
            otherwise the code of the answer, such as `insufficient_scope`. For an allowed request on an open
            path, the reason why its credential was ignored; `preflight` for a CORS preflight; otherwise
            empty.
        rule: the name of the rule that decided, as in `Verdict.rule`.
        method: the kind of the credential, as in `Principal.method`; `none` for no credential.
        key_id: the public name of the API key, if it is known.
        subject: the subject of the caller; empty if it is not known.
        issuer: the issuer of the subject, if any.
        remembered: whether the credential was known from an earlier request.
        step: `request` for the decision about a request or handshake, of which each has one; `route` for a
            refusal by a decorator or dependency; `recheck` for the end of an open websocket.
        http_method: as the client sent it; `WEBSOCKET` for a handshake.
        path: below the mount point, as the client sent it, decoded.
        at: seconds since the epoch.
    """

    allowed: bool
    status: int | None
    reason: str
    rule: str
    method: str
    key_id: str | None
    subject: str
    issuer: str | None
    remembered: bool
    step: Step
    http_method: str
    path: str
    at: float


#: A function that is called with each decision.
OnDecision: TypeAlias = Callable[[DecisionEvent], object]

_new = tuple.__new__  # creates an event several times faster than a call of the class


class Telling:
    """Report decisions; an exception of the function changes none of them.

    Args:
        function: the function of the application.
        parts: those of the guard.
        report: logs exceptions of the function.

    Raises:
        ConfigurationError: if it is an `async` function, or not a function.
    """

    def __init__(self, function: OnDecision, parts: Parts, report: Callable[[Exception], None]) -> None:
        check_plain_function(function, "on_decision", "put the event into a queue that a task reads", "event")
        self._function = function
        self._policy = parts.policy
        self._extractor = parts.extractor
        self._report = report

    def around(self, recall: Recall) -> Recall:
        """Return a function that recalls, and reports decisions that are made at once."""
        policy = self._policy

        def recall_and_tell(presented: Any, request_key: RequestKey, now: float) -> Any:
            recalled = recall(presented, request_key, now)
            if recalled.is_decision:
                verdict = policy.memory.young.get(request_key) or policy.find_for_http(request_key)
                self._tell_allowed(recalled, verdict.rule, request_key, now)  # pyright: ignore
            return recalled

        return recall_and_tell

    def around_confirm(self, confirm: Confirm) -> Confirm:
        """Return a function that confirms, and reports its decisions."""

        def confirm_and_tell(question: Any, answered: Any, request_key: RequestKey, now: float) -> Any:
            confirmed = confirm(question, answered, request_key, now)
            if confirmed.is_decision:
                rule = self._policy.find_for_http(request_key).rule
                self._tell_allowed(confirmed, rule, request_key, now)  # pyright: ignore
            return confirmed

        return confirm_and_tell

    def follow(
        self,
        flow: Flow[Any],
        request: RequestView,
        now: float,
        step: Step = "request",
        auth: Auth | None = None,
    ) -> Flow[Any]:
        """Run a flow, and report its decision; None is not a decision.

        Args:
            flow: the flow.
            request: the request.
            now: seconds since the epoch.
            step: the step at which the decision is made.
            auth: the caller, if known before.
        """
        decision = yield from flow
        if isinstance(decision, Deny):
            self.tell_refused(decision, request, now, step, auth or decision.caller)
        elif decision is not None:
            request_key = request.request_key
            rule = self._policy.find_for(request_key).rule
            if request.method == WEBSOCKET:
                request_key = cast("RequestKey", (HANDSHAKE, *request_key[1:]))
            self._tell_allowed(decision, rule, request_key, now)
        return decision

    def tell_refused(
        self, denied: Deny | Prepared, request: RequestView, now: float, step: Step, auth: Auth | None
    ) -> None:
        """Report a refusal.

        Args:
            denied: the refusal.
            request: the request.
            now: seconds since the epoch.
            step: the step at which it was decided.
            auth: the caller, if known.
        """
        error, principal = denied.error, (auth or ANONYMOUS_AUTH).principal
        self._call(
            DecisionEvent(
                allowed=False,
                status=denied.refusal.status,
                reason=reason_of(error),
                rule=self._policy.find_for(request.request_key).rule,
                method=principal.method or self._extractor.kind_of(request) or _NO_METHOD,
                key_id=api_key_id(principal) or error.key_id,
                subject=principal.subject,
                issuer=principal.issuer,
                remembered=auth is not None and (hasattr(auth, "noted") or _note(auth)),
                step=step,
                http_method=request.method,
                path=request.path,
                at=now,
            )
        )

    def _tell_allowed(self, decision: Allow | Known, rule: str, request_key: RequestKey, now: float) -> None:
        """Report an allowed request.

        Args:
            decision: the decision.
            rule: the name of the rule.
            request_key: as in `Policy.find_for_http`.
            now: seconds since the epoch.
        """
        auth = decision.auth
        principal = auth.principal
        reason = "" if decision.error is None else reason_of(decision.error)
        self._call(
            _new(
                DecisionEvent,
                (
                    True,
                    None,
                    PREFLIGHT if decision.preflight else reason,
                    rule,
                    principal.method or _NO_METHOD,
                    # the same as `api_key_id`, without a call
                    principal.key_id if principal.method == "api_key" else None,
                    principal.subject,
                    principal.issuer,
                    hasattr(auth, "noted") or _note(auth),
                    "request",
                    _METHODS_AS_TOLD[request_key[0]]
                    if request_key[0] in _METHODS_AS_TOLD
                    else request_key[0],
                    request_key[1],
                    now,
                ),
            )
        )

    def _call(self, event: DecisionEvent) -> None:
        try:
            answer = self._function(event)
            if answer is not None and isawaitable(answer):
                if iscoroutine(answer):
                    answer.close()  # otherwise Python warns that the coroutine was never awaited
                raise TypeError("on_decision must not return an awaitable")
        except Exception as error:
            self._report(error)


def _note(auth: Auth) -> bool:
    """Note that a caller was reported, and return False: the caller was not known from an earlier request."""
    if auth.principal.method:
        note(auth)
    return False


def reason_of(error: RefusedError) -> str:
    """Return the reason of a refusal, for programs."""
    cause = getattr(error, "cause", None)
    return cause.value if isinstance(cause, Cause) and cause != Cause.INVALID else str(error.code)
