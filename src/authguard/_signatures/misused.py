"""Name the right spelling if a framework gets `requires(…)` or a dependency instead of another object."""

import inspect
from collections.abc import Callable
from typing import Any

from authguard._core.options import type_of
from authguard._core.policy.rules import Requirement
from authguard.errors import ConfigurationError

_INTERFACES = {("scope", "receive", "send"): "ASGI", ("environ", "start_response"): "WSGI"}


class _NoDependsError(ConfigurationError, AttributeError):
    """Refuse an object that is no `Depends`; an AttributeError, so that `hasattr` works as usual."""


class NoDepends:
    """Refuse a place in a list of dependencies, where FastAPI reads the attribute `dependency`."""

    @property
    def dependency(self) -> Any:
        """Raise the error with the right spelling.

        Raises:
            ConfigurationError: always.
        """
        spelled = self.spelled()
        raise _NoDependsError(
            f"dependencies must contain Depends(…), got {spelled}: write dependencies=[Depends({spelled})]"
        )

    def spelled(self) -> str:
        """Return the dependency as users write it."""
        raise NotImplementedError


def spelled(requirement: Requirement) -> str:
    """Return the call of `requires` that creates a requirement, as users write it."""
    arguments = [repr(scope) for scope in sorted(requirement.scopes)]
    others = Requirement(
        (), requirement.any_of, requirement.roles, requirement.acr or None, requirement.max_age
    )
    return f"requires({', '.join([*arguments, *filter(None, [others.arguments()])])})"


def check_endpoint(endpoint: Any, requirement: Requirement, classes: str) -> None:
    """Check that `requires` decorates an endpoint, and not an application, a list of routes or middleware.

    Args:
        endpoint: the decorated object.
        requirement: the requirement.
        classes: the classes that can be guarded, for the error.

    Raises:
        ConfigurationError: if it is not an endpoint; the error names the rule or the spelling that works.
    """
    rule = f"Guard(protected_paths=[Rule('/the/path'{_rule_options(requirement)})])"
    if not callable(endpoint):
        raise ConfigurationError(
            f"@requires() must decorate a function or {classes}, got {type_of(endpoint)}: decorate each "
            f"function, or write {rule} for all paths below one"
        )
    if not inspect.isclass(endpoint) and (interface := _interface_of(endpoint)):
        name = getattr(endpoint, "__qualname__", type(endpoint).__qualname__)
        raise ConfigurationError(
            f"@requires() must decorate a function or {classes}, got the {interface} application {name}: "
            f"write {rule}"
        )


def misused(requirement: Requirement, count: int, instead: str) -> ConfigurationError:
    """Return the error for a decorator that a framework calls with other arguments than an endpoint.

    Args:
        requirement: the requirement.
        count: the number of arguments.
        instead: the right spelling.
    """
    return ConfigurationError(
        f"{spelled(requirement)} must decorate one function, got a call with {count} arguments: {instead}"
    )


def _rule_options(requirement: Requirement) -> str:
    options = requirement.arguments()
    return f", {options}" if options else ""


def _interface_of(endpoint: Callable[..., Any]) -> str | None:
    try:
        names = tuple(inspect.signature(endpoint).parameters)
    except (TypeError, ValueError):  # some functions written in C have no signature
        return None
    return _INTERFACES.get(names)
