"""`override` as a decorator of tests, and an override that is used several times."""

import asyncio
import contextvars
import inspect
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from flask import Flask

from authguard import ConfigurationError, Guard, JWTVerifier, Principal
from authguard.errors import InvalidTokenError
from authguard.flask import AuthGuardClient, init_app
from authguard.testing import override
from support import SECRET

ANN, BOB = Principal("ann"), Principal("bob")


class User:
    """Represent a user of an application."""


@pytest.fixture(name="guard")
def _guard() -> Guard:
    return Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None))


def caller(guard: Guard) -> str | None:
    """Return the subject of the caller; None if it is refused."""
    try:
        return guard.verify("nothing").subject
    except InvalidTokenError:
        return None


async def acaller(guard: Guard) -> str | None:
    """Return the subject of the caller in an event loop, after other tasks have run."""
    await asyncio.sleep(0)
    try:
        return (await guard.averify("nothing")).subject
    except InvalidTokenError:
        return None


def test_a_decorated_function_has_the_user(guard: Guard) -> None:
    """A decorated function has the user at each call, and only while it runs."""
    decorated = override(guard, ANN)(caller)
    assert [decorated(guard), caller(guard), decorated(guard), caller(guard)] == ["ann", None, "ann", None]


def test_a_decorated_async_function_has_the_user(guard: Guard) -> None:
    """A decorated `async` function has the user while it is awaited, and not before or after."""
    decorated = override(guard, ANN)(acaller)
    assert inspect.iscoroutinefunction(decorated)

    async def main() -> list[str | None]:
        waiting = decorated(guard)
        before = await acaller(guard)
        return [before, await waiting, await acaller(guard), await decorated(guard)]

    assert asyncio.run(main()) == [None, "ann", None, "ann"]


def test_a_decorated_method_has_the_user(guard: Guard) -> None:
    """A decorated method of a class of tests gets its instance."""

    class Tests:
        @override(guard, ANN)
        def one(self) -> tuple[bool, str | None]:
            return isinstance(self, Tests), caller(guard)

    assert Tests().one() == (True, "ann")


def test_a_decorated_function_keeps_its_signature(guard: Guard) -> None:
    """A decorated test keeps its name and parameters, by which pytest finds fixtures."""
    for function in (caller, acaller):
        decorated = override(guard, ANN)(function)
        assert inspect.signature(decorated) == inspect.signature(function)
        assert decorated.__name__ == function.__name__


def test_a_decorated_function_that_raises_ends_the_override(guard: Guard) -> None:
    """An exception of a decorated function is raised, and the override has ended."""

    @override(guard, ANN)
    def fail() -> None:
        raise LookupError("of the test")

    @override(guard, ANN)
    async def afail() -> None:
        raise LookupError("of the test")

    for call in (fail, lambda: asyncio.run(afail())):
        with pytest.raises(LookupError, match="of the test"):
            call()
        assert caller(guard) is None


def test_one_override_is_entered_again(guard: Guard) -> None:
    """An override is entered again after it has ended, and while it is entered."""
    ann = override(guard, ANN)
    for _ in range(2):
        with ann:
            with ann, override(guard, BOB):
                assert caller(guard) == "bob"
            assert caller(guard) == "ann"
        assert caller(guard) is None


def test_threads_share_one_override(guard: Guard) -> None:
    """Each thread that enters a shared override ends its own part of it."""
    ann, meet = override(guard, ANN, everywhere=False), Barrier(2, timeout=10)

    def first() -> str | None:
        with ann:
            meet.wait()
            meet.wait()
        meet.wait()
        return caller(guard)

    def second() -> str | None:
        meet.wait()
        with ann:
            meet.wait()
            meet.wait()
            return caller(guard)

    with ThreadPoolExecutor(2) as pool:
        results = [pool.submit(contextvars.Context().run, work) for work in (first, second)]
        assert [result.result() for result in results] == [None, "ann"]
    assert caller(guard) is None


def test_a_shared_override_ends_in_another_context(guard: Guard) -> None:
    """An override that was entered in one context and ended in another has ended."""
    ann = override(guard, ANN)
    contextvars.Context().run(ann.__enter__)
    assert caller(guard) == "ann"
    contextvars.Context().run(ann.__exit__, None, None, None)
    assert caller(guard) is None


def generator() -> Iterator[None]:
    """Yield once, as a fixture does."""
    yield


async def async_generator() -> AsyncIterator[None]:
    """Yield once, as an `async` fixture does."""
    yield


@pytest.mark.parametrize(
    ("decorated", "says"),
    [
        (User, "got the class User: write it above each test"),
        (ANN, "got Principal: write it above each test"),
        (generator, "got a generator: write with override"),
        (async_generator, "got a generator: write with override"),
    ],
    ids=["class", "object", "generator", "async generator"],
)
def test_only_functions_that_return_are_decorated(guard: Guard, decorated: Any, says: str) -> None:
    """A class or a generator is not decorated, because its code would run without the override."""
    with pytest.raises(ConfigurationError, match=f"^override must decorate a function.*{says}"):
        override(guard, ANN)(decorated)


@pytest.mark.parametrize("of_guard", [False, True], ids=["authguard.testing", "Guard.override"])
@pytest.mark.parametrize(
    ("user", "says"),
    [
        (None, r"got None: write override\(guard, Principal\(…\)\)"),
        (User, r"got the class User: write override\(guard, User\(…\)\)"),
    ],
    ids=["None", "class"],
)
def test_a_user_is_an_object(guard: Guard, user: Any, says: str, of_guard: bool) -> None:
    """A missing user, such as one that a look-up did not find, and a class are refused by name."""
    with pytest.raises(ConfigurationError, match=f"^user must be a user object, {says}"):
        guard.override(user) if of_guard else override(guard, user)


def test_the_user_of_a_test_client_is_an_object(guard: Guard) -> None:
    """A class as the user of Flask's test client is refused by name."""
    app = Flask("app")
    init_app(app, guard)
    app.test_client_class = AuthGuardClient
    with pytest.raises(
        ConfigurationError, match=r"the class User: write app\.test_client\(user=User\(…\)\)$"
    ):
        app.test_client(user=User)
