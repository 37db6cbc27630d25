"""Issue tokens for the users of an application that has a sign-in of its own."""

from authguard.issuing.issuer import TokenIssuer

__all__ = ["TokenIssuer"]
