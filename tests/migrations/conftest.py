"""Provide the environment of the applications of docs/coming-from."""

import pytest

from migrations.support import PASSWORD, SECRET


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET)
    monkeypatch.setenv("ANN_PASSWORD", PASSWORD)
