"""Write the pages of the public names: their signatures and docstrings."""

import ast
import importlib
import inspect
import re
from dataclasses import dataclass
from enum import Enum
from types import ModuleType
from typing import Any

from tools.reference.docstrings import as_markdown
from tools.reference.signatures import signature, type_of


@dataclass(frozen=True)
class Group:
    """Hold the parts of one page: its file, its title, its first lines, and its modules."""

    file: str
    title: str
    intro: str
    modules: tuple[str, ...]


GROUPS = (
    Group(
        "api.md",
        "Python API: the guard",
        "Look up each name of `authguard`, with its signature and its effect.",
        ("authguard", "authguard.types"),
    ),
    Group(
        "api-frameworks.md",
        "Python API: frameworks",
        "Look up the module of each framework: the middleware, the caller of a request, and `requires`.",
        (
            "authguard.asgi",
            "authguard.wsgi",
            "authguard.starlette",
            "authguard.fastapi",
            "authguard.flask",
            "authguard.django",
        ),
    ),
    Group(
        "api-stores.md",
        "Python API: stores, clients and tests",
        "Look up the stores that processes share, the clients of a protected API, and the helpers for tests.",
        ("authguard.stores", "authguard.backchannel", "authguard.client", "authguard.testing"),
    ),
    Group(
        "api-identity.md",
        "Python API: the identity service",
        "Look up the names of `authguard.identity`, for programs that run the service themselves.",
        ("authguard.identity",),
    ),
    Group(
        "api-errors.md",
        "Python API: errors",
        "Look up the classes of `authguard.errors`. [Errors and causes](errors.md) has the remedies.",
        ("authguard.errors",),
    ),
)


def public_names(module: ModuleType) -> dict[str, Any]:
    """Return the public things of a module by their names, in alphabetical order."""
    listed = getattr(module, "__all__", None)
    names = listed or [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_")
        and getattr(thing, "__module__", None) in {module.__name__, "authguard._causes"}
    ]
    return {name: getattr(module, name) for name in sorted(names, key=str.lower)}


def pages() -> dict[str, str]:
    """Return the text of each page by its file below docs/reference."""
    where: dict[int, str] = {}
    return {group.file: _page(group, where) for group in GROUPS}


def _page(group: Group, where: dict[int, str]) -> str:
    parts = [f"# {group.title}\n", f"{group.intro} `make reference` writes this\npage.\n"]
    for name in group.modules:
        module = importlib.import_module(name)
        parts += [f"## `{name}`\n", as_markdown(module.__doc__)]
        for each, thing in public_names(module).items():
            if not isinstance(thing, ModuleType):
                parts.append(_entry(f"{name}.{each}", thing, where))
    if group is GROUPS[0]:
        others = "".join(f"* [{each.title}]({each.file})\n" for each in GROUPS[1:])
        parts.insert(2, f"The other modules have pages of their own:\n\n{others}")
    return "\n".join(parts).replace("\n\n\n", "\n\n")


def _entry(path: str, thing: Any, where: dict[int, str]) -> str:
    """Return the part about one name; for a thing that was shown before, a reference to its name there."""
    name = path.rpartition(".")[2]
    head = f"### `{name}`\n\n"
    is_code = inspect.isclass(thing) or inspect.isroutine(thing)
    if is_code and id(thing) in where:
        return f"{head}The same as `{where[id(thing)]}`.\n"
    if not is_code:
        return head + _value(path, thing)
    where[id(thing)] = path
    if inspect.isclass(thing) and issubclass(thing, Enum):
        return head + as_markdown(thing.__doc__) + "\n" + _values(thing)
    is_protocol = getattr(thing, "_is_protocol", False)  # which has no constructor
    shown = f"```python\nclass {name}(Protocol)\n```\n" if is_protocol else _code(name, thing)
    text = head + shown + "\n" + as_markdown(thing.__doc__)
    if inspect.isclass(thing):
        text += "".join(_member(name, each, value, thing) for each, value in _members(thing).items())
    return text


def _value(path: str, thing: Any) -> str:
    """Return the comment above a constant or an alias, and its definition."""
    module, _, name = path.rpartition(".")
    source, definition = _definition(importlib.import_module(module), name)
    comment = re.search(rf"((?:^ *#: .*\n)+) *(?:type )?{name}\b", source, re.MULTILINE)
    words = " ".join(re.findall(r"#: (.*)", comment[1])) + "\n\n" if comment else ""
    return (
        f"{words}```python\n{definition}\n```\n"
        if definition
        else f"{words}Of the type `{type(thing).__name__}`.\n"
    )


def _definition(module: ModuleType, name: str) -> tuple[str, str]:
    """Return the source of the module that defines a name, and the statement; empty for none."""
    source = inspect.getsource(module)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and name in {each.name for each in node.names}:
            return _definition(importlib.import_module(node.module), name)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return source, ast.get_source_segment(source, node) or ""
    return source, ""


def _values(enum: type[Enum]) -> str:
    """Return the values of an enumeration, each with the comment above it."""
    source = inspect.getsource(enum)
    rows = []
    for each in enum:
        comment = re.search(rf"#: (.*)\n +{each.name} = ", source)
        rows.append(f"* `{each.value}`" + (f": {comment[1]}" if comment else ""))
    return "\n".join(rows) + "\n"


def _members(cls: type) -> dict[str, Any]:
    """Return the public methods and properties, including those of private bases."""
    results: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base is cls or (base.__module__.startswith("authguard") and _is_private(base)):
            results.update({name: value for name, value in vars(base).items() if not name.startswith("_")})
    is_shown = (property, staticmethod, classmethod)
    return {n: v for n, v in sorted(results.items()) if isinstance(v, is_shown) or inspect.isfunction(v)}


def _is_private(base: type) -> bool:
    import authguard

    return base.__name__ not in authguard.__all__ and base.__module__ != "authguard.errors"


def _member(owner: str, name: str, value: Any, cls: type) -> str:
    doc = as_markdown(value.__doc__)
    if isinstance(value, property):
        kind = type_of(value)
        shown = f"A property of the type `{kind}`." if kind else "A property."
        return f"\n#### `{owner}.{name}`\n\n{shown}\n\n{doc}"
    return f"\n#### `{owner}.{name}`\n\n{_code(name, getattr(cls, name))}\n{doc}"


def _code(name: str, thing: Any) -> str:
    return f"```python\n{signature(name, thing)}\n```\n"
