"""Exclude loaded modules from garbage collection, which stay until the server ends, and collect less often.

Scanning them repeatedly would stop the event loop every few seconds under load.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

#: How many more objects there may be before the young ones are looked through. Python's 700 are those of
#: some ten requests, so that a thousand requests at a time were all looked through again and again.
YOUNG_OBJECTS = 5_000


def settle_heap() -> None:
    """Exclude all existing objects from garbage collection, and collect new ones less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])


@contextmanager
def settled_heap() -> Iterator[None]:
    """Exclude them until the end of the block."""
    before = gc.get_threshold()
    settle_heap()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
