"""Keep the garbage collector from what is loaded, which stays as long as the server, and from most requests.

To look through all of it again and again would stop the event loop every few seconds under load.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

#: How many more objects there may be before the young ones are looked through. Python's 700 are those of
#: some ten requests, so that a thousand requests at a time were all looked through again and again.
YOUNG_OBJECTS = 5_000


def settle_heap() -> None:
    """Pass over all that is loaded, and look at what comes less often, from now on."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])


@contextmanager
def settled_heap() -> Iterator[None]:
    """Do so until the end of the block."""
    before = gc.get_threshold()
    settle_heap()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
