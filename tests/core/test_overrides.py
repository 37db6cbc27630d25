"""Overrides in several threads and tasks: each thread or task has its own."""

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Thread

import pytest

from authguard import ANONYMOUS, ConfigurationError, Guard, JWTVerifier, Principal
from authguard._core.answer.decision import Allow
from authguard.drivers import run
from authguard.testing import override
from support import AUDIENCE, ISSUER, NOW, SECRET, FakeRequest, bearer, make_token


def guard(**options) -> Guard:
    """Return a guard that protects all paths."""
    return Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE), **options)


def caller(own_guard: Guard, request: FakeRequest | None = None) -> str | None:
    """Return the subject of the caller of a request; None if it is refused."""
    decision = run(own_guard.decide(request or FakeRequest("/a"), NOW))
    return decision.user.subject if isinstance(decision, Allow) else None


def in_thread(work, *arguments):
    """Return the result of a function in a thread of its own, with an empty context."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(contextvars.Context().run, work, *arguments).result()


def test_threads_that_overlap_see_their_own():
    """Each of eight threads sees its own override while all of them have one."""
    own_guard, meet = guard(), Barrier(8, timeout=10)

    def be(name):
        seen = set()
        for _ in range(5):
            with override(own_guard, Principal(name)):
                meet.wait()
                seen.add(caller(own_guard))
                meet.wait()
        return seen == {name}

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(be, map(str, range(8))))
    assert caller(own_guard) is None


def test_tasks_that_overlap_see_their_own():
    """Each task of one event loop sees its own override, although they alternate."""
    own_guard = guard()

    async def be(name):
        seen = set()
        for _ in range(5):
            with override(own_guard, Principal(name)):
                await asyncio.sleep(0)
                seen.add(caller(own_guard))
                await asyncio.sleep(0)
        return seen == {name}

    async def main():
        return await asyncio.gather(*map(be, "abcdef"))

    assert all(asyncio.run(main()))
    assert caller(own_guard) is None


def test_a_thread_without_one_sees_the_last():
    """A thread without an override sees the last one, such as the thread of a server in the test."""
    own_guard = guard()
    with override(own_guard, Principal("ann")):
        assert in_thread(caller, own_guard) == "ann"
        with override(own_guard, Principal("bob")):
            assert in_thread(caller, own_guard) == "bob"
        assert in_thread(caller, own_guard) == "ann"
    assert in_thread(caller, own_guard) is None


def test_a_thread_without_one_does_not_see_what_is_not_everywhere():
    """A thread without an override does not see one with `everywhere=False`, and needs a credential."""
    own_guard = guard()
    with override(own_guard, Principal("eve"), everywhere=False):
        assert caller(own_guard) == "eve"
        assert in_thread(caller, own_guard) is None
        assert in_thread(caller, own_guard, bearer(make_token())) == "ann"
        with override(own_guard, Principal("bob")):
            assert in_thread(caller, own_guard) == "bob"


def test_a_thread_without_one_has_users_of_the_application():
    """A thread beside an override with `everywhere=False` gets the user of `user_loader`."""
    own_guard = guard(user_loader=lambda principal: Principal(f"user {principal.subject}"))
    with override(own_guard, Principal("eve"), everywhere=False):
        assert in_thread(caller, own_guard, bearer(make_token())) == "user ann"


def test_a_guard_that_is_not_overridden_is_not_touched():
    """The override of one guard does not apply to another guard."""
    own_guard, other = guard(), guard()
    with override(own_guard, Principal("ann")):
        assert caller(other) is None
        with override(other, Principal("bob")):
            assert (caller(own_guard), caller(other)) == ("ann", "bob")


def test_a_task_sees_what_is_entered_later_around_it():
    """A connection that was opened within an override sees an override that is entered later."""
    own_guard = guard()
    with override(own_guard, Principal("ann")):
        connection = contextvars.copy_context()
        with override(own_guard, Principal("bob")):
            assert connection.run(caller, own_guard) == "bob"
        assert connection.run(caller, own_guard) == "ann"
    assert connection.run(caller, own_guard) is None


def test_a_task_does_not_see_what_another_has_entered_within_the_same():
    """Two tests within one override of the session keep their own users."""
    own_guard = guard()
    with override(own_guard, Principal("session")):
        first, second = contextvars.copy_context(), contextvars.copy_context()
        ann, bob = override(own_guard, Principal("ann")), override(own_guard, Principal("bob"))
        first.run(ann.__enter__)
        second.run(bob.__enter__)
        assert (first.run(caller, own_guard), second.run(caller, own_guard)) == ("ann", "bob")
        first.run(ann.__exit__, None, None, None)
        assert second.run(caller, own_guard) == "bob"
        second.run(bob.__exit__, None, None, None)
        assert first.run(caller, own_guard) == "session"


def test_one_that_ends_in_another_thread_has_ended():
    """An override that another thread has ended is ended in the context that entered it."""
    own_guard = guard()
    entered = override(own_guard, Principal("ann"))
    entered.__enter__()
    ending = Thread(target=entered.__exit__, args=(None, None, None))
    ending.start()
    ending.join()
    assert caller(own_guard) is None


def test_a_user_that_is_gone_is_refused():
    """An override with None as the user is a refusal."""
    own_guard = guard()
    with override(own_guard, None, principal=Principal("ann")):
        assert caller(own_guard) is None


def test_everywhere_must_be_a_flag():
    """`everywhere` must be a bool."""
    with (
        pytest.raises(ConfigurationError, match="everywhere must be"),
        override(guard(), None, everywhere="no"),
    ):
        pass


def test_a_principal_in_the_place_of_a_user_is_a_warning(caplog):
    """A principal instead of a user of the application is a warning."""
    own_guard = guard(user_loader=lambda principal: {"name": principal.subject})
    with override(own_guard, Principal("ann")):
        pass
    (line,) = caplog.messages
    assert "write override(guard, user, principal=Principal(…))" in line


@pytest.mark.parametrize("user", [ANONYMOUS, {"name": "ann"}], ids=["anonymous", "own user"])
def test_other_overrides_of_a_guard_with_users_are_no_warning(caplog, user):
    """An anonymous caller, or a user of the application, gives no warning."""
    with override(guard(user_loader=lambda principal: {"name": principal.subject}), user):
        pass
    with override(guard(), Principal("ann")):
        pass
    assert caplog.messages == []
