"""Decide which scopes an account may give its keys."""

from collections.abc import Collection, Iterable

from authguard.identity.model import ROTATE_SELF

ADMIN = "admin"
_OF_EVERYBODY = frozenset({"read", "write", ROTATE_SELF})


def granted_roles(
    roles: Iterable[str], scopes: Collection[str], admin_roles: Iterable[str]
) -> tuple[str, ...]:
    """Return the roles of a key: those of its owner, without admin roles if the key does not have `admin`.

    An application may check only the role, which a read-only key must not have.
    """
    return tuple(role for role in roles if role not in admin_roles or ADMIN in scopes)


def owner_scopes(roles: Iterable[str], admin_roles: Iterable[str], further: Iterable[str]) -> frozenset[str]:
    """Return the scopes of an account, which it may give to its keys.

    Args:
        roles: the roles of the account.
        admin_roles: the roles that give `admin`.
        further: the scopes of `Settings.api_key_scopes`.
    """
    is_admin = any(role in admin_roles for role in roles)
    return _OF_EVERYBODY | frozenset(further) | (frozenset({ADMIN}) if is_admin else frozenset())
