"""Say what an account may give its keys."""

from collections.abc import Collection, Iterable

from authguard.identity.model import ROTATE_SELF

ADMIN = "admin"
_OF_EVERYBODY = frozenset({"read", "write", ROTATE_SELF})


def granted_roles(
    roles: Iterable[str], scopes: Collection[str], admin_roles: Iterable[str]
) -> tuple[str, ...]:
    """Return the roles that a key has: those of its owner, but for those of admins if the key is no admin.

    An application may ask for the role alone, which a key that may only read must not have.
    """
    return tuple(role for role in roles if role not in admin_roles or ADMIN in scopes)


def owner_scopes(roles: Iterable[str], admin_roles: Iterable[str], further: Iterable[str]) -> frozenset[str]:
    """Return the scopes that an account has, and so may give its keys.

    Args:
        roles: of the account.
        admin_roles: the roles that have `admin`.
        further: the scopes of `Settings.api_key_scopes`.
    """
    is_admin = any(role in admin_roles for role in roles)
    return _OF_EVERYBODY | frozenset(further) | (frozenset({ADMIN}) if is_admin else frozenset())
