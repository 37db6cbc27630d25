"""What the tests with other frameworks share: they run by `make frameworks`, else they are skipped."""

import importlib.util
import os

import pytest

#: Set by `make frameworks`, where all of them must be there.
REQUIRED = "WITH_FRAMEWORKS"


def need(*modules: str) -> None:
    """Skip a module of tests where frameworks are missing; fail where they must be there."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing and os.environ.get(REQUIRED):
        raise RuntimeError(f"not installed, which `make frameworks` must have: {', '.join(missing)}")
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed; see `make frameworks`", allow_module_level=True)
