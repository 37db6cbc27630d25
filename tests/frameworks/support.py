"""Skip the tests with other frameworks, unless `make frameworks` runs them."""

import importlib.util
import os

import pytest

#: Set by `make frameworks`, which requires all frameworks.
REQUIRED = "WITH_FRAMEWORKS"


def need(*modules: str) -> None:
    """Skip a module of tests if frameworks are missing; fail if they are required."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing and os.environ.get(REQUIRED):
        raise RuntimeError(f"not installed, which `make frameworks` must have: {', '.join(missing)}")
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed; see `make frameworks`", allow_module_level=True)
