"""Report the outcome of each request to the verifier of its credential, once for each request."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from authguard._core.answer.decision import Decision, Deny, Known
from authguard._core.deciding.quotas import Quotas
from authguard._core.model import api_key_id
from authguard._core.policy.policy import Policy, Verdict
from authguard._core.proxies import TrustedProxies
from authguard._core.quota_store import QuotaStore, Take
from authguard._core.request import RequestView
from authguard._core.terms import OK, Count, outcome_of
from authguard.errors import RefusedError

#: The name of the rule for tokens that are verified outside of requests.
OUTSIDE = "(outside of requests)"


def count_of(known: Known | None) -> Count | None:
    """Return the function that counts the requests of a caller; None if they are not counted."""
    return None if known is None or known.terms is None else known.terms.count


class Outer(Protocol):
    """Describe the data that an outer guard has stored with a request."""

    @property
    def policy(self) -> Policy:
        """Return the rules of the outer guard."""
        ...

    @property
    def quotas(self) -> Quotas | None:
        """Return the quotas of the outer guard."""
        ...

    @property
    def request(self) -> RequestView:
        """Return the request as the outer guard sees it."""
        ...

    @property
    def decision(self) -> Decision:
        """Return the decision of the outer guard."""
        ...

    @property
    def at(self) -> float:
        """Return the time of the outer decision, in seconds since the epoch."""
        ...

    @property
    def outer(self) -> "Outer | None":
        """Return the data of the guard around that one; None without one."""
        ...


def follow(outer: Outer | None, decision: Decision) -> None:
    """Change the counts and charges of the outer guards, after the decision of this guard.

    Args:
        outer: the data of the guard around this one; None without one.
        decision: that of this guard about the same request.
    """
    if outer is not None:
        for guard in _whose_count_stays(outer, []):
            _count_once(guard, decision)
        if isinstance(decision, Deny):
            _refuse_charges(outer)


def refuse_outside(outer: Outer | None, decision: Decision, error: RefusedError) -> None:
    """Change the same after the refusal of a decorator or dependency.

    Args:
        outer: the data of the guard around that of the decorator; None without one.
        decision: that of the decorator's guard, which had let the request pass.
        error: why the request is refused.
    """
    if outer is not None:
        for guard in _whose_count_stays(outer, [decision]):
            _recount_as_refused(guard, error)
        _refuse_charges(outer)


def taken_outside(outer: Outer | None, store: QuotaStore) -> Sequence[Take]:
    """Return the amounts that outer guards have taken for a request from the same store.

    Args:
        outer: the data of the guard around this one; None without one.
        store: the store of the quotas of this guard.
    """
    takes: list[Take] = []
    for guard in _outwards(outer):
        decision, quotas = guard.decision, guard.quotas
        charge = decision.charge
        if charge is not None and charge.taken is not None and quotas is not None and quotas.store is store:
            takes += quotas.takes_of(decision.auth.principal, _verdict_of(guard))
    return takes


def _outwards(outer: Outer | None) -> Iterator[Outer]:
    """Yield a guard, and each guard around it."""
    while outer is not None:
        yield outer
        outer = outer.outer


def _refuse_charges(outer: Outer) -> None:
    for guard in _outwards(outer):
        if guard.decision.charge is not None:
            guard.decision.charge.is_refused = True


def _whose_count_stays(outer: Outer, inside: list[Decision]) -> Iterator[Outer]:
    """Yield the outer guards whose count no guard inside them has taken back.

    Args:
        outer: of the innermost of these guards.
        inside: the decisions of the guards inside of it.
    """
    for guard in _outwards(outer):
        if not any(_replaces(decision, guard) for decision in inside):
            yield guard
        inside.append(guard.decision)


def _replaces(decision: Decision, outer: Outer) -> bool:
    """Return whether the count of an outer guard is taken back, because another guard decides.

    If both have recognised an API key, the count of the inner guard stays, with its rule and outcome. If that
    guard counts nothing, the count of the outer guard stays on a path that it protects; on its public paths,
    the inner guard decides alone.
    """
    key_id = _key_id_of(outer.decision)
    is_same_key = key_id is not None and _key_id_of(decision) == key_id
    return is_same_key and (_counted(decision) is not None or not _verdict_of(outer).protected)


def _count_once(outer: Outer, decision: Decision) -> None:
    """Change the count of an outer guard; a request that this guard refuses is no use of the key."""
    counted = _counted(outer.decision)
    if counted is None:
        return
    count, outcome = counted
    if _replaces(decision, outer):
        count(outer.at, None, _verdict_of(outer).rule, outcome, -1)
    elif isinstance(decision, Deny):
        _recount_as_refused(outer, decision.error)


def _recount_as_refused(outer: Outer, error: RefusedError) -> None:
    """Count a request as refused that an outer guard has counted as allowed."""
    counted = _counted(outer.decision)
    if counted is not None and counted[1] == OK:
        recount(counted[0], _verdict_of(outer).rule, outcome_of(error), outer.at)


def _verdict_of(outer: Outer) -> Verdict:
    return outer.policy.find_for(outer.request.request_key)


def recount(count: Count | None, rule: str, outcome: str | None, at: float) -> None:
    """Count a request as refused that was counted as allowed, if the verifier counts requests.

    Args:
        count: counts the requests; None for no counting.
        rule: the name of the rule that decided.
        outcome: one of `OUTCOMES`; None if the caller is not responsible.
        at: the time of the decision, in seconds since the epoch.
    """
    if count is not None and outcome is not None:
        count(at, None, rule, OK, -1)
        count(at, None, rule, outcome)


def _counted(decision: Decision) -> tuple[Count, str] | None:
    """Return the outcome with which a decision was counted; None if it was not counted."""
    error = decision.error
    if error is None:
        count = None if decision.terms is None else decision.terms.count
        return None if count is None else (count, OK)
    outcome = outcome_of(error)
    return None if error.count is None or outcome is None else (error.count, outcome)


def _key_id_of(decision: Decision) -> str | None:
    """Return the id of the API key that the guard has recognised; None without one."""
    error = decision.error
    return api_key_id(decision.auth.principal) if error is None else error.key_id


class Outcomes:
    """Report outcomes of requests, with the address of the client.

    Args:
        proxies: those in front of the application.
    """

    def __init__(self, proxies: TrustedProxies) -> None:
        self._proxies = proxies

    def tell(
        self, count: Count | None, request: RequestView, rule: str, outcome: str | None, now: float
    ) -> None:
        """Report the outcome of a request, if the verifier counts requests.

        Args:
            count: called with each outcome; None for no counting.
            request: the request.
            rule: the name of the rule that decided.
            outcome: one of `OUTCOMES`; None if the caller is not responsible.
            now: seconds since the epoch.
        """
        if count is not None and outcome is not None:
            address = self._proxies.client_address(request)
            count(now, None if address is None else str(address), rule, outcome)
