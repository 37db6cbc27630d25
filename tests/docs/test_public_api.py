"""The public API is that of a snapshot, so that a change of it is visible in the diff.

Run this file as a program to write the snapshot again.
"""

import builtins
import collections.abc
import dataclasses
import importlib
import inspect
import os
import re
import typing
from pathlib import Path
from typing import Any

import pytest

import authguard
import authguard.types
from authguard._core.deciding.users import UserLoader

SNAPSHOT = Path(__file__).with_name("public_api.txt")
MODULES = (
    "authguard.asgi",
    "authguard.wsgi",
    "authguard.starlette",
    "authguard.fastapi",
    "authguard.flask",
    "authguard.django",
    "authguard.client",
    "authguard.stores",
    "authguard.backchannel",
    "authguard.testing",
    "authguard.types",
)


_PRIVATE_BASES = {"Described", "LeasedQuotas", "OverriddenInTests", "Revoking", "Store", "VerifiesOutside"}


def _signature(thing: Any) -> str:
    """Return names, kinds and defaults; the text of annotations differs between versions of Python."""
    if inspect.isclass(thing) and not (
        inspect.isfunction(thing.__init__) or getattr(thing, "_is_protocol", False)
    ):
        return ""  # an exception without an __init__ of its own
    signature = inspect.signature(thing)
    bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=signature.empty))


def _members(cls: type) -> list[str]:
    lines = []
    # with the members of private bases, such as those of the stores
    bases = [base for base in reversed(cls.__mro__) if base is cls or base.__name__ in _PRIVATE_BASES]
    members = {name: value for base in bases for name, value in vars(base).items()}
    for name, value in sorted(members.items()):
        if name.startswith("_"):
            continue
        where = f"{cls.__name__}.{name}"
        if isinstance(value, property):
            lines.append(f"{where}: property")
        elif isinstance(value, (staticmethod, classmethod)) or inspect.isfunction(value):
            lines.append(f"{where}{_signature(getattr(cls, name))}")
    return lines


def _face() -> list[str]:
    lines: list[str] = []
    for name in sorted(authguard.__all__):
        thing = getattr(authguard, name)
        if inspect.isclass(thing):
            lines += [f"class {name}{_signature(thing)}", *_members(thing)]
        elif inspect.isfunction(thing):
            lines.append(f"def {name}{_signature(thing)}")
        else:
            lines.append(f"{name}: {type(thing).__name__}")
    return [*lines, *(f"{name}: of authguard.types" for name in sorted(authguard.types.__all__))]


def _public() -> dict[str, Any]:
    results = {f"authguard.{name}": getattr(authguard, name) for name in authguard.__all__}
    for module_name in (*MODULES, "authguard.errors"):
        module = importlib.import_module(module_name)
        for name, thing in vars(module).items():
            listed = name in getattr(module, "__all__", [])
            if listed or (not name.startswith("_") and getattr(thing, "__module__", None) == module_name):
                results[f"{module_name}.{name}"] = thing
    return {
        name: thing for name, thing in results.items() if inspect.isclass(thing) or inspect.isfunction(thing)
    }


def _methods() -> dict[str, Any]:
    return {
        f"{where}.{name}": value
        for where, cls in _public().items()
        if inspect.isclass(cls)
        for name, value in vars(cls).items()
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, property))
    }


def test_public_face_is_the_snapshot() -> None:
    """Names and signatures are those of the snapshot; run this file as a program to change it."""
    assert _face() == SNAPSHOT.read_text(encoding="utf-8").splitlines()


#: Not for annotations: a variable of a type, and parts of objects that the package builds itself.
_NOT_FOR_APPLICATIONS = {"FunctionT", "Follower", "Log", "CounterKey", "Mode", "Requirement", "Step"}


@pytest.mark.parametrize("module", ["authguard", "authguard.stores", "authguard.testing"])
def test_types_of_options_can_be_imported(module: str) -> None:
    """Each type of this package in the signature of a constructor or function has a public name."""
    from tools.reference.signatures import signature  # not for the program that writes the snapshot

    named: set[str] = set()
    for name, thing in _public().items():
        if name.rpartition(".")[0] == module:
            parameters = re.sub(r" = .*", "", signature(name, thing), flags=re.MULTILINE)
            named |= set(re.findall(r"(?<=[:\[| ] )[A-Z]\w+|(?<=[\[|])[A-Z]\w+", parameters))
    others = {
        name for known in (builtins, typing, collections.abc, os, authguard.errors) for name in dir(known)
    }
    public = {name.rpartition(".")[2] for name in _public()} | set(authguard.types.__all__)
    assert sorted(named - others - public - _NOT_FOR_APPLICATIONS) == []


def test_types_are_those_of_the_package() -> None:
    """Each name of `authguard.types` is the object that the options are annotated with."""
    assert authguard.types.UserLoader is UserLoader
    assert authguard.types.Verifier in authguard.JWTVerifier.__mro__
    assert sorted(authguard.types.__all__) == sorted(set(authguard.types.__all__))


def test_names_are_there_once() -> None:
    """No public name is listed twice."""
    assert len(authguard.__all__) == len(set(authguard.__all__))


@pytest.mark.parametrize("name", authguard.__all__)
def test_name_can_be_imported(name: str) -> None:
    """Each name that the package lists exists."""
    assert hasattr(authguard, name)


@pytest.mark.parametrize("module_name", MODULES)
def test_modules_list_what_they_have(module_name: str) -> None:
    """Each name that a framework module lists exists."""
    module = importlib.import_module(module_name)
    assert [name for name in getattr(module, "__all__", []) if not hasattr(module, name)] == []


@pytest.mark.parametrize("name", _public())
def test_has_a_docstring(name: str) -> None:
    """Each public class and function has a docstring."""
    thing = _public()[name]
    # Python gives a dataclass without a docstring its signature as one.
    written = thing.__doc__ and not (
        dataclasses.is_dataclass(thing) and thing.__doc__.startswith(f"{thing.__name__}(")
    )
    assert written


@pytest.mark.parametrize("name", _methods())
def test_method_has_a_docstring(name: str) -> None:
    """Each public method and property has a docstring."""
    assert _methods()[name].__doc__


if __name__ == "__main__":
    SNAPSHOT.write_text("\n".join(_face()) + "\n", encoding="utf-8")
