"""Whatever optional package is missing, what needs it says which extra brings it."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from authguard._extras import _PACKAGES, MissingExtraError, needs_extra

SOURCE = Path(__file__).parents[1] / "src" / "authguard"
#: What needs no extra, and what needs one: these are the modules that applications import.
PLAIN = (
    "authguard",
    *(f"authguard.{name}" for name in ["asgi", "wsgi", "client", "stores", "testing", "backchannel", "cli"]),
)
FACES = {f"authguard.{name}": name for name in ("starlette", "fastapi", "flask", "django", "identity")}
CASES = [(package, face) for face, extra in FACES.items() for package in _PACKAGES[extra]]
OPTIONAL = {package for packages in _PACKAGES.values() for package in packages}
ANY_IMPORT = re.compile(rf"^\s*(?:from|import) (?:{'|'.join(OPTIONAL)})\b", re.MULTILINE)

# One process, which has imported everything, and forks for each case: there it forgets what is missing, and
# what asks for it.
_IMPORT = """
import importlib, json, os, sys

class Blocker:
    def __init__(self, packages):
        self.packages = packages

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.packages:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

def outcome(module):
    try:
        importlib.import_module(module)
    except ImportError as error:
        return [isinstance(error, ConfigurationError), error.name, str(error)]
    return None

def forget(parts):
    for name in list(sys.modules):
        if name.partition(".")[0] in parts:
            del sys.modules[name]

cases = json.loads(sys.argv[1])
for _, modules in cases:
    for module in modules:
        importlib.import_module(module)
for packages, modules in cases:
    if os.fork() == 0:
        forget(packages + ["authguard"])
        import authguard
        from authguard.errors import ConfigurationError
        sys.meta_path.insert(0, Blocker(packages))
        print(json.dumps([outcome(module) for module in modules]), flush=True)
        os._exit(0)
    os.wait()
"""


def outcomes(*cases):
    """What each import raised, in a process without some packages."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT, json.dumps(cases)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_each_missing_package():
    """It is an ImportError that names the package and the extra of the module, with the command."""
    result = outcomes(*(([package], [face]) for package, face in CASES))
    for (package, face), ((is_configuration, missing, message),) in zip(CASES, result, strict=True):
        assert is_configuration, (package, face)
        assert missing.partition(".")[0] == package
        assert f'pip install "authguard[{FACES[face]}]"' in message


def test_what_needs_no_extra():
    """Without any of the optional packages it is imported."""
    assert outcomes((sorted(OPTIONAL), PLAIN)) == [[None] * len(PLAIN)]


@pytest.mark.parametrize(("package", "face"), CASES)
def test_a_missing_package_of_an_extra(package, face):
    """Where it is imported, the error names the extra of that module."""
    extra = FACES[face]
    missing = ModuleNotFoundError(f"No module named {package!r}", name=f"{package}.part")
    with pytest.raises(MissingExtraError, match=rf'pip install "authguard\[{extra}\]"'), needs_extra(extra):
        raise missing


def optional_imports(tree: ast.AST, *, covered: bool = False) -> Iterator[tuple[str, int, str]]:
    """Yield imports of optional packages, but for those in `with needs_extra(…)` and `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) and not covered:
            names = (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [name.name for name in node.names]
            )
            for name in names:
                if name.partition(".")[0] in OPTIONAL and getattr(node, "level", 0) == 0:
                    yield name.partition(".")[0], node.lineno, name
        inside = isinstance(node, ast.With) and any("needs_extra" in ast.unparse(item) for item in node.items)
        inside = inside or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        yield from optional_imports(node, covered=covered or inside)


#: Below these, what has been imported before has asked for the extra: the face itself, or who calls.
BELOW = {
    "identity": "identity",
    "cli": "cli",  # `authguard.cli.main` asks
    "fastapi.py": "fastapi",
    "_fastapi": "fastapi",
    "starlette.py": "starlette",
    "flask.py": "flask",
    "_flask": "flask",  # of authguard.flask
    "django": "django",
}
#: Places where the package is there, as an object of it has been given, or as it is looked for without need.
ONLY_IF_THERE = {
    "cli/routes": {"starlette", "fastapi", "flask", "werkzeug"},
    "_preflight": {"starlette", "flask", "werkzeug"},
    "_endpoint.py": {"starlette", "fastapi", "flask", "werkzeug"},
    "_mounted.py": {"starlette", "fastapi"},
    "_arguments.py": {"starlette", "fastapi"},
    "_refused.py": {"starlette"},
    "stores/postgres.py": {"psycopg"},
    "stores/sql": {"psycopg"},
    "stores/redis.py": {"redis"},
    "stores/redis_log.py": {"redis"},
    "stores/redis_scripts.py": {"redis"},
    "stores/counting/postgres.py": {"psycopg"},
    "stores/counting/redis.py": {"redis"},
    "identity": {"psycopg", "redis"},
}


def _is_asked_for(place: str, package: str) -> bool:
    extra = next(
        (extra for part, extra in BELOW.items() if place == part or place.startswith(f"{part}/")), ""
    )
    there = [packages for part, packages in ONLY_IF_THERE.items() if place.startswith(part)]
    return package in _PACKAGES.get(extra, ()) or any(package in packages for packages in there)


def test_every_import_of_an_optional_package_is_asked_for():
    """Each stands below what names the extra, or where the package must be there."""
    files = [(file.relative_to(SOURCE).as_posix(), file) for file in SOURCE.rglob("*.py")]
    results = [
        (place, line, name)
        for place, file in files
        if ANY_IMPORT.search(text := file.read_text())
        for package, line, name in optional_imports(ast.parse(text))
        if not _is_asked_for(place, package)
    ]
    assert results == []
