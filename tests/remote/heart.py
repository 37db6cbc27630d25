"""The heart of an event loop: whether it goes on beating while something else happens."""

import asyncio
import threading
import time
from contextlib import asynccontextmanager

BEAT = 0.005
LONGEST = 0.05


@asynccontextmanager
async def beating(longest=LONGEST):
    """Fail if the loop stands still for longer than 50 ms.

    A machine that has more to do stops everybody: the pauses of a thread beside the loop are
    taken off, and what the loop itself computes between two beats is measured by its own time.
    """
    ended = threading.Event()
    pauses, computing, beside = [], [], [0.0]

    def control():
        while not ended.is_set():
            before = time.perf_counter()
            time.sleep(BEAT)
            beside.append(time.perf_counter() - before - BEAT)

    async def beat():
        while not ended.is_set():
            before, computed = time.perf_counter(), time.thread_time()
            await asyncio.sleep(BEAT)
            pauses.append(time.perf_counter() - before - BEAT)
            computing.append(time.thread_time() - computed)

    thread = threading.Thread(target=control, daemon=True)
    thread.start()
    heart = asyncio.create_task(beat())
    try:
        yield
    finally:
        ended.set()
        await heart
        thread.join()
    assert max(computing) <= longest, f"the loop computes for {max(computing):.3f} seconds"
    assert max(pauses) - max(beside) <= longest, f"the loop stands still for {max(pauses):.3f} seconds"
