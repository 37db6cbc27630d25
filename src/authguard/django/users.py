"""Add the attributes to a principal that Django and its packages expect of `request.user`."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from authguard._core.model import Principal

_COMPARED = tuple(each.name for each in fields(Principal) if each.compare)


class PrincipalUser(Principal):
    """Represent a caller as a Django user: in templates, decorators and permission checks.

    It has all attributes of the principal. It is not in a database: `pk` and `id` are the subject, so that
    throttles and caches of packages distinguish callers. It has no Django permissions: those belong to users
    returned by `user_loader`. The principal itself is
    `request.auth.principal`, which is equal to it.
    """

    __slots__ = ()

    is_staff = False
    is_superuser = False

    @property
    def is_anonymous(self) -> bool:
        """Return whether the caller is anonymous."""
        return not self.is_authenticated

    @property
    def is_active(self) -> bool:
        """Return whether the caller is authenticated; a guard refuses a user whose `is_active` is False."""
        return self.is_authenticated

    @property
    def pk(self) -> str | None:
        """Return the subject; None for an anonymous caller, as Django's own does."""
        return self.subject or None

    @property
    def id(self) -> str | None:
        """Return the subject, as `pk` does."""
        return self.subject or None

    @property
    def username(self) -> str:
        """Return the subject; empty for an anonymous caller."""
        return self.subject

    def get_username(self) -> str:
        """Return the subject; empty for an anonymous caller."""
        return self.subject

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Return False: scopes are not Django permissions."""
        return False

    async def ahas_perm(self, perm: str, obj: Any = None) -> bool:
        """Return False, as `has_perm` does."""
        return False

    def has_perms(self, perm_list: Iterable[str], obj: Any = None) -> bool:
        """Return whether the list is empty."""
        return not list(perm_list)

    async def ahas_perms(self, perm_list: Iterable[str], obj: Any = None) -> bool:
        """Return whether the list is empty."""
        return not list(perm_list)

    def has_module_perms(self, module: str) -> bool:
        """Return False, as `has_perm` does."""
        return False

    async def ahas_module_perms(self, module: str) -> bool:
        """Return False, as `has_perm` does."""
        return False

    def get_all_permissions(self, obj: Any = None) -> set[str]:
        """Return the empty set; see `has_perm`."""
        return set()

    async def aget_all_permissions(self, obj: Any = None) -> set[str]:
        """Return the empty set; see `has_perm`."""
        return set()

    def __str__(self) -> str:
        return self.subject

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Principal):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in _COMPARED)

    __hash__ = Principal.__hash__


def as_user(user: Any) -> Any:
    """Return the user of a decision in the form for the request.

    Args:
        user: the principal; or the result of `user_loader`, which is returned unchanged.
    """
    if type(user) is not Principal:
        return user
    return PrincipalUser(**{each.name: getattr(user, each.name) for each in fields(user)})
