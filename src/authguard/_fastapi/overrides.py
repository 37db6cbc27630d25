"""Let overrides of the dependencies replace callers without a credential, as tests expect."""

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
    """Describe the user that replaces callers without a credential.

    Attributes:
        user: a principal, or the application's own user; None to call the guard's `user_loader`.
        principal: the principal for the guard; None if it is not given.
    """

    user: Any
    principal: Principal | None


async def substitute_of(overrides: Mapping[Any, Any]) -> Substitute | None:
    """Return the caller given by overrides of `current_user` and `current_principal`.

    Args:
        overrides: `app.dependency_overrides`.

    Returns:
        None without overrides, and if they have parameters, as an application's own may have, or if they
        refuse or return None.

    Raises:
        ConfigurationError: if an override of `current_principal` returns no principal, an override is not a
            function, or the key is the type of a parameter.
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
        return None  # the guard calls it for the rules; FastAPI calls it for the dependency
    if not values or None in values.values():
        return None
    principal = values.get(current_principal)
    write = "lambda: Principal(…)"
    check_object(principal, "app.dependency_overrides[current_principal]()", Principal, write)
    return Substitute(values.get(current_user), principal)


def _check(overrides: Mapping[Any, Any]) -> None:
    """Refuse overrides that FastAPI would never call, or without effect."""
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
    """Return whether an override has no parameters, and so cannot depend on the request."""
    try:
        return not signature_of(override).parameters
    except (TypeError, ValueError):  # written in C, or not a function
        return False


async def _value(override: Any) -> Any:
    """Return the value of an override, as FastAPI would."""
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
