"""Check that the caller of a connection that lasts is still who opened it."""

from authguard._core.model import Principal
from authguard.errors import InsufficientScopeError, InvalidTokenError


def check_same_subject(principal: Principal, before: Principal) -> None:
    """Raise InvalidTokenError if the credential does not stand for the same subject as before."""
    if (principal.issuer, principal.subject) != (before.issuer, before.subject):
        raise InvalidTokenError("the credential is somebody else's now")


def check_nothing_withdrawn(principal: Principal, before: Principal) -> None:
    """Raise InsufficientScopeError if the principal has fewer scopes or roles than before.

    What a route asked for beyond the rules is not known any more, so nothing may be missing.
    """
    if not (principal.scopes >= before.scopes and principal.roles >= before.roles):
        raise InsufficientScopeError("a scope or a role was withdrawn", scopes=before.scopes)
