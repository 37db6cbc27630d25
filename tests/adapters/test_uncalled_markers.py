"""A `Depends` or `current_user` that a function only makes or returns is an error."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import Depends, FastAPI, Security
from starlette.requests import Request

from adapters.callers import ADMIN, READER, field, guarded
from adapters.faces import ask_asgi
from authguard import ConfigurationError, Principal
from authguard.fastapi import CurrentUser, current_user, requires

MARKER = Security(current_user, scopes=["admin"])


def own(user: CurrentUser) -> Principal:
    """Return the caller."""
    return user


def made_security() -> Any:
    """Return a Security."""
    return Security(current_user, scopes=["admin"])


def made_depends() -> Any:
    """Return a Depends of a check."""
    return Depends(requires("admin"))


def made_by_name() -> Any:
    """Return a Depends by the name of its argument."""
    return Depends(dependency=own)


def returned_user() -> Any:
    """Return the dependency itself."""
    return current_user


def returned_marker() -> Any:
    """Return a Security of the module."""
    return MARKER


def yielded_user() -> Iterator[Any]:
    """Yield the dependency itself."""
    yield current_user


class Role:
    """Return the check of a role."""

    role = "admin"

    def __call__(self) -> Any:
        """Return a Depends."""
        return Depends(requires(self.role))


def unused_user() -> str:
    """Make a Depends in the body."""
    user = Depends(current_user)  # noqa: F841
    return "in"


class Checker:
    """Take the caller in a method that nothing calls."""

    def __call__(self, user: CurrentUser) -> Principal:
        """Return the caller."""
        return user


class Holder:
    """Hold a dependency that FastAPI does not read."""

    user: Principal = Depends(current_user)


def served(dependency: Any) -> FastAPI:
    """Return an application with a dependency."""
    app: FastAPI = guarded(FastAPI())
    app.get("/wrong", dependencies=[Depends(dependency)])(lambda: "in")
    return app


def name_of(value: Any) -> str:
    """Return the name of a function or class, for the names of tests."""
    return str(getattr(value, "__name__", type(value).__name__))


@pytest.mark.parametrize(
    ("dependency", "spelling"),
    [
        (made_security, r"Security\(current_user, scopes=\['admin'\]\)"),
        (made_depends, r"Depends\(requires\('admin'\)\)"),
        (made_by_name, r"Depends\(dependency=own\)"),
        (returned_user, r"Depends\(current_user\)"),
        (returned_marker, r"Security\(current_user, scopes=\['admin'\]\)"),
        (yielded_user, r"Depends\(current_user\)"),
        (Role(), r"Depends\(requires\(self.role\)\)"),
        (Checker, r"Depends\(Checker\(\)\), with parentheses"),
        (Holder, r"def __init__\(self, user=Depends\(current_user\)\)"),
        (unused_user, r"Depends\(current_user\) in its signature"),
    ],
    ids=name_of,
)
def test_a_dependency_that_fastapi_does_not_call(dependency: Any, spelling: str) -> None:
    """The application does not start, and the error has the spelling that works."""
    with pytest.raises(ConfigurationError, match=f"guards nothing: write {spelling}"):
        ask_asgi(served(dependency), "GET", "/wrong", [field(READER)])


@dataclasses.dataclass
class Context:
    """Hold the caller, in a field that FastAPI reads."""

    user: Principal = Depends(current_user)


class Service:
    """Take the caller when it is created, and in a method."""

    def __init__(self, user: CurrentUser) -> None:
        self.user = user

    def __call__(self, user: CurrentUser) -> bool:
        """Compare both."""
        return user is self.user


def plain(request: Request) -> Any:
    """Return a Depends that checks nothing."""
    return Depends(Request)


def returned_caller(user: CurrentUser) -> Any:
    """Return the caller itself."""
    return user


@pytest.mark.parametrize(
    "dependency", [Context, Service, plain, returned_caller, Checker(), own], ids=name_of
)
def test_other_dependencies_start(dependency: Callable[..., Any]) -> None:
    """Dependencies that FastAPI reads are no fault."""
    assert ask_asgi(served(dependency), "GET", "/wrong", [field(ADMIN)]).status == 200
