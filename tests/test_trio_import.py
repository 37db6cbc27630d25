"""A module `trio` that another thread is still importing is incomplete."""

import sys
from types import ModuleType

import pytest

from authguard.drivers.loops import running_loop, trio_run


@pytest.mark.parametrize("names", [(), ("lowlevel",)])
def test_a_module_that_is_being_imported_runs_nothing(
    monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]
) -> None:
    """An incomplete trio module is no run of trio, and no request fails."""
    half = ModuleType("trio")
    for name in names:
        setattr(half, name, ModuleType(f"trio.{name}"))
    monkeypatch.setitem(sys.modules, "trio", half)
    assert trio_run() is None
    assert running_loop() is None
