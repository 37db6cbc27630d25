"""Settings of all tests."""

import gc
from pathlib import Path

from hypothesis import settings

# No examples are kept between runs, and slow machines do not fail tests by their clock.
settings.register_profile("authguard", database=None, deadline=None, max_examples=150)
settings.load_profile("authguard")

# They wait for other processes. Begun first, none of them is the last one that a processor works on.
_WAITING = ("wire", "browser", "remote", "identity", "cli", "client")


def pytest_collection_modifyitems(items):
    """Begin with the folders whose tests take longest."""
    order = {name: place for place, name in enumerate(_WAITING)}
    here = Path(__file__).parent

    def place(item):
        folder = item.path.relative_to(here).parts[0] if item.path.is_relative_to(here) else ""
        return order.get(folder, len(order))

    items.sort(key=place)


def pytest_collection_finish(session):
    """Keep the collector of garbage from looking through thousands of collected tests again and again."""
    gc.collect()
    gc.freeze()
