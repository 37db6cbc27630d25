"""A public name that is imported from the wrong module is an error that names the right one."""

import importlib
import re

import pytest

from authguard._extras import MODULES, SAME

FACES = ("authguard", "authguard.fastapi", "authguard.starlette", "authguard.flask")
WRONG = [
    (module, name)
    for module in FACES
    for name, modules in MODULES.items()
    if module.removeprefix("authguard.") not in modules
]


def error_of(module: str, name: str) -> str:
    """Return the error of an import that does not work."""
    with pytest.raises(ImportError) as raised:
        exec(f"from {module} import {name}", {})  # noqa: S102 (the names of our own table)
    return str(raised.value)


@pytest.mark.parametrize(("module", "name"), WRONG)
def test_the_advised_import_works(module: str, name: str) -> None:
    """The import in the error works when it is typed, and the error names both places."""
    if name in vars(importlib.import_module(module)):
        pytest.skip("the module uses the name itself")
    text = error_of(module, name)
    assert f"{name} must be " in text and module in text
    advised = re.search(r": write (from [\w.]+ import \w+)(?:, or|\Z)", text)
    assert advised, text
    exec(advised[1], {})  # noqa: S102 (the text of our own error)


@pytest.mark.parametrize("name", MODULES)
def test_each_named_module_has_the_name(name: str) -> None:
    """Each module of the table has the name."""
    for module in MODULES[name]:
        if module != "django":  # which needs settings
            assert hasattr(importlib.import_module(f"authguard.{module}"), name)


@pytest.mark.parametrize(("face", "name"), SAME)
def test_the_same_of_another_framework_is_named(face: str, name: str) -> None:
    """The error in the module of a framework names the equal function of that framework."""
    module = importlib.import_module(f"authguard.{face}")
    same = SAME[face, name]
    assert same in module.__all__
    assert error_of(module.__name__, name).endswith(f"write from authguard.{face} import {same}")


@pytest.mark.parametrize("module", FACES)
def test_other_names_are_unknown_as_usual(module: str) -> None:
    """A name that no module has is an AttributeError, so that `hasattr` works."""
    assert not hasattr(importlib.import_module(module), "no_such_name")
    assert "cannot import name" in error_of(module, "no_such_name")
