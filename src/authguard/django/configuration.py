"""Read the settings of a Django project: the guard, and the order of its middleware."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from authguard._core.callbacks import is_async
from authguard._core.guard import Guard
from authguard._core.options import type_of
from authguard._preflight.layers import has_base
from authguard.errors import ConfigurationError

_WRITE = 'AUTHGUARD = "mysite.guards.guard", the dotted path of a Guard or of a function that returns one'

#: The dotted path of the middleware in the settings.
MIDDLEWARE = "authguard.django.AuthGuardMiddleware"

# Middleware that must come before the guard, and the reason.
_BEFORE = {
    (
        "django.contrib.auth.middleware",
        "AuthenticationMiddleware",
    ): "it would replace the guard's request.user by its own",
    (
        "django.contrib.auth.middleware",
        "RemoteUserMiddleware",
    ): "it would replace the guard's request.user by its own",
    ("corsheaders.middleware", "CorsMiddleware"): "pages of other origins could not read refusals, and "
    "preflights would have no CORS fields",
    ("django.middleware.cache", "UpdateCacheMiddleware"): "it would store pages without the fields that "
    "distinguish callers",
}
# Middleware that must come after the guard, and the reason.
_AFTER = {
    ("django.middleware.cache", "FetchFromCacheMiddleware"): "it would answer with pages from the cache "
    "before the guard has seen the request",
}

# Guards by the id of the function, which is kept alive, so that no other function gets this id.
_made: dict[int, tuple[Any, Guard]] = {}


def get_guard() -> Guard:
    """Return the guard of the setting `AUTHGUARD`, always the same one; for `override` in tests.

    The setting is a guard, a function that returns one and is called once, or the dotted path of either.

    Raises:
        ConfigurationError: if the setting is missing or has another type.
    """
    setting = value = getattr(settings, "AUTHGUARD", None)
    if isinstance(setting, str):
        try:
            value = import_string(setting)
        except ImportError as error:
            raise ConfigurationError(
                f"AUTHGUARD in the settings must be importable, got {setting!r} ({error}): write {_WRITE}"
            ) from error
    if isinstance(value, Guard):
        return value
    if not callable(value) or isinstance(value, type) or is_async(value):
        raise ConfigurationError(
            f"AUTHGUARD in the settings must lead to a Guard, got {_shown(value)}: write {_WRITE}"
        )
    made = _made.get(id(value))
    if made is None:
        guard = value()
        if not isinstance(guard, Guard):
            raise ConfigurationError(
                f"the function of AUTHGUARD in the settings must return a Guard, got {type_of(guard)}: "
                f"write {_WRITE}"
            )
        made = _made.setdefault(id(value), (value, guard))
    return made[1]


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, type):
        return f"the class {value.__qualname__}"
    return f"an async function, {value.__qualname__}" if is_async(value) else type_of(value)


def has_middleware(middleware: type) -> bool:
    """Return whether the settings include the middleware of the guard, or a subclass.

    Args:
        middleware: the class of the guard's middleware.

    Raises:
        ImportError: if another middleware cannot be imported.
    """
    # names are compared first, so that no other middleware is imported too early
    if MIDDLEWARE in settings.MIDDLEWARE:
        return True
    layers = map(import_string, settings.MIDDLEWARE)
    return any(isinstance(layer, type) and issubclass(layer, middleware) for layer in layers)


def order_error(middleware: type) -> ConfigurationError | None:
    """Return the error about middleware at the wrong position in the settings, if any.

    Args:
        middleware: the class of the guard's middleware.
    """
    layers = [(path, import_string(path)) for path in settings.MIDDLEWARE]
    places = [place for place, (_, layer) in enumerate(layers) if _is_kind(layer, middleware)]
    if len(places) > 1:
        return ConfigurationError(
            f"MIDDLEWARE must have {MIDDLEWARE} once, got it {len(places)} times: write it a single time"
        )
    if not places:  # used around a single view, as in a test with a RequestFactory
        return None
    return next(_misplaced(layers, places[0]), None)


def _misplaced(layers: list[tuple[str, Any]], place: int) -> Iterator[ConfigurationError]:
    own, _ = layers[place]
    for path, layer in layers[place + 1 :]:
        if reason := _reason(layer, _BEFORE):
            yield ConfigurationError(
                f"MIDDLEWARE must have {path} before {own}, got it after, where {reason}: move {own} below it"
            )
    for path, layer in layers[:place]:
        if reason := _reason(layer, _AFTER):
            yield ConfigurationError(
                f"MIDDLEWARE must have {path} after {own}, got it before, where {reason}: move {own} above it"
            )


def _reason(layer: Any, reasons: dict[tuple[str, str], str]) -> str:
    matching = (why for kind, why in reasons.items() if isinstance(layer, type) and has_base(layer, *kind))
    return next(matching, "")


def _is_kind(layer: Any, kind: type) -> bool:
    return isinstance(layer, type) and issubclass(layer, kind)


def has_cors_layer() -> bool:
    """Return whether the settings include django-cors-headers."""
    layers = map(import_string, settings.MIDDLEWARE)
    return any(
        isinstance(layer, type) and has_base(layer, "corsheaders.middleware", "CorsMiddleware")
        for layer in layers
    )
