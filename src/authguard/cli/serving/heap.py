"""Exclude loaded modules, which stay until the server ends, from garbage collection, and collect less often.

Scanning them repeatedly would stop the event loop every few seconds under load.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

#: The number of new objects after which Python scans the young ones. Python's default of 700 is reached after
#: about ten requests, so the objects of a thousand simultaneous requests would be scanned repeatedly.
YOUNG_OBJECTS = 5_000


def settle_heap() -> None:
    """Exclude all existing objects from garbage collection, and collect new ones less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])


@contextmanager
def settled_heap() -> Iterator[None]:
    """Exclude existing objects from garbage collection until the end of the block."""
    before = gc.get_threshold()
    settle_heap()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
