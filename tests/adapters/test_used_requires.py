"""A result of `requires` that another part of a function uses is a check, and not thrown away."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.testclient import TestClient

from adapters.callers import ADMIN, READER, field, guarded
from adapters.faces import ask_asgi
from authguard import ConfigurationError
from authguard.fastapi import requires


async def handler(request: Request) -> str:
    """Return a text to those who may see it."""
    return "secret"


async def decorator(request: Request) -> str:
    """Decorate a function inside."""
    check = requires("admin")

    @check
    async def inner(request: Request) -> str:
        return "secret"

    return await inner(request)


async def closure(request: Request) -> str:
    """Use the check in a function inside."""
    check = requires("admin")

    async def go() -> str:
        return str(await check(handler)(request))

    return await go()


async def anonymous(request: Request) -> str:
    """Use the check in a lambda."""
    check = requires("admin")
    go = lambda: check(handler)(request)  # noqa: E731
    return str(await go())


async def inner_class(request: Request) -> str:
    """Use the check in a class inside."""
    check = requires("admin")

    class View:
        get = staticmethod(check(handler))

    return str(await View.get(request))


async def default_value(request: Request) -> str:
    """Use the check as default value of a function inside."""
    check = requires("admin")

    async def go(around: Any = check) -> str:
        return str(await around(handler)(request))

    return await go()


async def asserted(request: Request) -> str:
    """Assert the check before its use."""
    check = requires("admin")
    assert check
    return str(await check(handler)(request))


async def in_condition(request: Request) -> str:
    """Test the check before its use."""
    check = requires("admin")
    if check and request:
        return str(await check(handler)(request))
    return ""


async def negated(request: Request) -> str:
    """Test the check first of one branch, then of another."""
    check = None
    if request.method == "GET":
        check = requires("admin")
    elif not check:
        check = requires("read")
    return str(await check(handler)(request)) if check else ""


async def alternative(request: Request) -> str:
    """Use the check or another one."""
    check = requires("admin")
    chosen = check or requires("read")
    return str(await chosen(handler)(request))


CACHE: dict[str, Any] = {}
LAST: Any = None


async def item(request: Request) -> str:
    """Store the check in a dictionary, too."""
    kept = CACHE["admin"] = requires("admin")  # noqa: F841
    return str(await CACHE["admin"](handler)(request))


async def attribute(request: Request) -> str:
    """Store the check in an attribute, too."""
    kept = request.state.check = requires("admin")  # noqa: F841
    return str(await request.state.check(handler)(request))


async def two_names(request: Request) -> str:
    """Give the check two names, and use one."""
    first = second = requires("admin")  # noqa: F841
    return str(await second(handler)(request))


async def through_global(request: Request) -> str:
    """Store the check in a global variable, which another function uses."""
    global LAST  # noqa: PLW0603
    LAST = requires("admin")
    return await by_last(request)


async def by_last(request: Request) -> str:
    """Use the check that another function has stored."""
    return str(await LAST(handler)(request))


def made() -> Any:
    """Return an endpoint that shares a variable with another function."""
    check: Any = None

    async def through_nonlocal(request: Request) -> str:
        nonlocal check
        check = requires("admin")
        return await go(request)

    async def go(request: Request) -> str:
        return str(await check(handler)(request))

    return through_nonlocal


USED = [
    decorator,
    closure,
    anonymous,
    inner_class,
    default_value,
]
USED += [item, attribute, two_names, through_global, made()]


@pytest.mark.parametrize("endpoint", USED)
def test_a_check_that_any_part_of_a_function_uses_is_no_fault(endpoint: Any) -> None:
    """The application starts, and only an admin passes the endpoint."""
    app = FastAPI()
    app.get("/page")(endpoint)
    with TestClient(guarded(app)):
        pass
    answers = [ask_asgi(app, "GET", "/page", [field(token)]) for token in (READER, ADMIN)]
    assert [answer.status for answer in answers] == [403, 200]
    assert b"secret" in answers[1].body


@pytest.mark.parametrize("dependency", USED)
def test_the_same_in_a_dependency_is_no_fault(dependency: Any) -> None:
    """The application starts, and only an admin passes the dependency."""
    app = FastAPI()
    app.get("/page", dependencies=[Depends(dependency)])(lambda: "in")
    with TestClient(guarded(app)):
        pass
    assert [ask_asgi(app, "GET", "/page", [field(token)]).status for token in (READER, ADMIN)] == [403, 200]


@pytest.mark.parametrize("endpoint", [asserted, in_condition, negated, alternative])
def test_a_check_that_is_tested_and_used_is_an_error_when_it_runs(endpoint: Any) -> None:
    """A test for truth refuses the request, even if the function uses the check afterwards."""
    app = FastAPI()
    app.get("/page")(endpoint)
    with pytest.raises(ConfigurationError, match=r"^requires\('admin'\) must .*, got a test for truth"):
        ask_asgi(guarded(app), "GET", "/page", [field(ADMIN)])


def only_tested(request: Request) -> bool:
    """Test the check twice, and use it nowhere."""
    check = requires("admin")
    assert check
    return bool(request) and not check


def inner_tested(request: Request) -> Callable[[], bool]:
    """Test the check in a function inside."""
    check = requires("admin")

    def go() -> bool:
        assert check
        return True

    return go


def part_of_test(request: Request) -> str:
    """Test the check together with other values."""
    check = requires("admin")
    if request and (check or request.method):
        return "secret"
    return ""


def two_unused(request: Request) -> str:
    """Give the check two names, and use none."""
    first = second = requires("admin")  # noqa: F841
    return "secret"


def replaced(request: Request) -> str:
    """Replace the check by another one, and use none."""
    check = requires("admin")
    check = None  # noqa: F841
    return "secret"


@pytest.mark.parametrize("endpoint", [only_tested, inner_tested, part_of_test, two_unused, replaced])
@pytest.mark.parametrize("place", ["endpoint", "dependency"])
def test_a_check_that_all_parts_only_test_does_not_start(endpoint: Any, place: str) -> None:
    """The application does not start if no part of the function uses the check."""
    app = FastAPI()
    add = partial(app.get, "/wrong", response_model=None)
    if place == "endpoint":
        add()(endpoint)
    else:
        add(dependencies=[Depends(endpoint)])(lambda: "in")
    words = (
        rf"^the function {endpoint.__name__} of the route /wrong must use .*write @requires\('admin'\) above"
    )
    with pytest.raises(ConfigurationError, match=words), TestClient(guarded(app)):
        pass
