"""Provide a list of the handlers that ran; none may run for a preflight."""

import pytest


@pytest.fixture(autouse=True)
def ran() -> list[str]:
    return []
