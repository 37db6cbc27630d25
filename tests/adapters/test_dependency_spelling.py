"""A dependency of the guard that FastAPI would not call is found before the application starts."""

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Query, Security, WebSocket
from fastapi.security import OAuth2PasswordBearer, SecurityScopes
from pydantic import BaseModel
from starlette.testclient import TestClient

from adapters.callers import READER, headers, open_guard
from authguard import ConfigurationError, Principal
from authguard.fastapi import (
    CurrentPrincipal,
    CurrentUser,
    OptionalUser,
    current_principal,
    current_user,
    install,
    optional_user,
    requires,
)


class User(BaseModel):
    """A user class of an application."""

    name: str


@requires("admin")
def admin_only() -> str:
    """Return a text, as a dependency that requires a scope."""
    return "admin"


def of_nobody() -> str:
    """Return a text, as a dependency that does not belong to the guard."""
    return "setting"


Reader = Annotated[Principal, Security(current_principal, scopes=["read"])]
Admin = Annotated[str, Depends(admin_only)]
Setting = Annotated[str, Depends(of_nobody)]

DEFAULTS: dict[str, tuple[Any, str]] = {
    "CurrentUser": (CurrentUser, "write user: CurrentUser"),
    "CurrentUser[User]": (CurrentUser[User], r"write user: CurrentUser\[User\]"),
    "OptionalUser": (OptionalUser, "write user: OptionalUser"),
    "CurrentPrincipal": (CurrentPrincipal, "write user: CurrentPrincipal"),
    "alias of one's own": (Reader, r"write user: Annotated\[Principal, Security\(current_principal, scopes="),
    "alias of another dependency": (Setting, r"write user: Annotated\[str, Depends\(of_nobody\)\]"),
    "alias of a guarded dependency": (Admin, r"write user: Annotated\[str, Depends\(admin_only\)\]"),
    "current_user": (current_user, "write user: CurrentUser"),
    "current_principal": (current_principal, "write user: CurrentPrincipal"),
    "optional_user": (optional_user, "write user: OptionalUser"),
    "requires()": (requires("admin"), r"write user=Depends\(requires\('admin'\)\)"),
    "guarded function": (admin_only, r"write user=Depends\(admin_only\)"),
    "Depends(CurrentUser)": (Depends(CurrentUser), "write user: CurrentUser"),
    "Depends(OptionalUser)": (Depends(OptionalUser), "write user: OptionalUser"),
    "Security(CurrentPrincipal)": (Security(CurrentPrincipal, scopes=["a"]), "write user: CurrentPrincipal"),
    "Depends(Reader)": (
        Depends(Reader),
        r"write user: Annotated\[Principal, Security\(current_principal, scopes=",
    ),
}


def starts(app: FastAPI) -> None:
    """Start an application with a guard, and stop it."""
    install(app, open_guard())
    with TestClient(app):
        pass


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_dependency_in_the_place_of_a_default_value(name: str) -> None:
    """A dependency as the default value of a parameter is an error, because FastAPI would not call it."""
    default, advice = DEFAULTS[name]
    app = FastAPI()

    @app.get("/wrong")
    async def _wrong(user: Any = default) -> str:
        return str(user)

    with pytest.raises(ConfigurationError, match=f"parameter user of the route /wrong .* must .*{advice}"):
        starts(app)


def refuses(annotation: Any, advice: str) -> None:
    """Check that an application with this annotation does not start, and that the error has this advice."""
    app = FastAPI()

    async def wrong(user):  # type: ignore[no-untyped-def]
        return str(user)

    wrong.__annotations__["user"] = annotation
    app.post("/wrong")(wrong)
    with pytest.raises(ConfigurationError, match=f"parameter user of the route /wrong .* must .*{advice}"):
        starts(app)


ANNOTATIONS: dict[str, tuple[Any, str]] = {
    "current_user": (Annotated[User, current_user], "write user: CurrentUser"),
    "optional_user": (Annotated[str, optional_user], "write user: OptionalUser"),
    "requires()": (Annotated[str, requires("admin")], r"write user: Annotated\[.*, Depends\(requires\("),
    "Depends(CurrentUser)": (Annotated[User, Depends(CurrentUser)], "write user: CurrentUser"),
}


@pytest.mark.parametrize("name", ANNOTATIONS)
def test_a_dependency_without_depends_in_an_annotation(name: str) -> None:
    """An annotation without `Depends` is an error, since the caller would choose the value."""
    refuses(*ANNOTATIONS[name])


