"""Tell verifiers what becomes of the requests with their credentials."""

from authguard._core.answer.decision import Known
from authguard._core.proxies import TrustedProxies
from authguard._core.request import RequestView
from authguard._core.terms import Count

#: The name of the rule for tokens that are verified outside of requests.
OUTSIDE = "(outside of requests)"


def count_of(known: Known | None) -> Count | None:
    """Return what is to be told of a request of a caller; None for nothing."""
    return None if known is None or known.terms is None else known.terms.count


class Outcomes:
    """Tell what becomes of requests, with the address of the client.

    Args:
        proxies: those in front of the application.
    """

    def __init__(self, proxies: TrustedProxies) -> None:
        self._proxies = proxies

    def tell(
        self, count: Count | None, request: RequestView, rule: str, outcome: str | None, now: float
    ) -> None:
        """Tell what becomes of a request, if that is to be told.

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
