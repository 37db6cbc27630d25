"""Exclude loaded modules from garbage collection, because they stay until the server ends.

Scanning them repeatedly would stop the event loop every few seconds under load.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def freeze_heap() -> None:
    """Exclude all existing objects from garbage collection."""
    gc.collect()
    gc.freeze()


@contextmanager
def frozen_heap() -> Iterator[None]:
    """Exclude all existing objects from garbage collection until the end of the block."""
    freeze_heap()
    try:
        yield
    finally:
        gc.unfreeze()
