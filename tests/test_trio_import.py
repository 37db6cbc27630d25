"""A library may import trio in one thread while another answers requests: half of the module is there."""

import sys
from types import ModuleType

import pytest

from authguard.drivers.loops import running_loop, trio_run


@pytest.mark.parametrize("names", [(), ("lowlevel",)])
def test_a_module_that_is_being_imported_runs_nothing(
    monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]
) -> None:
    """No run of trio can be under way, and no request fails for it."""
    half = ModuleType("trio")
    for name in names:
        setattr(half, name, ModuleType(f"trio.{name}"))
    monkeypatch.setitem(sys.modules, "trio", half)
    assert trio_run() is None
    assert running_loop() is None
