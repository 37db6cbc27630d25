"""Name the right option if a call of a public class or function has an unknown option, or one unnamed."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar, cast

TargetT = TypeVar("TargetT", bound=Callable[..., Any])

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
#: The options of this package, by the names that other packages use for them.
_OTHER_NAMES = {
    "algorithms": ("alg",),
    "audience": ("aud",),
    "cookie": ("access_cookie", "cookie_name"),
    "issuer": ("iss",),
    "keys": ("jwks", "key", "public_key", "secret", "secret_key"),
    "leeway": ("clock_skew", "tolerance"),
    "login_path": ("login_page", "login_redirect_url", "login_url", "login_view"),
    "max_age": ("fresh", "max_auth_age"),
    "on_error": ("error_handler", "handler"),
    "protected_paths": ("include_paths", "paths", "private_paths", "protect", "routes", "rules"),
    "public_paths": (
        "allow_paths",
        "allowlist",
        "exclude",
        "exclude_paths",
        "excluded_paths",
        "exempt",
        "open_paths",
        "public_routes",
        "skip_paths",
        "unprotected_paths",
        "whitelist",
    ),
    "scopes": ("permissions",),
    "seconds": ("interval", "per", "period", "window"),
    "count": ("limit", "rate", "requests"),
    "ttl": ("expires", "expires_in", "lifetime"),
    "user_loader": ("get_user", "load_user", "user_callback"),
}


def named_options(target: TargetT) -> TargetT:
    """Decorate a public class or function, so that an unknown option is an error that names the right one.

    The same for options that are given without their names.

    The signature stays the same, for editors and for `inspect`. A call without an unknown option runs
    unchanged.

    Args:
        target: the class, whose `__init__` is replaced, or the function.
    """
    call = target.__init__ if isinstance(target, type) else target  # type: ignore[misc]
    name = target.__qualname__

    @functools.wraps(call)
    def called(*args: Any, **options: Any) -> Any:
        try:
            return call(*args, **options)
        except TypeError:
            parameters = inspect.signature(call).parameters
            unknown = _unknown(parameters, options)
            if unknown is None and (unnamed := _unnamed(parameters, args)):
                raise TypeError(f"{name} must get its options by name, got {unnamed}") from None
            if unknown is None:
                raise
        raise TypeError(
            f"{name} must get options that it has, got {unknown}: write "
            f"{_suggestion(unknown, parameters, options[unknown])}"
        )

    if not isinstance(target, type):
        return cast("TargetT", called)
    target.__init__ = called  # type: ignore[misc]
    return cast("TargetT", target)


def _unnamed(parameters: Mapping[str, inspect.Parameter], args: Sequence[object]) -> str:
    """Return the number of arguments that need a name, and their names; an empty text without any."""
    kinds = [parameter.kind for parameter in parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return ""
    excess = len(args) - sum(kind in _POSITIONAL for kind in kinds)
    named = [each for each in parameters.values() if each.kind is inspect.Parameter.KEYWORD_ONLY]
    if excess < 1 or not named:
        return ""
    required = [each.name for each in named if each.default is inspect.Parameter.empty]
    shown = ", ".join(f"{option}=…" for option in required)
    write = shown or f"one of {', '.join(each.name for each in named)} with its name"
    return f"{excess} without: write {write}"


def _unknown(parameters: Mapping[str, inspect.Parameter], options: Iterable[str]) -> str | None:
    """Return the first option that is not a parameter; None if any option is accepted."""
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return None
    names = {name for name, parameter in parameters.items() if parameter.kind not in _VARIABLE}
    return next((option for option in options if option not in names), None)


def _suggestion(unknown: str, parameters: Mapping[str, inspect.Parameter], value: object) -> str:
    several = next((p.name for p in parameters.values() if p.kind is inspect.Parameter.VAR_POSITIONAL), None)
    names = [name for name, parameter in parameters.items() if parameter.kind not in _VARIABLE]
    names = [name for name in names if name != "self"]
    nearest = _nearest(unknown, [*names, *([several] if several else [])])
    if nearest is None:
        return f"one of {', '.join(names)}" if names else "it without options"
    if nearest == several:
        values = [value] if isinstance(value, str) else value
        shown = ", ".join(map(repr, values)) if isinstance(values, list | tuple) else "…"
        return f"the {several} as arguments without a name: {shown}"
    return f"{nearest}=…"


def _nearest(unknown: str, names: list[str]) -> str | None:
    """Return the name that was probably meant, or None."""
    lower = unknown.lower()
    for name, others in _OTHER_NAMES.items():
        if lower in others and name in names:
            return name
    contained = [name for name in names if name == f"{lower}s" or name.startswith(f"{lower}_")]
    return next(iter([*contained, *get_close_matches(lower, names, n=1, cutoff=0.6)]), None)
