"""Help to test applications: be anybody, make tokens that a guard accepts, and stand for their issuer."""

from authguard.testing.tokens import issue_token
from authguard.testing.users import override

__all__ = ["issue_token", "override"]
