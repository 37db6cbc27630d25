"""A list of the handlers that ran, which none may for a preflight."""

import pytest


@pytest.fixture(autouse=True)
def ran() -> list[str]:
    return []
