"""What an extra brings is optional, and its absence is an error that names the extra."""

import subprocess
import sys

import pytest

from authguard._extras import needs_extra

_BLOCKED = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
import authguard, authguard.stores
from authguard.errors import ConfigurationError
try:
    {statement}
except ModuleNotFoundError as error:
    assert isinstance(error, ConfigurationError)
    print(error.name.partition(".")[0], str(error), sep="\\n")
"""


def run_without(package, statement):
    """Run a statement in a process in which a package is not there, and return what was printed."""
    code = _BLOCKED.format(package=package, statement=statement)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("package", "module", "extra"),
    [
        ("starlette", "starlette", "starlette"),
        ("fastapi", "fastapi", "fastapi"),
        ("starlette", "fastapi", "fastapi"),
        ("flask", "flask", "flask"),
        ("werkzeug", "flask", "flask"),
        ("django", "django", "django"),
        ("sqlalchemy", "identity", "identity"),
        ("starlette", "identity", "identity"),
    ],
)
def test_an_import_names_its_extra(package, module, extra):
    """A module that needs an extra raises an ImportError with the command that installs it."""
    name, message = run_without(package, f"import authguard.{module}")
    assert name == package
    assert f'pip install "authguard[{extra}]"' in message


@pytest.mark.parametrize(
    ("package", "statement", "extra"),
    [
        ("redis", "from authguard.identity.limits import _storage; _storage('redis://localhost')", "redis"),
        ("redis", "authguard.stores.RedisStore('redis://localhost')", "redis"),
        ("redis", "authguard.stores.RedisQuotas('redis://localhost')", "redis"),
        (
            "psycopg",
            "from authguard.identity.storage.database import Database; Database('postgresql://localhost/test')",
            "postgres",
        ),
        ("psycopg", "authguard.stores.PostgresStore('postgresql://localhost/test')", "postgres"),
        ("psycopg", "authguard.stores.PostgresQuotas('postgresql://localhost/test')", "postgres"),
    ],
)
def test_a_store_names_its_extra(package, statement, extra):
    """A store whose driver is missing raises a ConfigurationError that is an ImportError, too."""
    name, message = run_without(package, statement)
    assert name == package
    assert f'pip install "authguard[{extra}]"' in message


@pytest.mark.parametrize(
    "statement",
    [
        "from authguard.identity.storage.database import Database; Database('postgresql://localhost/test')",
        "import authguard.stores; authguard.stores.PostgresStore('postgresql://localhost/test')",
    ],
)
def test_psycopg_without_libpq_names_the_extra(statement):
    """A store whose psycopg has no libpq names the extra, which brings one."""
    code = f"""
import ctypes.util, sys
sys.modules["psycopg_binary"] = sys.modules["psycopg_c"] = None
ctypes.util.find_library = lambda name: None
from authguard.errors import ConfigurationError
try:
    {statement}
except ImportError as error:
    assert isinstance(error, ConfigurationError)
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert 'got "no pq wrapper available": pip install "authguard[postgres]"' in done.stdout


def test_another_missing_package_is_left_alone():
    """The absence of a package that no extra brings stays Python's own error."""
    with pytest.raises(ModuleNotFoundError) as raised, needs_extra("fastapi"):
        import a_package_that_is_not_there  # noqa: F401
    assert type(raised.value) is ModuleNotFoundError
