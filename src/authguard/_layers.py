"""Examine applications and layers of middleware: how they can be called, and their attributes."""

import inspect
from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

from authguard._core.options import type_of
from authguard.errors import ConfigurationError

#: The number of layers examined. The search must also end for a layer that wraps itself.
MAX_LAYERS = 100

_NAMES = {"asgi": ("scope", "receive", "send"), "wsgi": ("environ", "start_response")}


def layers_of(app: Any) -> Iterator[Any]:
    """Yield an application and the layers below it, which middleware of Starlette has as the attribute `app`.

    Args:
        app: the outermost layer; None has no layers.
    """
    for _ in range(MAX_LAYERS):
        if app is None:
            return
        yield app
        app = getattr(app, "app", None)


def takes(app: Any, count: int) -> bool:
    """Return whether an object can be called with this many arguments: 3 for ASGI, 2 for WSGI."""
    is_instance = not (isinstance(app, type) or inspect.isroutine(app)) and callable(app)
    try:
        # Checked on the instance, because a class may set another callable for each instance, as some
        # monitoring does.
        inspect.signature(app.__call__ if is_instance else app).bind(*range(count))
    except (TypeError, ValueError):
        return False
    return True


def attributes(layer: Any) -> Iterator[tuple[str, Any]]:
    """Yield the attributes of an instance, from its dictionary and its slots.

    Args:
        layer: the instance.
    """
    yield from getattr(layer, "__dict__", {}).items()
    for base in type(layer).__mro__:
        for name, member in list(vars(base).items()):
            if inspect.ismemberdescriptor(member):
                try:
                    yield name, member.__get__(layer)
                except AttributeError:
                    continue  # the slot has not been set


def check_interface(app: Any, interface: Literal["asgi", "wsgi"]) -> None:
    """Check that an application does not have the other interface.

    Args:
        app: the application; it is accepted if its interface is unknown.
        interface: the interface of the middleware.

    Raises:
        ConfigurationError: names the middleware for it.
    """
    other = _interface_of(app)
    if other not in (None, interface):
        articles = {"asgi": "an ASGI", "wsgi": "a WSGI"}
        raise ConfigurationError(
            f"app must be {articles[interface]} application, got {articles[str(other)]} application "
            f"({_name_of(app)}): write from authguard.{other} import AuthGuardMiddleware"
        )


def _interface_of(app: Any) -> Literal["asgi", "wsgi"] | None:
    """Return the only interface that an application can have; None if its signature does not show it."""
    if isinstance(app, partial):
        return None
    is_instance = not (isinstance(app, type) or inspect.isroutine(app))
    # The signature is that of the instance, because a class may set another callable for each instance, as
    # some monitoring does.
    called = app.__call__ if is_instance else app
    if inspect.iscoroutinefunction(called):
        return "asgi"
    try:
        # Wrapped functions are not followed, because a decorator may change the arguments.
        signature = inspect.signature(called, follow_wrapped=False)
    except (TypeError, ValueError):  # some callables written in C have no signature
        return None
    names = tuple(signature.parameters)
    for interface in ("asgi", "wsgi"):
        if names[: len(_NAMES[interface])] == _NAMES[interface]:
            return interface
    takes_two, takes_three = _takes(signature, 2), _takes(signature, 3)
    if takes_two == takes_three:
        return None
    return "asgi" if takes_three else "wsgi"


def _takes(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _name_of(app: Any) -> str:
    return str(app.__name__) if inspect.isroutine(app) else type_of(app)
