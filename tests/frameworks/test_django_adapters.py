"""Django passes the tests of the adapters, which run with a Django project instead of each adapter."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from frameworks.support import need

need("django", "corsheaders", "rest_framework")

pytestmark = pytest.mark.frameworks

TESTS = Path(__file__).parents[1]
FILES = (
    "adapters/test_backchannel_of_guard.py",
    "adapters/test_bare_challenge.py",
    "adapters/test_bound_tokens.py",
    "adapters/test_failures.py",
    "adapters/test_mounts.py",
    "adapters/test_quota_refusals.py",
    "adapters/test_quotas.py",
    "adapters/test_token_fields.py",
    "vectors/test_path_attacks.py",
    "vectors/test_redirect_attacks.py",
)


#: Without a test of a dependency of FastAPI, which refuses before the decorator does.
_CHOSEN = "not websocket and not (test_the_challenge_of_a_decorator_is_bare and fastapi)"


def test_of_the_adapters() -> None:
    """Each test of these files passes on WSGI and ASGI, without websockets, which Django does not serve."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "frameworks.django_faces",
        "-p",
        "no:cacheprovider",
    ]
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [*command, "--tb=short", "-k", _CHOSEN, *(str(TESTS / file) for file in FILES)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
