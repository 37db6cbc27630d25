"""Each option of each configuration is needed: without it, some token has another result."""

import ast
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from authguard import ConfigurationError, Guard
from providers.building import Provider
from providers.catalogue import MODULES, NAMES, PROVIDERS
from providers.faces import Face, read
from providers.internet import Internet

pytestmark = pytest.mark.slow

#: Options without a visible effect on tokens, with the reason.
UNSEEN = {("kubernetes", "ca_bundle"): "the tests' authority is trusted by all clients of this process"}


def parts(name: str) -> Iterator[tuple[str, int, int, int | None]]:
    """Yield the name and the place of each option, and of each element of a list or dictionary."""
    for place, call in enumerate(calls(tree(name))):
        for number, option in enumerate(call.keywords):
            if is_none(option.value):
                continue
            yield str(option.arg), place, number, None
            elements = option.value
            if isinstance(elements, ast.Dict | ast.List):
                size = len(elements.values if isinstance(elements, ast.Dict) else elements.elts)
                yield from ((f"{option.arg}[{element}]", place, number, element) for element in range(size))


def tree(name: str) -> ast.Module:
    return ast.parse(inspect.getsource(MODULES[name].guard))


def calls(module: ast.Module) -> list[ast.Call]:
    return [node for node in ast.walk(module) if isinstance(node, ast.Call)]


def is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def without(name: str, place: int, number: int, element: int | None) -> Guard | None:
    """Build the guard without a part of its configuration; return None if it cannot be built."""
    changed = tree(name)
    call = calls(changed)[place]
    option = call.keywords[number]
    if element is not None:
        if isinstance(option.value, ast.Dict):
            del option.value.keys[element]
            del option.value.values[element]
        elif isinstance(option.value, ast.List):
            del option.value.elts[element]
    elif option.arg in ("issuer", "audience"):  # these options are required
        option.value = ast.copy_location(ast.Constant(None), option.value)
    else:
        del call.keywords[number]
    namespace = dict(vars(MODULES[name]))
    exec(compile(changed, name, "exec"), namespace)
    try:
        guard: Guard = namespace["guard"]()
    except (ConfigurationError, TypeError):
        return None
    return guard


def is_as_stated(provider: Provider, face: Face) -> bool:
    """Return whether all of a provider's tokens have the results of its file."""
    for credential, caller in provider.taken.values():
        status, body, _ = face.get(provider.send(credential.text()))
        if status != 200 or read(body) != caller:
            return False
    return all(
        face.get(provider.send(credential.text()))[0] == 401
        for cases in provider.refused.values()
        for credential in cases.values()
    )


@pytest.mark.parametrize("name", NAMES)
def test_each_option_is_needed(name: str, internet: Internet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration without an option refuses a valid token, accepts an invalid one, or cannot be built."""
    provider = PROVIDERS[name]
    internet.pages.update(provider.pages())
    for variable, value in provider.environ.items():
        monkeypatch.setenv(variable, value)
    idle: list[Any] = []
    for option, *place in parts(name):
        guard = without(name, *place)
        if guard is None:
            continue
        face = Face("wsgi", guard)
        try:
            if is_as_stated(provider, face) and (name, option) not in UNSEEN:
                idle.append(option)
        finally:
            face.close()
    assert idle == []
