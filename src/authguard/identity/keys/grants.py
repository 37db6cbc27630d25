"""Say what an account may give its keys."""

from collections.abc import Collection, Iterable

from authguard.identity.model import ROTATE_SELF

ADMIN = "admin"
_OF_EVERYBODY = frozenset({"read", "write", ROTATE_SELF})


def granted_role(role: str, scopes: Collection[str], admin_roles: Iterable[str]) -> str | None:
    """Return the role that a key has: that of its owner; None if it is an admin's and the key is no admin.

    An application may ask for the role alone, which a key that may only read must not have.
    """
    return None if role in admin_roles and ADMIN not in scopes else role


def owner_scopes(role: str, admin_roles: Iterable[str], further: Iterable[str]) -> frozenset[str]:
    """Return the scopes that an account has, and so may give its keys.

    Args:
        role: of the account.
        admin_roles: the roles that have `admin`.
        further: the scopes of `Settings.api_key_scopes`.
    """
    return _OF_EVERYBODY | frozenset(further) | (frozenset({ADMIN}) if role in admin_roles else frozenset())
