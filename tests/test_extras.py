"""The packages of an extra are optional, and a missing one is an error that names the extra."""

import json
import subprocess
import sys

import pytest

from authguard._extras import needs_extra

#: The statements that need a package, with the package and its extra.
IMPORTS = [
    ("starlette", "import authguard.starlette", "starlette"),
    ("fastapi", "import authguard.fastapi", "fastapi"),
    ("starlette", "import authguard.fastapi", "fastapi"),
    ("flask", "import authguard.flask", "flask"),
    ("werkzeug", "import authguard.flask", "flask"),
    ("django", "import authguard.django", "django"),
    ("sqlalchemy", "import authguard.identity", "identity"),
    ("starlette", "from authguard.identity import create_app", "identity"),
    ("starlette", "from authguard.identity import Identity", "identity"),
]
STORES = [
    (
        "redis",
        "from authguard.identity.limits.stores import open_counts; open_counts('redis://localhost')",
        "redis",
    ),
    ("redis", "authguard.stores.RedisStore('redis://localhost')", "redis"),
    ("redis", "authguard.stores.RedisQuotas('redis://localhost')", "redis"),
    (
        "psycopg",
        "from authguard.identity.storage.database import Database; Database('postgresql://localhost/test')",
        "postgres",
    ),
    ("psycopg", "authguard.stores.PostgresStore('postgresql://localhost/test')", "postgres"),
    ("psycopg", "authguard.stores.PostgresQuotas('postgresql://localhost/test')", "postgres"),
]
# Without the packages, the program imports the plain modules, and then runs each statement in a fork.
_BLOCKED = """
import json, os, sys

cases = json.load(sys.stdin)

class Blocker:
    packages = {package for package, _ in cases}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.packages:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
import authguard, authguard.stores
from authguard.errors import ConfigurationError

for package, statement in cases:
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0, statement
        continue
    Blocker.packages = {package}
    try:
        exec(statement)
    except ModuleNotFoundError as error:
        assert isinstance(error, ConfigurationError)
        print(json.dumps([package, statement, error.name.partition(".")[0], str(error)]))
    sys.exit()
"""


@pytest.fixture(scope="module")
def errors():
    """Return the missing package and the message of each statement, by package and statement."""
    given = json.dumps([case[:2] for case in (*IMPORTS, *STORES)])
    done = subprocess.run(
        [sys.executable, "-c", _BLOCKED],
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = map(json.loads, done.stdout.splitlines())
    return {(package, statement): (name, message) for package, statement, name, message in lines}


@pytest.mark.parametrize(("package", "statement", "extra"), IMPORTS)
def test_an_import_names_its_extra(errors, package, statement, extra):
    """An import that needs an extra raises an ImportError with the command that installs it."""
    name, message = errors[package, statement]
    assert name == package
    assert f'pip install "authguard[{extra}]"' in message


@pytest.mark.parametrize(("package", "statement", "extra"), STORES)
def test_a_store_names_its_extra(errors, package, statement, extra):
    """A store without its driver raises a ConfigurationError that is an ImportError, too."""
    name, message = errors[package, statement]
    assert name == package
    assert f'pip install "authguard[{extra}]"' in message


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement",
    [
        "from authguard.identity.storage.database import Database; Database('postgresql://localhost/test')",
        "import authguard.stores; authguard.stores.PostgresStore('postgresql://localhost/test')",
    ],
)
def test_psycopg_without_libpq_names_the_extra(statement):
    """A store whose psycopg has no libpq names the extra, which includes one."""
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
    """A missing package outside of the extras is Python's own error."""
    with pytest.raises(ModuleNotFoundError) as raised, needs_extra("fastapi"):
        import a_package_that_is_not_there  # noqa: F401
    assert type(raised.value) is ModuleNotFoundError
