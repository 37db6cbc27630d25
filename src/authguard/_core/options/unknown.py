"""Name the right option if a call of a public class or function has an unknown option, or one unnamed."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar, cast

TargetT = TypeVar("TargetT", bound=Callable[..., Any])

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
#: The options of this package, by the names that other packages use for them.
_OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "algorithms": ("alg",),
    "audience": ("aud",),
    "cookie": ("access_cookie", "cookie_name"),
    "issuer": ("iss",),
    "key_id": ("kid",),
    "keys": ("jwks", "jwks_endpoint", "jwks_uri", "jwks_url", "key", "public_key", "secret", "secret_key"),
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
    "session": ("sid",),
    "seconds": ("interval", "per", "period", "window"),
    "count": ("limit", "rate", "requests"),
    "subject": ("sub", "user", "user_id", "username"),
    "token_id": ("jti",),
    "ttl": ("expires", "expires_delta", "expires_in", "expires_minutes", "lifetime", "max_age"),
    "until": ("exp", "expires", "expires_at"),
    "user_loader": ("get_user", "load_user", "user_callback"),
    "verifiers": ("auth", "authenticator", "backend", "jwt", "verify"),
}
#: Further names, of single classes and functions, where they mean another option than elsewhere.
_OTHER_NAMES_OF: dict[str, dict[str, tuple[str, ...]]] = {
    "AccessCookie.issue": {"max_age": ("expires", "expires_in", "lifetime", "ttl")},
    "Clock": {"now": ("at", "start", "time")},
    "FakeIssuer": {"url": ("base_url", "iss", "issuer")},
    "Guard.averify": {"now": ("at", "time")},
    "Guard.verify": {"now": ("at", "time")},
    "Guard.override": {"principal": ("claims", "role", "roles", "scope", "scopes")},
    "override": {"principal": ("claims", "role", "roles", "scope", "scopes")},
}
#: The place of options that belong to another object, by the class or function that got them.
_PLACES: dict[str, tuple[frozenset[str], str]] = {
    "Guard": (
        frozenset({"algorithms", "audience", "issuer", "key", "keys", "leeway", "secret", "secret_key"}),
        "Guard(JWTVerifier(keys, algorithms=…, issuer=…, audience=…))",
    ),
    "create_app": (frozenset({"database", "issuer", "secret"}), "create_app(Settings(secret=…, issuer=…))"),
    "Identity": (frozenset({"database", "issuer", "secret"}), "Identity(Settings(secret=…, issuer=…))"),
}


def named_options(target: TargetT) -> TargetT:
    """Decorate a public class or function, so that an unknown option is an error that names the right one.

    The same for options that are given without their names.

    The signature stays the same, for editors and for `inspect`. A call without an unknown option runs
    unchanged.

    Args:
        target: the class, whose `__init__` is replaced, or the function, which may be a method or `async`.
    """
    call: Any = target.__init__ if isinstance(target, type) else target  # type: ignore[misc]

    @functools.wraps(call)
    def called(*args: Any, **options: Any) -> Any:
        try:
            return call(*args, **options)
        except TypeError:
            if (better := _better_error(target, call, args, options)) is None:
                raise
        raise better

    @functools.wraps(call)
    async def awaited(*args: Any, **options: Any) -> Any:
        try:
            return await call(*args, **options)
        except TypeError:
            if (better := _better_error(target, call, args, options)) is None:
                raise
        raise better

    if not isinstance(target, type):
        return cast("TargetT", awaited if inspect.iscoroutinefunction(call) else called)
    target.__init__ = called  # type: ignore[misc]
    return cast("TargetT", target)


def unknown_option(
    name: str, unknown: str, parameters: Mapping[str, inspect.Parameter], value: object
) -> TypeError:
    """Return the error about an option that a class or function does not have.

    Args:
        name: the name of the class or function.
        unknown: the name of the option.
        parameters: the parameters that it has.
        value: the value of the option.
    """
    return TypeError(
        f"{name} must get options that it has, got {unknown}: write "
        f"{_suggestion(name, unknown, parameters, value)}"
    )


def _better_error(
    target: Callable[..., Any], call: Callable[..., Any], args: Sequence[Any], options: Mapping[str, Any]
) -> TypeError | None:
    """Return the error for a call that has an unknown option, or one without its name; None for others."""
    parameters = inspect.signature(call).parameters
    name = target.__qualname__
    if not isinstance(target, type) and args and next(iter(parameters), "") in {"self", "cls"}:
        # The class of the object, because users do not know the base that has the method.
        owner = args[0] if isinstance(args[0], type) else type(args[0])
        name = f"{owner.__qualname__}.{target.__name__}"
    if (unknown := _unknown(name, parameters, options)) is not None:
        return unknown_option(name, unknown, parameters, options[unknown])
    # A class that finds its keys by the issuer.
    has_keys = "keys" in options or (len(args) > 1 and not _is_url(args[1]))
    if hasattr(target, "from_issuer") and not has_keys:
        return TypeError(f"{name} must get keys, got none: write {name}.from_issuer(issuer, audience=…)")
    if unnamed := _unnamed(parameters, args):
        return TypeError(f"{name} must get its options by name, got {unnamed}")
    return None


def _is_url(value: object) -> bool:
    return isinstance(value, str) and "://" in value


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
    # The value may be that of the first option, which is optional in `revoke(*, token_id=None, …, until)`.
    shown = ", ".join(f"{option}=…" for option in required) if named[0].name in required else ""
    write = shown or f"one of {', '.join(each.name for each in named)} with its name"
    return f"{excess} without: write {write}"


def _unknown(
    name: str, parameters: Mapping[str, inspect.Parameter], options: Mapping[str, Any]
) -> str | None:
    """Return the first option that is not a parameter; None without one.

    If any option is accepted, only one that resembles a missing option is unknown.
    """
    names = {each.name for each in parameters.values() if each.kind not in _VARIABLE}
    unknown = [option for option in options if option not in names]
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        missing = [
            each.name
            for each in parameters.values()
            if each.kind is inspect.Parameter.KEYWORD_ONLY
            and each.default is inspect.Parameter.empty
            and each.name not in options
        ]
        unknown = [option for option in unknown if _nearest(name, option, missing)]
    return next(iter(unknown), None)


def _suggestion(name: str, unknown: str, parameters: Mapping[str, inspect.Parameter], value: object) -> str:
    names_elsewhere, place = _PLACES.get(name, ((), ""))
    if unknown in names_elsewhere:
        return place
    several = next((p.name for p in parameters.values() if p.kind is inspect.Parameter.VAR_POSITIONAL), None)
    names = [each for each, parameter in parameters.items() if parameter.kind not in _VARIABLE]
    names = [each for each in names if each not in {"self", "cls"}]
    nearest = _nearest(name, unknown, [*names, *([several] if several else [])])
    if nearest is None:
        return f"one of {', '.join(names)}" if names else "it without options"
    if nearest == several:
        values = [value] if isinstance(value, str) else value
        shown = ", ".join(map(repr, values)) if isinstance(values, list | tuple) else "…"
        return f"the {several} as arguments without a name: {shown}"
    return f"{nearest}=…"


def _nearest(name: str, unknown: str, names: list[str]) -> str | None:
    """Return the name that was probably meant, or None."""
    lower = unknown.lower()
    for table in (_OTHER_NAMES_OF.get(name, {}), _OTHER_NAMES):
        for option, others in table.items():
            if lower in others and option in names:
                return option
    contained = [each for each in names if each == f"{lower}s" or each.startswith(f"{lower}_")]
    return next(iter([*contained, *get_close_matches(lower, names, n=1, cutoff=0.6)]), None)