SHADOWED: dict[str, tuple[Any, str]] = {
    "or None": (CurrentUser[User] | None, r"write user: OptionalUser\[User\]"),
    "or None, untyped": (OptionalUser[User] | None, r"write user: OptionalUser\[User\]"),
    "in a list": (list[CurrentUser[User]], r"write user: CurrentUser\[User\]"),
    "deep": (
        dict[str, list[CurrentUser[User]]] | None,
        r"write user: CurrentUser\[User\]|OptionalUser\[User\]",
    ),
    "Security": (
        Annotated[CurrentUser[User], Security(scopes=["read"])],
        r"write user: Annotated\[User, Security\(current_user, scopes=\['read'\]\)\]",
    ),
    "Depends": (Annotated[CurrentUser[User], Depends()], r"Annotated\[User, Depends\(current_user\)\]"),
    "Query": (Annotated[CurrentUser[User], Query()], r"Annotated\[User, Depends\(current_user\)\]"),
    "another dependency": (Annotated[CurrentUser[User], Depends(of_nobody)], r"Depends\(current_user\)"),
    "fewer scopes": (
        Annotated[Annotated[User, Security(current_user, scopes=["a"])], Depends(current_user)],
        r"Security\(current_user, scopes=\['a'\]\)",
    ),
}


@pytest.mark.parametrize("name", SHADOWED)
def test_a_dependency_that_another_part_of_the_annotation_replaces(name: str) -> None:
    """An annotation that replaces the dependency is an error, since it would admit each caller."""
    refuses(*SHADOWED[name])


def in_the_annotation(app: FastAPI, marker: Any) -> None:
    async def wrong(user):  # type: ignore[no-untyped-def]
        return str(user)

    wrong.__annotations__["user"] = Annotated[User, marker]
    app.get("/wrong")(wrong)


def as_the_default(app: FastAPI, marker: Any) -> None:
    async def wrong(user: Any = marker) -> str:
        return str(user)

    app.get("/wrong")(wrong)


def in_the_list(app: FastAPI, marker: Any) -> None:
    app.get("/wrong", dependencies=[marker])(of_nobody)


def in_the_list_of_a_router(app: FastAPI, marker: Any) -> None:
    router = APIRouter()
    router.get("/wrong")(of_nobody)
    app.include_router(router, prefix="/wrong", dependencies=[marker])


@pytest.mark.parametrize("place", [in_the_annotation, as_the_default, in_the_list, in_the_list_of_a_router])
def test_scopes_as_text(place: Any) -> None:
    """Scopes as text are an error, since FastAPI would require each letter as a scope."""
    app = FastAPI()
    place(app, Security(current_user, scopes="read write"))
    words = r"the route /wrong .* must have a list of scopes .*: write scopes=\['read', 'write'\]"
    with pytest.raises(ConfigurationError, match=words):
        starts(app)


PLACES = [in_the_annotation, as_the_default, in_the_list, in_the_list_of_a_router]
SCHEME = OAuth2PasswordBearer(tokenUrl="token", scopes={"read": "reading"})


def of_a_scheme(token: Annotated[str, Depends(SCHEME)]) -> str:
    """Return the token that a security scheme of FastAPI has found."""
    return token


class OfNobody:
    """Return a text, as a dependency that is an object."""

    def __call__(self) -> str:
        """Return a text."""
        return "setting"


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("dependency", [of_nobody, of_a_scheme, optional_user, OfNobody()])
def test_scopes_that_no_dependency_reads(dependency: Any, place: Any) -> None:
    """Scopes of a dependency that does not read them are an error: FastAPI compares no scopes itself."""
    app = FastAPI()
    place(app, Security(dependency, scopes=["read", "write"]))
    words = r"must have a dependency that reads the scopes, .* beside it"
    with pytest.raises(ConfigurationError, match=words) as refused:
        starts(app)
    assert "Depends(requires('read', 'write')) beside it" in str(refused.value)


def reads_itself(scopes: SecurityScopes) -> str:
    """Return the scopes, as a dependency that compares them itself."""
    return scopes.scope_str


def leads_to_readers(user: Annotated[str, Depends(reads_itself)]) -> str:
    """Return the scopes, as a dependency whose own dependency reads them."""
    return user


def leads_to_the_guard(user: CurrentUser) -> str:
    """Return the name of the caller, as a dependency with the guard's own dependency."""
    return user.subject


