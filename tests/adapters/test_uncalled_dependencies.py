"""A dependency of FastAPI that only creates or returns the check is an error."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Security
from starlette.requests import Request
from starlette.testclient import TestClient

import authguard.fastapi
import authguard.starlette
from adapters.callers import ADMIN, READER, field, guarded
from adapters.faces import ask_asgi
from authguard import ConfigurationError
from authguard.fastapi import CurrentUser, current_user, requires

ADMINS = requires("admin")


class Admin:
    """Check the caller when it is called."""

    @requires("admin")
    async def __call__(self, request: Request) -> str:
        """Return a text."""
        return "in"


class Derived(Admin):
    """Inherit the check."""


class Both:
    """Check the caller when it is created, too."""

    @requires("admin")
    def __init__(self, request: Request) -> None:
        pass

    @requires("admin")
    def __call__(self, request: Request) -> None:
        """Do nothing."""


class Maker:
    """Return the check when it is called."""

    def __call__(self) -> Any:
        """Return the check."""
        return requires("admin")


def place(where: str, dependency: Any) -> FastAPI:
    """Return an application with a dependency."""
    app, router = guarded(FastAPI()), APIRouter()
    marker = Depends(dependency)

    async def nested(value: Any = marker) -> None: ...

    async def endpoint(value: Any = {"parameter": marker, "nested": Depends(nested)}.get(where)) -> str:
        return "secret"

    router.get("/wrong", dependencies=[marker] if where == "decorator" else [])(endpoint)
    app.include_router(router, dependencies=[marker] if where == "router" else [])
    return app


@pytest.mark.parametrize("where", ["parameter", "nested", "decorator", "router"])
@pytest.mark.parametrize("kind", [Admin, Derived])
def test_a_class_whose_objects_would_check_the_caller(kind: type, where: str) -> None:
    """`Depends(Admin)` creates an object, and nothing calls it."""
    app = place(where, kind)
    words = rf"^a dependency of the route /.* got the class {kind.__name__}, .*write Depends\({kind.__name__}\(\)\)"
    with pytest.raises(ConfigurationError, match=words), TestClient(app):
        pass
    with pytest.raises(ConfigurationError, match=words):
        ask_asgi(app, "GET", "/wrong", [field(READER)])


def test_a_class_in_an_annotation() -> None:
    """`Annotated[Admin, Depends()]` is the same fault."""
    app = guarded(FastAPI())

    @app.get("/wrong")
    async def _view(admin: Annotated[Admin, Depends()]) -> str:
        return "secret"

    with pytest.raises(ConfigurationError, match="/wrong .*got the class Admin"):
        ask_asgi(app, "GET", "/wrong", [field(READER)])


def name_of(value: Any) -> str:
    """Return the name of a dependency, for the names of tests."""
    return getattr(value, "__name__", type(value).__name__ if callable(value) else str(value))


def returned() -> Any:
    """Return the check."""
    return requires("admin")


async def returned_later() -> Any:
    """Return the check, with another name of the module."""
    return authguard.fastapi.requires("admin", roles=["ADMIN"])


def returned_of_starlette() -> Any:
    """Return the check of Starlette."""
    return authguard.starlette.requires("admin")


def returned_constant() -> Any:
    """Return a check that the module has."""
    return ADMINS


def returned_variable(strict: bool = True) -> Any:
    """Return a check by a variable."""
    check = requires("admin") if strict else requires("read")
    assert check is not None
    return check


def returned_branch(strict: bool = True) -> Any:
    """Return one of two checks."""
    return requires("admin") if strict else None


def returned_list() -> Any:
    """Return a list with the check."""
    return [requires("read"), requires("admin")]


def returned_default(check: Any = None) -> Any:
    """Return the check if another one is missing."""
    return check or requires("admin")


CHECKS = {"admin": requires("admin")}


def returned_item(name: str = "admin") -> Any:
    """Return a check of a dictionary."""
    return CHECKS[name]


def applied_item(request: Request) -> Any:
    """Apply a check of a dictionary."""
    return CHECKS["admin"](plain)(request)


def returned_by_helper() -> Any:
    """Return the check that another function returns."""
    return returned()


async def returned_by_helpers() -> Any:
    """Return the check that a function returns whose result another function returns."""
    return await returned_by_helper_later()


async def returned_by_helper_later() -> Any:
    """Return the check that another function returns later."""
    return await returned_later()


class Holder:
    """Hold the check, and return it."""

    shared = ADMINS

    def __init__(self) -> None:
        self.check = requires("admin")

    def __call__(self) -> Any:
        """Return the check of the object."""
        return self.check

    def of_class(self) -> Any:
        """Return the check of the class."""
        return self.shared


class Methods(Holder):
    """Return the check by a method."""

    def __call__(self) -> Any:
        """Return the check that another method returns."""
        return self.of_class()


def yielded() -> Iterator[Any]:
    """Yield the check."""
    yield requires("admin")


LAMBDAS = [lambda: requires("admin")]


@pytest.mark.parametrize(
    "dependency",
    [
        returned, returned_later, returned_of_starlette, returned_constant, returned_variable, returned_branch, yielded, *LAMBDAS,
        returned_list, returned_default, returned_by_helper, returned_by_helpers, returned_item,
        Holder(), Holder().of_class, Methods(), Maker(), Maker().__call__, functools.partial(returned),
    ],
    ids=name_of,
)  # fmt: skip
def test_a_function_that_returns_the_check(dependency: Any) -> None:
    """`Depends(admin_only)` calls the function, and nothing calls the check that it returns."""
    app = place("decorator", dependency)
    words = r"^a dependency of the route /wrong .*which returns .*write Depends\(.+\)$"
    with pytest.raises(ConfigurationError, match=words):
        ask_asgi(app, "GET", "/wrong", [field(READER)])


def test_a_closure_that_returns_the_check() -> None:
    """A function may find the check in the function around it."""
    checks = requires("admin")

    def check() -> Any:
        return checks

    with pytest.raises(ConfigurationError, match=r"write Depends\(checks\)"):
        ask_asgi(place("router", check), "GET", "/wrong", [field(READER)])


def plain(request: Request) -> str:
    """Return a text."""
    return "in"


def used_inside(request: Request) -> str:
    """Use the check itself."""

    def inner() -> Any:
        return requires("admin")

    assert inner is not None
    return str(authguard.starlette.requires("admin")(plain)(request))


class Uses:
    """Hold a check, and apply it."""

    def __init__(self) -> None:
        self.check = requires("admin")

    def __call__(self, request: Request) -> Any:
        """Call a function that the check guards."""
        return self.applied()(request)

    def applied(self) -> Any:
        """Return a guarded function."""
        return self.check(plain)


def shadowed(request: Request, returned: Any = None) -> Any:
    """Return a result by an argument that has the name of a function."""
    return returned


def without_source() -> Any:
    """Return a function without a source."""
    names: dict[str, Any] = {"requires": requires}
    exec("def check(): return requires('admin')", names)  # noqa: S102
    return names["check"]


@pytest.mark.parametrize(
    ("dependency", "statuses"),
    [
        (Admin(), [403, 200]),
        (Both, [403, 200]),
        (requires("admin"), [403, 200]),
        (used_inside, [403, 200]),
        (Uses(), [403, 200]),
        (applied_item, [403, 200]),
        (shadowed, [200, 200]),
        (plain, [200, 200]),
        (without_source(), [200, 200]),
    ],
    ids=name_of,
)
def test_other_dependencies_start(dependency: Any, statuses: list[int]) -> None:
    """Objects, guarded constructors and functions that use the check are no fault."""
    app = place("decorator", dependency)
    assert [ask_asgi(app, "GET", "/wrong", [field(token)]).status for token in (READER, ADMIN)] == statuses


def returns_user() -> Any:
    """Return the dependency itself."""
    return current_user


def returns_marker() -> Any:
    """Return a marker, as in a list of dependencies."""
    return Depends(requires("admin"))


def yields_marker() -> Any:
    """Yield a marker with scopes."""
    yield Security(current_user, scopes=["admin"])


@pytest.mark.parametrize("dependency", [returns_user, returns_marker, yields_marker, lambda: current_user])
def test_a_dependency_that_returns_a_marker_guards_nothing(dependency: Any) -> None:
    """A dependency that returns `current_user`, `Depends(…)` or `Security(…)` is an error at the start."""
    app = FastAPI()
    app.add_api_route("/x", lambda: "secret", dependencies=[Depends(dependency)])
    with pytest.raises(ConfigurationError, match="FastAPI does not call that"), TestClient(guarded(app)):
        pass


def same_name(current_user: CurrentUser) -> Any:
    """Return a parameter with the name of the dependency."""
    return current_user


def same_name_by_default(current_user: Any = Depends(current_user)) -> Any:
    """Return a parameter with the name of its default."""
    return current_user


@pytest.mark.parametrize("dependency", [same_name, same_name_by_default])
def test_a_dependency_may_return_its_parameter(dependency: Any) -> None:
    """A parameter that has the name `current_user` is the user."""
    app = FastAPI()
    app.add_api_route("/x", lambda: "secret", dependencies=[Depends(dependency)])
    with TestClient(guarded(app)) as client:
        assert client.get("/x").status_code == 401


class Called:
    """Have a check that FastAPI reads only in an object."""

    def __call__(self, user: CurrentUser) -> Any:
        return user


class Attribute:
    """Have a check that FastAPI reads only in a dataclass."""

    user: Any = Depends(current_user)


@pytest.mark.parametrize(
    ("dependency", "remedy"),
    [(Called, r"write Depends\(Called\(\)\)"), (Attribute, "@dataclass|__init__")],
)
def test_a_check_of_a_class_that_is_not_read_is_an_error(dependency: Any, remedy: str) -> None:
    """A class whose checks are in `__call__` or in attributes is an error as a dependency."""
    app = FastAPI()
    app.add_api_route("/x", lambda: "secret", dependencies=[Depends(dependency)])
    with pytest.raises(ConfigurationError, match=remedy), TestClient(guarded(app)):
        pass


@pytest.mark.parametrize("dependency", [Called(), dataclasses.dataclass(type("Read", (Attribute,), {
    "__annotations__": {"user": Any}, "user": Depends(current_user)
}))], ids=["object", "dataclass"])  # fmt: skip
def test_a_check_of_a_class_that_is_read_guards(dependency: Any) -> None:
    """An object with `__call__`, and a dataclass, guard the route."""
    app = FastAPI()
    app.add_api_route("/x", lambda: "secret", dependencies=[Depends(dependency)])
    with TestClient(guarded(app)) as client:
        assert client.get("/x").status_code == 401
