"""Say what an account may give its keys."""

from collections.abc import Iterable

from authguard.identity.model import ROTATE_SELF

ADMIN = "admin"
_OF_EVERYBODY = frozenset({"read", "write", ROTATE_SELF})


def owner_scopes(role: str, admin_roles: Iterable[str], further: Iterable[str]) -> frozenset[str]:
    """Return the scopes that an account has, and so may give its keys.

    Args:
        role: of the account.
        admin_roles: the roles that have `admin`.
        further: the scopes of `Settings.api_key_scopes`.
    """
    return _OF_EVERYBODY | frozenset(further) | (frozenset({ADMIN}) if role in admin_roles else frozenset())
