"""Check that an event loop is not blocked while other code runs."""

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

BEAT = 0.005
COMPUTING = 0.05
STANDING = 0.15  # less than the delays of the servers, so that waiting in the loop is noticed


@asynccontextmanager
async def beating() -> AsyncIterator[None]:
    """Fail if the loop computes for 50 ms between two measurements, or waits in them.

    Garbage of earlier tests is collected before.

    A busy machine delays every process. So the processor time of the loop is measured, and the delays of
    another thread are subtracted from its pauses.
    """
    ended = threading.Event()
    pauses: list[float] = []
    computing: list[float] = []
    beside = [0.0]

    def control() -> None:
        while not ended.is_set():
            before = time.perf_counter()
            time.sleep(BEAT)
            beside.append(time.perf_counter() - before - BEAT)

    async def beat() -> None:
        while not ended.is_set():
            before, computed = time.perf_counter(), time.thread_time()
            await asyncio.sleep(BEAT)
            pauses.append(time.perf_counter() - before - BEAT)
            computing.append(time.thread_time() - computed)

    gc.disable()
    thread = threading.Thread(target=control, daemon=True)
    thread.start()
    heart = asyncio.create_task(beat())
    try:
        yield
    finally:
        ended.set()
        await heart
        thread.join()
        gc.enable()
    assert max(computing) <= COMPUTING, f"the loop computes for {max(computing):.3f} seconds"
    assert max(pauses) - max(beside) <= STANDING, f"the loop stands still for {max(pauses):.3f} seconds"
