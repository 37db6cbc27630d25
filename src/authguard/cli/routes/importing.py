"""Import the application that the command line names as `module:app`."""

import importlib
import inspect
import os
import sys
import traceback
from contextlib import redirect_stdout
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from authguard._core.guard import Guard
from authguard.cli.output import MISUSED, Failure, printable
from authguard.errors import AuthGuardError

# Their messages contain names of modules and variables. Messages of other errors may contain anything, even
# secrets.
_TELLING = (ImportError, AttributeError, NameError, SyntaxError, AuthGuardError)


def find_application(name: str, *, factory: bool) -> Any:
    """Import the module, and return the application.

    Output of the module is sent to standard error.

    Args:
        name: `module:app`; both parts may contain dots. Modules of the current directory take precedence.
        factory: whether the name is a function that returns the application.

    Raises:
        Failure: if the application cannot be imported; the message names the remedy.
    """
    module, attribute = _parts(name)
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    with redirect_stdout(sys.stderr):
        app = _attribute(_imported(module), module, attribute)
        if factory:
            return _made(app, name)
    if inspect.isfunction(app) and _needs_nothing(app):
        raise Failure(f"{name} is a function: add --factory if it returns the application", MISUSED)
    return app


def _parts(name: str) -> tuple[str, str]:
    """Return module and attribute, or name the spelling that works."""
    module, _, attribute = name.partition(":")
    function, is_called, arguments = attribute.partition("(")
    if is_called and module and function:
        remedy = "write" if arguments == ")" else "give the function default arguments, and write"
        raise Failure(
            f"{name} must be module:app, got a call: {remedy} {module}:{function} --factory", MISUSED
        )
    if module.endswith(".py") or "/" in module:
        module = module.removesuffix(".py").removeprefix("./").strip("/").replace("/", ".")
        raise Failure(f"{name} must be module:app, got a file: write {module}:{attribute or 'app'}", MISUSED)
    if not module or not attribute:
        package, dot, last = module.rpartition(".")
        example = f"{package}:{last}" if dot and not attribute else f"{module or 'main'}:app"
        raise Failure(f"{name} must be module:app, such as {example}", MISUSED)
    return module, attribute


def _needs_nothing(function: Any) -> bool:
    parameters = inspect.signature(function).parameters.values()
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return all(each.kind in several or each.default is not each.empty for each in parameters)


def _imported(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 (it is code of others)
        _fail(f"cannot import {module}", error)


def _attribute(value: Any, module: str, attribute: str) -> Any:
    names = attribute.split(".")
    for number, name in enumerate(names, 1):
        try:
            value = getattr(value, name)
        except AttributeError:
            public = [each for each in dir(value) if not each.startswith("_")]
            is_last = number == len(names)
            near = _nearest(name, value, public) if is_last else get_close_matches(name, public, 1)
            advice = f": write {module}:{attribute.replace(name, near[0])}" if near else ""
            raise Failure(f"{module} has no {attribute}{advice}", MISUSED) from None
    return value


def _nearest(name: str, owner: Any, public: list[str]) -> list[str]:
    """Return the nearest name of an application, a guard or a factory; or the only application, if any."""
    values = {each: getattr(owner, each, None) for each in public}
    objects = [each for each, value in values.items() if _is_application(value)]
    factories = [each for each, value in values.items() if _is_factory(value, owner)]
    near = get_close_matches(name, [*objects, *factories], 1)
    return near or (objects if len(objects) == 1 else [])


def _is_application(value: Any) -> bool:
    """Return whether a value may be an application or a guard: no class, module or function."""
    is_object = not (inspect.isclass(value) or inspect.ismodule(value) or inspect.isroutine(value))
    return isinstance(value, Guard) or (is_object and callable(value) and hasattr(value, "__dict__"))


def _is_factory(value: Any, owner: Any) -> bool:
    """Return whether a value is a function of the module itself that needs no arguments."""
    is_own = inspect.isfunction(value) and value.__module__ == getattr(owner, "__name__", "")
    return is_own and _needs_nothing(value)


def _made(factory: Any, name: str) -> Any:
    if not callable(factory):
        raise Failure(f"{name} is not a function: leave out --factory", MISUSED)
    if inspect.isfunction(factory) and not _needs_nothing(factory):
        raise Failure(f"{name} has parameters: --factory calls it without arguments", MISUSED)
    if inspect.iscoroutinefunction(factory):
        raise Failure(f"{name} is an async function: --factory calls a plain one", MISUSED)
    try:
        return factory()
    except (Exception, SystemExit) as error:  # noqa: BLE001 (it is code of others)
        _fail(f"cannot call {name}", error)


def _fail(what: str, error: BaseException) -> NoReturn:
    told = f": {error}" if isinstance(error, _TELLING) or _is_of_environment(error) else ""
    line = printable(f"{what}: {type(error).__name__}{told.splitlines()[0] if told else ''}")
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "importlib" not in f.filename]
    here = Path.cwd()
    own = [f for f in frames if Path(f.filename).is_relative_to(here) and "site-packages" not in f.filename]
    frames = own or frames
    if frames and frames[-1].filename != __file__:
        line += f" ({frames[-1].filename}, line {frames[-1].lineno})"
    raise Failure(line, MISUSED) from None


def _is_of_environment(error: BaseException) -> bool:
    """Return whether the error is about a missing environment variable, whose name may be shown."""
    frames = traceback.extract_tb(error.__traceback__)
    return (
        isinstance(error, KeyError) and bool(frames) and frames[-1].filename in ("<frozen os>", os.__file__)
    )
