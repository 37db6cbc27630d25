"""`Guard.health` uses the clock that decides about requests."""

from collections.abc import Sequence
from typing import Any

import pytest

from authguard import Guard, JWTVerifier
from authguard.asgi import AuthGuardMiddleware as ASGIGuard
from authguard.wsgi import AuthGuardMiddleware as WSGIGuard
from support import SECRET


class RecordingVerifier(JWTVerifier):
    """A verifier that records the time for which its health was asked."""

    moment: float | None = None

    def health(self, now: float | None) -> Sequence[Any]:
        """Record the time, and return no remotes."""
        self.moment = now
        return ()


def app(*_: Any) -> Any:
    """Answer no request, as an application that is never called."""


@pytest.mark.parametrize("middleware", [ASGIGuard, WSGIGuard], ids=["asgi", "wsgi"])
def test_health_goes_by_the_clock_of_the_adapter(middleware: Any) -> None:
    """The health is of the time of the adapter's clock, unless a time is given as an argument."""
    verifier = RecordingVerifier(SECRET, algorithms=["HS256"], issuer="https://a.example", audience="b")
    guard = Guard(verifier)
    guard.health()
    assert verifier.moment is None
    assert middleware(app, guard=guard, clock=lambda: 42.0)
    guard.health()
    assert verifier.moment == 42.0
    guard.health(7.0)
    assert verifier.moment == 7.0
