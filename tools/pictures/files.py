"""Find the modules that make pictures."""

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"


def makers(*, with_browser: bool = True) -> dict[str, ModuleType]:
    """Return the modules of this folder that make pictures, by their names.

    Args:
        with_browser: whether to include modules whose pictures need a browser.
    """
    names = [
        each.name for each in pkgutil.iter_modules([str(Path(__file__).parent)]) if each.name != "__main__"
    ]
    modules = {name: importlib.import_module(f"tools.pictures.{name}") for name in sorted(names)}
    return {
        name: module
        for name, module in modules.items()
        if hasattr(module, "pictures") and (with_browser or not getattr(module, "NEEDS_BROWSER", False))
    }
