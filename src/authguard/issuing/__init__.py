"""Issue tokens for the users of an application that has its own sign-in."""

from authguard.issuing.issuer import TokenIssuer

__all__ = ["TokenIssuer"]
