"""Fixtures of the tests of docs/coming-from: the environment of their applications."""

import pytest

from migrations.support import PASSWORD, SECRET


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET)
    monkeypatch.setenv("ANN_PASSWORD", PASSWORD)