class LeadsToTheGuard:
    """A class as a dependency, with the guard's own dependency."""

    def __init__(self, user: CurrentUser) -> None:
        self.user = user


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "dependency",
    [
        current_user,
        current_principal,
        requires("admin"),
        reads_itself,
        leads_to_readers,
        leads_to_the_guard,
        LeadsToTheGuard,
        SCHEME,
    ],
)
def test_scopes_that_a_dependency_reads(dependency: Any, place: Any) -> None:
    """Scopes are accepted if a dependency reads them, or is a scheme for the OpenAPI document."""
    app = FastAPI()
    place(app, Security(dependency, scopes=["read"]))
    starts(app)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "dependency", [current_user, current_principal, requires("admin"), leads_to_the_guard, LeadsToTheGuard]
)
@pytest.mark.parametrize(
    ("scopes", "advice"),
    [
        (["read write"], r"write scopes=\['read', 'write'\]"),
        ([" read"], r"write scopes=\['read'\]"),
        ([""], "write a list of names"),
        (["a", 5], r"write scopes=\['a'\]"),
    ],
)
def test_scopes_that_no_token_can_have(scopes: Any, advice: str, dependency: Any, place: Any) -> None:
    """Scopes of `Security` that cannot be compared are an error at the start, not a 500 for each request."""
    app = FastAPI()
    place(app, Security(dependency, scopes=scopes))
    with pytest.raises(ConfigurationError, match=rf"the route /wrong .*in Security: scopes .*{advice}"):
        starts(app)


@pytest.mark.parametrize("dependency", [reads_itself, SCHEME])
def test_scopes_that_the_guard_does_not_compare(dependency: Any) -> None:
    """Scopes of a dependency that the guard has no part in may have any form."""
    app = FastAPI()
    in_the_annotation(app, Security(dependency, scopes=["read write"]))
    starts(app)


def admin_of(user: CurrentUser[User]) -> User:
    """Return the user, as a dependency that has the guard's dependency as a parameter."""
    return user


def test_a_dependency_that_leads_to_the_guard_may_replace_it() -> None:
    """A dependency that itself depends on the guard's dependency may replace it in an annotation."""
    app = FastAPI()

    @app.get("/right")
    async def _right(user: Annotated[CurrentUser[User], Depends(admin_of)]) -> str:
        return str(user)

    starts(app)


def listed_if(is_listed: bool) -> list[Any]:
    """Return a list with one wrong dependency, or an empty list."""
    return [Depends(CurrentUser)] if is_listed else []


@pytest.mark.parametrize("place", ["websocket", "nested", "class", "router", "included", "decorator"])
def test_it_is_found_wherever_fastapi_takes_dependencies(place: str) -> None:
    """A wrong dependency is found in websockets, nested dependencies, classes and lists of dependencies."""

    def nested(user: Any = CurrentUser) -> None: ...

    class Service:
        def __init__(self, user: Any = CurrentUser) -> None: ...

    async def endpoint(name: Any = {"nested": Depends(nested), "class": Depends(Service)}.get(place)) -> None:
        """Return nothing, as an endpoint with a wrong dependency."""

    async def talk(websocket: WebSocket, user: Any = CurrentUser) -> None: ...

    app = FastAPI()
    router = APIRouter(dependencies=listed_if(place == "router"))
    if place == "websocket":
        router.websocket("/wrong")(talk)
    else:
        router.get("/wrong", dependencies=listed_if(place == "decorator"))(endpoint)
    app.include_router(
        router, prefix="/wrong" if place == "included" else "", dependencies=listed_if(place == "included")
    )
    with pytest.raises(ConfigurationError, match=r"the route /wrong .*write .*(user: C|Depends\(current_u)"):
        starts(app)


def test_annotations_as_text_are_read() -> None:
    """Annotations that are text, as under `from __future__ import annotations`, are checked."""
    app = FastAPI()

    async def wrong(user: "Annotated[str, current_user]") -> str:
        return str(user)

    app.post("/wrong")(wrong)
    with pytest.raises(ConfigurationError, match="write user: CurrentUser"):
        starts(app)


def test_the_spellings_that_work_start() -> None:
    """Annotations, default values of `Depends`, and parameters of other kinds start."""
    app = FastAPI()

    @app.get("/right")
    async def _right(
        user: CurrentUser,
        reader: Annotated[Principal, Security(current_principal, scopes=["read"])],
        setting: Setting,
        maybe: OptionalUser = None,
        old: Any = Depends(current_user),
        q: Annotated[str, Query()] = "q",
    ) -> str:
        return f"{user.subject} {reader.subject} {maybe.subject if maybe else ''} {old.subject} {setting} {q}"

    install(app, open_guard())
    with TestClient(app) as client:
        assert client.get("/right", headers=headers(READER)).json() == (
            "somebody somebody somebody somebody setting q"
        )
