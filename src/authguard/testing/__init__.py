"""Test applications: act as any user, create tokens that a guard accepts, and simulate their issuer.

With pytest, `fake_issuer`, `authguard_clock` and `authguard_override` are fixtures.
"""

from authguard.testing.clock import Clock
from authguard.testing.issuer import FakeIssuer
from authguard.testing.tokens import issue_token
from authguard.testing.users import override

__all__ = ["Clock", "FakeIssuer", "issue_token", "override"]
