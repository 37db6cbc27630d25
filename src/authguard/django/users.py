"""Make of a principal what Django and its packages expect of `request.user`."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from authguard._core.model import Principal

_COMPARED = tuple(each.name for each in fields(Principal) if each.compare)


class PrincipalUser(Principal):
    """Stand for a caller where Django expects a user: in templates, decorators and permission checks.

    It has all that the principal has. It is no row of a database, so `pk` is None, and it has no permission
    of Django: those are for users that a `user_loader` returns. The principal itself is
    `request.auth.principal`, which is equal to it.
    """

    __slots__ = ()

    pk = None
    id = None
    is_staff = False
    is_superuser = False

    @property
    def is_anonymous(self) -> bool:
        """Tell whether this is nobody."""
        return not self.is_authenticated

    @property
    def is_active(self) -> bool:
        """Tell whether this is somebody: a guard keeps out those who are not active."""
        return self.is_authenticated

    @property
    def username(self) -> str:
        """Return the subject; empty for nobody."""
        return self.subject

    def get_username(self) -> str:
        """Return the subject; empty for nobody."""
        return self.subject

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Return False: scopes are no permissions of Django."""
        return False

    async def ahas_perm(self, perm: str, obj: Any = None) -> bool:
        """Return False, as `has_perm` does."""
        return False

    def has_perms(self, perm_list: Iterable[str], obj: Any = None) -> bool:
        """Return whether nothing is asked for."""
        return not list(perm_list)

    async def ahas_perms(self, perm_list: Iterable[str], obj: Any = None) -> bool:
        """Return whether nothing is asked for."""
        return not list(perm_list)

    def has_module_perms(self, module: str) -> bool:
        """Return False, as `has_perm` does."""
        return False

    async def ahas_module_perms(self, module: str) -> bool:
        """Return False, as `has_perm` does."""
        return False

    def get_all_permissions(self, obj: Any = None) -> set[str]:
        """Return the empty set, as `has_perm` says."""
        return set()

    async def aget_all_permissions(self, obj: Any = None) -> set[str]:
        """Return the empty set, as `has_perm` says."""
        return set()

    def __str__(self) -> str:
        return self.subject

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Principal):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in _COMPARED)

    __hash__ = Principal.__hash__


def as_user(user: Any) -> Any:
    """Return what to put on the request for the user of a decision.

    Args:
        user: the principal; or what `user_loader` made of it, which stays as it is.
    """
    if type(user) is not Principal:
        return user
    return PrincipalUser(**{each.name: getattr(user, each.name) for each in fields(user)})
