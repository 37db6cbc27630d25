"""A module whose optional package is missing names the extra to install."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from authguard._extras import _PACKAGES, MissingExtraError, needs_extra

pytestmark = pytest.mark.slow

SOURCE = Path(__file__).parents[1] / "src" / "authguard"
#: The modules without an extra and with one, which applications import.
PLAIN = (
    "authguard",
    *(f"authguard.{name}" for name in ["asgi", "wsgi", "client", "stores", "testing", "backchannel", "cli"]),
)
FACES = {f"authguard.{name}": name for name in ("starlette", "fastapi", "flask", "django", "identity")}
CASES = [(package, face) for face, extra in FACES.items() for package in _PACKAGES[extra]]
OPTIONAL = {package for packages in _PACKAGES.values() for package in packages}
ANY_IMPORT = re.compile(rf"^\s*(?:from|import) (?:{'|'.join(OPTIONAL)})\b", re.MULTILINE)

# The process imports all modules, and forks for each case; the fork removes the missing package and the
# modules that need it.
_IMPORT = """
import importlib, json, os, sys, tempfile

class Blocker:
    def __init__(self, packages):
        self.packages = packages

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.packages:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

def outcome(module):
    try:
        imported = importlib.import_module(module)
        for name in getattr(imported, "__all__", ()):
            getattr(imported, name)  # some are imported when they are first used
        if module == "authguard.identity":
            with tempfile.TemporaryDirectory() as folder:
                imported.upgrade(f"sqlite:///{folder}/new.db")  # new tables need Alembic
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
        outcome(module)
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
    """Return the exception of each import in a process without some packages."""
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
    """A missing package is an ImportError that names the package and the command with the extra."""
    result = outcomes(*(([package], [face]) for package, face in CASES))
    for (package, face), ((is_configuration, missing, message),) in zip(CASES, result, strict=True):
        assert is_configuration, (package, face)
        assert missing.partition(".")[0] == package
        assert f'pip install "authguard[{FACES[face]}]"' in message


def test_what_needs_no_extra():
    """The plain modules are imported without any of the optional packages."""
    assert outcomes((sorted(OPTIONAL), PLAIN)) == [[None] * len(PLAIN)]


@pytest.mark.parametrize(("package", "face"), CASES)
def test_a_missing_package_of_an_extra(package, face):
    """A missing package within `needs_extra` is an error with the extra of the module."""
    extra = FACES[face]
    missing = ModuleNotFoundError(f"No module named {package!r}", name=f"{package}.part")
    with pytest.raises(MissingExtraError, match=rf'pip install "authguard\[{extra}\]"'), needs_extra(extra):
        raise missing


def optional_imports(tree: ast.AST, *, covered: bool = False) -> Iterator[tuple[str, int, str]]:
    """Yield imports of optional packages outside of `with needs_extra(…)` and `if TYPE_CHECKING`."""
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


#: Below these, an earlier import has asked for the extra: the module itself, or its caller.
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
#: Places where the package is known to be installed, or is only looked up.
ONLY_IF_THERE = {
    "cli/routes": {"starlette", "fastapi", "flask", "werkzeug"},
    "_preflight": {"starlette", "flask", "werkzeug"},
    "_endpoint.py": {"starlette", "fastapi", "flask", "werkzeug"},
    "_mounted.py": {"starlette", "fastapi"},
    "_arguments.py": {"starlette", "fastapi"},
    "_refused.py": {"starlette"},
    "stores/postgres.py": {"psycopg"},
    "stores/sql": {"psycopg"},
    "stores/url_checks.py": {"psycopg"},
    "stores/places.py": {"redis"},
    "stores/redis.py": {"redis"},
    "stores/redis_log.py": {"redis"},
    "stores/redis_options.py": {"redis"},
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
    """Each import of an optional package is below a module that names the extra, or in a listed place."""
    files = [(file.relative_to(SOURCE).as_posix(), file) for file in SOURCE.rglob("*.py")]
    results = [
        (place, line, name)
        for place, file in files
        if ANY_IMPORT.search(text := file.read_text())
        for package, line, name in optional_imports(ast.parse(text))
        if not _is_asked_for(place, package)
    ]
    assert results == []
