"""Threads for event loops: results, errors, cancellation, and the end."""

import asyncio
import gc
import os
import threading
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from authguard.identity.errors import StoreUnavailableError
from authguard.identity.web.threads import MAX_WAIT_SECONDS, Batcher, Threads


@pytest.fixture
def threads():
    made = Threads(2, "test")
    yield made
    made.close()


def test_function_runs_in_a_thread(threads):
    """A function runs in a thread of the pool, and its result is returned to the loop."""
    name = asyncio.run(threads.run(lambda: threading.current_thread().name))
    assert name == "test-0"


def test_error_comes_back(threads):
    """An error of the function is raised where its result is awaited."""
    with pytest.raises(ZeroDivisionError):
        asyncio.run(threads.run(lambda: 1 // 0))


def test_no_more_threads_than_were_asked_for(threads):
    """A pool of two threads uses no more than two for any number of jobs."""

    async def main():
        names = [threads.run(lambda: threading.current_thread().name) for _ in range(50)]
        return set(await asyncio.gather(*names))

    assert asyncio.run(main()) <= {"test-0", "test-1"}


def test_several_loops_use_them(threads):
    """Several loops use the same threads, one after the other."""
    assert [asyncio.run(threads.run(partial(int, number))) for number in range(3)] == [0, 1, 2]


def test_work_that_nobody_waits_for_is_not_begun():
    """A job that is cancelled while it waits is not begun."""
    threads, done, go = Threads(1, "test"), [], threading.Event()

    async def main():
        first = asyncio.create_task(threads.run(go.wait))
        second = asyncio.create_task(threads.run(lambda: done.append(2)))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        go.set()
        await first

    asyncio.run(main())
    threads.close()
    assert done == []


def test_work_that_has_begun_is_finished():
    """A job that is cancelled while it runs is finished, and its thread does the next job."""
    threads, done, begun, go = Threads(1, "test"), [], threading.Event(), threading.Event()

    def work():
        begun.set()
        go.wait()
        done.append(1)

    async def main():
        task = asyncio.create_task(threads.run(work))
        await asyncio.sleep(0)
        begun.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    go.set()
    asyncio.run(threads.run(lambda: done.append(2)))
    threads.close()
    assert done == [1, 2]


def test_close_waits_for_what_was_asked_for():
    """`close` waits for the jobs that were accepted before."""
    threads, done = Threads(1, "test"), []

    async def main():
        tasks = [asyncio.create_task(threads.run(lambda n=n: done.append(n))) for n in range(5)]
        await asyncio.sleep(0)
        threads.close()
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert done == [0, 1, 2, 3, 4]


def test_there_is_no_work_after_the_end(threads):
    """After `close` a job is refused."""
    threads.close()
    with pytest.raises(RuntimeError, match="accepts no more work"):
        asyncio.run(threads.run(int))


@pytest.mark.slow
def test_idle_thread_keeps_nothing():
    """An idle thread keeps no reference to a finished job, which may have a password."""
    threads, gone = Threads(1, "test"), threading.Event()

    class Secret:
        def work(self):
            return None

    secret = Secret()
    weakref.finalize(secret, gone.set)
    asyncio.run(threads.run(secret.work))
    del secret
    gc.collect()
    assert gone.wait(2)
    threads.close()


def answers_to(questions, *, threads=None, max_batch=50, answer=None):
    """Ask all questions while the only thread is busy; return the answers, and the questions of each call."""
    threads, calls, go = threads or Threads(1, "test"), [], threading.Event()

    def note(batch):
        calls.append(batch)
        return answer(batch) if answer else [question * 2 for question in batch]

    together = Batcher(threads, note, max_batch)

    async def main():
        busy = asyncio.create_task(threads.run(go.wait))
        asks = [asyncio.create_task(together.ask(question)) for question in questions]
        await asyncio.sleep(0)
        for question, task in zip(questions, asks, strict=True):
            if question == "cancelled":
                task.cancel()
        go.set()
        await busy
        return await asyncio.gather(*asks, return_exceptions=True)

    answers = asyncio.run(main())
    threads.close()
    return answers, calls


def test_those_who_ask_together_are_answered_by_one_call():
    """Questions that wait together are answered by one call."""
    assert answers_to([1, 2, 3]) == ([2, 4, 6], [[1, 2, 3]])


def test_one_call_has_no_more_questions_than_it_should():
    """A call has at most `max_batch` questions, and the next call has the others."""
    assert answers_to([1, 2, 3], max_batch=2) == ([2, 4, 6], [[1, 2], [3]])


def test_error_among_answers_is_for_one():
    """An answer that is an error is raised for its own question only."""
    answers, _ = answers_to([1, 2], answer=lambda questions: [ValueError("one"), 4])
    assert isinstance(answers[0], ValueError)
    assert answers[1] == 4


def test_error_of_the_call_is_for_all():
    """An error of the call is raised for all its questions."""
    answers, _ = answers_to([1, 2], answer=lambda questions: 1 // 0)
    assert [type(answer) for answer in answers] == [ZeroDivisionError] * 2


def test_question_of_one_who_has_gone_is_not_asked():
    """A question that is cancelled while it waits is left out of the call."""
    answers, calls = answers_to([1, "cancelled", 2])
    assert isinstance(answers[1], asyncio.CancelledError)
    assert calls == [[1, 2]]


def test_question_after_the_end_is_refused(threads):
    """After `close` a question is refused."""
    threads.close()
    with pytest.raises(RuntimeError, match="accepts no more work"):
        asyncio.run(Batcher(threads, list, 50).ask(1))


def test_several_loops_ask_together(threads):
    """Two loops with one batcher each get the answers to their own questions."""
    both = threading.Barrier(2)

    def answer(questions):
        both.wait(5)  # until the other loop has asked as well
        return [question * 2 for question in questions]

    batcher = Batcher(threads, answer, max_batch=1)
    results = {}
    asking = [
        threading.Thread(target=lambda n=n: results.update({n: asyncio.run(batcher.ask(n))})) for n in (1, 2)
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert results == {1: 2, 2: 4}


def test_idle_thread_keeps_no_question():
    """An idle thread keeps no reference to an answered question, also after an error."""
    threads, gone = Threads(1, "test"), threading.Event()

    class Secret:
        pass

    def fail(questions):
        raise ValueError(len(questions))

    async def main(secret):
        with pytest.raises(ValueError, match="1"):
            await Batcher(threads, fail, 50).ask(secret)

    secret = Secret()
    weakref.finalize(secret, gone.set)
    asyncio.run(main(secret))
    del secret
    for _ in range(200):  # the thread may have a step left
        gc.collect()
        if gone.wait(0.01):
            break
    assert gone.is_set()
    threads.close()


class Held:
    """A single thread that is busy until a test frees it."""

    def __init__(self, **options):
        self.now, self.go, self.begun = 0.0, threading.Event(), threading.Event()
        self.threads = Threads(1, "test", clock=lambda: self.now, **options)

    def hold(self):
        """Wait in the thread."""
        self.begun.set()
        self.go.wait()

    async def begin(self):
        """Make the thread busy."""
        task = asyncio.create_task(self.threads.run(self.hold))
        await asyncio.sleep(0)
        self.begun.wait()
        return task


def test_a_full_queue_takes_no_more():
    """A job beyond the queue is refused at once, and the jobs before it are done."""
    held = Held(max_waiting=3)

    async def main():
        first = await held.begin()
        waiting = [asyncio.create_task(held.threads.run(int)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailableError, match="3 jobs wait already"):
            await held.threads.run(int)
        held.go.set()
        await first
        return await asyncio.gather(*waiting)

    assert asyncio.run(main()) == [0, 0, 0]
    held.threads.close()


def test_a_job_that_waited_too_long_is_not_begun():
    """A job that has waited for too long is refused, and not begun."""
    held, done = Held(), []

    async def main():
        first = await held.begin()
        late = asyncio.create_task(held.threads.run(lambda: done.append(1)))
        await asyncio.sleep(0)
        held.now = MAX_WAIT_SECONDS
        held.go.set()
        await first
        with pytest.raises(StoreUnavailableError, match="without a turn"):
            await late

    asyncio.run(main())
    held.threads.close()
    assert done == []


def test_a_question_that_waited_too_long_is_not_put():
    """Of questions that are answered together, only one that has waited for too long is refused."""
    held, put = Held(), []

    def answer(questions):
        put.extend(questions)
        return questions

    together = Batcher(held.threads, answer, 10)

    async def main():
        first = await held.begin()
        late = asyncio.create_task(together.ask("late"))
        await asyncio.sleep(0)
        held.now = MAX_WAIT_SECONDS
        early = asyncio.create_task(together.ask("early"))
        await asyncio.sleep(0)
        held.go.set()
        await first
        return await asyncio.gather(late, early, return_exceptions=True)

    late, early = asyncio.run(main())
    held.threads.close()
    assert isinstance(late, StoreUnavailableError)
    assert (early, put) == ("early", ["early"])


def test_questions_beyond_the_queue_are_refused():
    """Questions beyond the queue are refused."""
    held = Held(max_waiting=2)
    together = Batcher(held.threads, lambda questions: questions, 10)

    async def main():
        first = await held.begin()
        tasks = [asyncio.create_task(together.ask(number)) for number in range(4)]
        await asyncio.sleep(0)
        held.go.set()
        await first
        return await asyncio.gather(*tasks, return_exceptions=True)

    answers = asyncio.run(main())
    held.threads.close()
    assert answers[:2] == [0, 1]
    assert all(isinstance(answer, StoreUnavailableError) for answer in answers[2:])


def test_answered_questions_leave_no_jobs_in_the_queue():
    """Six callers, of whom some ask while others are answered, are never refused by a queue of ten."""
    threads, begun, answered = Threads(1, "test", max_waiting=10), *(threading.Semaphore(0) for _ in range(2))

    def answer(questions):
        begun.release()
        answered.acquire()
        return questions

    together = Batcher(threads, answer, 10)

    async def ask(number):
        tasks = [asyncio.create_task(together.ask("question")) for _ in range(number)]
        await asyncio.sleep(0)
        return tasks

    async def main():
        asking = await ask(1)
        begun.acquire()
        asking += await ask(5)
        for _ in range(50):
            answered.release()
            begun.acquire()  # the callers of a batch ask again while the next batch is answered
            done, waiting = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
            assert {task.exception() for task in done} == {None}
            asking = [*waiting, *await ask(len(done))]
        answered.release(50)
        await asyncio.gather(*asking)

    asyncio.run(main())
    threads.close()


def test_a_child_process_begins_without_the_questions_of_its_parent():
    """A process that is forked while questions wait answers its own questions."""
    held = Held()
    together = Batcher(held.threads, lambda questions: questions, 10)

    async def main():
        first = await held.begin()
        task = asyncio.create_task(together.ask("parent"))
        await asyncio.sleep(0)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # later versions warn of threads before a fork
            child = os.fork()
        if child == 0:
            os._exit(0 if ask_in_child() == "child" else 1)
        _, status = os.waitpid(child, 0)
        held.go.set()
        await first
        return status, await task

    def ask_in_child():
        with ThreadPoolExecutor(1) as executor:  # a thread has no running loop
            return executor.submit(lambda: asyncio.run(together.ask("child"))).result(10)

    assert asyncio.run(main()) == (0, "parent")
    held.threads.close()


@pytest.mark.slow
def test_questions_that_are_refused_are_not_kept():
    """Refused questions beyond the queue are not kept in memory."""
    held = Held(max_waiting=2)
    together = Batcher(held.threads, lambda questions: questions, 10)

    async def main():
        first = await held.begin()
        kept = [Question() for _ in range(50)]
        tasks = [asyncio.create_task(together.ask(question)) for question in kept]
        references = [weakref.ref(question) for question in kept[2:]]
        del kept
        refused = await asyncio.gather(*tasks[2:], return_exceptions=True)
        assert all(isinstance(each, StoreUnavailableError) for each in refused)
        del refused, tasks[2:]
        await asyncio.sleep(0)
        gc.collect()
        remaining = [reference for reference in references if reference()]
        held.go.set()
        await first
        await asyncio.gather(*tasks[:2])
        return remaining

    assert asyncio.run(main()) == []
    held.threads.close()


class Question:
    """A question that can be referred to weakly."""
