"""The heart of an event loop: whether it goes on beating while something else happens."""

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

BEAT = 0.005
COMPUTING = 0.05
STANDING = 0.15  # less than what servers make us wait for, so that to wait in the loop is seen


@asynccontextmanager
async def beating() -> AsyncIterator[None]:
    """Fail if the loop computes for 50 ms between two beats, or waits in them.

    The garbage of the tests before is none of the loop's business.

    A machine that has more to do stops everybody: so what the loop computes is measured by its own
    time, and of its pauses those of a thread beside it are taken off.
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
