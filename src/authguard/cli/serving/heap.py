"""Keep the garbage collector from what is loaded, which stays as long as the server.

To look through it again and again would stop the event loop every few seconds under load.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def freeze_heap() -> None:
    """Pass over all that is loaded, from now on."""
    gc.collect()
    gc.freeze()


@contextmanager
def frozen_heap() -> Iterator[None]:
    """Pass over all that is loaded, until the end of the block."""
    freeze_heap()
    try:
        yield
    finally:
        gc.unfreeze()
