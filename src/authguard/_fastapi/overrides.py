"""Let overrides of the dependencies stand for callers without a credential, as tests expect of them."""

from collections.abc import Mapping
from inspect import isasyncgenfunction, isawaitable, isgeneratorfunction
from typing import Any, NamedTuple

from starlette.exceptions import HTTPException

from authguard._arguments import signature_of
from authguard._core.model import Principal
from authguard._core.options import check_function, check_object
from authguard._fastapi.dependencies import current_principal, current_user, optional_user
from authguard.errors import ConfigurationError

_CALLERS = {
    "current_user": current_user,
    "current_principal": current_principal,
    "optional_user": optional_user,
}


class Substitute(NamedTuple):
    """Say for whom callers without a credential are taken.

    Attributes:
        user: a principal, or the application's own user; None to ask the guard's `user_loader`.
        principal: whom the guard sees; None if that is not said.
    """

    user: Any
    principal: Principal | None


async def substitute_of(overrides: Mapping[Any, Any]) -> Substitute | None:
    """Return the caller that overrides of `current_user` and `current_principal` stand for.

    Args:
        overrides: `app.dependency_overrides`.

    Returns:
        None if there are none; if they have parameters, as an application's own may have; and if they
        refuse, or give None.

    Raises:
        ConfigurationError: if `current_principal` is overridden by something else than a principal, one of
            them by no function, or the type of a parameter in its place.
    """
    _check(overrides)
    constant = {
        dependency: overrides[dependency]
        for dependency in (current_user, current_principal)
        if dependency in overrides and _is_constant(overrides[dependency])
    }
    try:
        values = {dependency: await _value(override) for dependency, override in constant.items()}
    except HTTPException:
        return None  # the guard answers for rules, and the override itself for the dependency
    if not values or None in values.values():
        return None
    principal = values.get(current_principal)
    write = "lambda: Principal(…)"
    check_object(principal, "app.dependency_overrides[current_principal]()", Principal, write)
    return Substitute(values.get(current_user), principal)


def _check(overrides: Mapping[Any, Any]) -> None:
    """Refuse what FastAPI would call in vain, or never."""
    for name, dependency in _CALLERS.items():
        option = f"app.dependency_overrides[{name}]"
        if dependency in overrides:
            check_function(overrides[dependency], option, "lambda: fake", or_none=False)
        if any(_is_type_of(key, dependency) for key in overrides):
            raise ConfigurationError(
                "each key of app.dependency_overrides must be a dependency, got the type of a parameter with "
                f"{name}: write {option}"
            )


def _is_type_of(key: Any, dependency: Any) -> bool:
    """Return whether a key is a type such as `CurrentUser`."""
    return any(getattr(part, "dependency", None) is dependency for part in getattr(key, "__metadata__", ()))


def _is_constant(override: Any) -> bool:
    """Return whether an override takes nothing, and so looks at no request."""
    try:
        return not signature_of(override).parameters
    except (TypeError, ValueError):  # it is written in C, or is no function
        return False


async def _value(override: Any) -> Any:
    """Return what an override gives, as FastAPI would."""
    made = override()
    if isgeneratorfunction(override):
        value = next(made)
        made.close()
    elif isasyncgenfunction(override):
        value = await anext(made)
        await made.aclose()
    else:
        value = await made if isawaitable(made) else made
    return value
