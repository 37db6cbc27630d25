"""The guard decides about the method that the view gets, also if middleware changes it."""

from typing import Any

import pytest

from frameworks.support import need

need("django", "corsheaders", "rest_framework")

from django.http import HttpResponse
from django.urls import re_path

from adapters.answering import ADMIN, AUDIENCE, GOOD, ISSUER, NOW, SECRET, bearer
from authguard import Guard, JWTVerifier, Rule
from frameworks.django_project import GUARD, Project

pytestmark = pytest.mark.frameworks

KINDS = pytest.mark.parametrize("kind", ["wsgi", "asgi"])
OVERRIDING = f"{__name__}.Overriding"
BEFORE, AFTER = [OVERRIDING, GUARD], [GUARD, OVERRIDING]


class Overriding:
    """Change the method of a request by a field."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        """Pass the request on."""
        request.method = request.headers.get("X-HTTP-Method-Override", request.method)
        return self.get_response(request)


def site(kind: str, middleware: list[str], *rules: Rule) -> Project:
    """Return a project whose view answers its method."""
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    return Project(
        kind,
        Guard(verifier, protected_paths=["/", *rules]),
        re_path("^.*$", lambda request: HttpResponse(request.method)),
        MIDDLEWARE=middleware,
        CLOCK=lambda: NOW,
    )


def delete(token: str) -> list[Any]:
    """Return the fields of a POST that is changed to a DELETE."""
    return [bearer(token), ("X-HTTP-Method-Override", b"DELETE")]


@KINDS
@pytest.mark.parametrize(("middleware", "status"), [(BEFORE, 403), (AFTER, 500)], ids=["before", "after"])
def test_the_rule_for_a_method_holds(
    kind: str, middleware: list[str], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A method that is changed before the guard has its rule, and one that is changed later is a 500."""
    app = site(kind, middleware, Rule("/items", methods=["DELETE"], scopes=["admin"]))
    assert app.ask("POST", "/items", delete(GOOD)).status == status
    assert ("let no middleware after the guard change it" in caplog.text) == (status == 500)
    assert app.ask("POST", "/items", delete(ADMIN)).body == b"DELETE" or status == 500
    assert app.ask("POST", "/items", [bearer(GOOD)]).body == b"POST"


@KINDS
@pytest.mark.parametrize("middleware", [BEFORE, AFTER], ids=["before", "after"])
def test_a_method_is_changed_where_no_rule_tells(kind: str, middleware: list[str]) -> None:
    """A method may be changed if no rule is for a method."""
    assert site(kind, middleware).ask("POST", "/items", delete(GOOD)).body == b"DELETE"


@KINDS
def test_a_method_in_small_letters_is_as_ever(kind: str) -> None:
    """A method in small letters is protected like its capitals."""
    app = site(kind, [GUARD], Rule("/items", methods=["DELETE"], scopes=["admin"]))
    assert app.ask("delete", "/items", [bearer(GOOD)]).status == 403
    assert app.ask("delete", "/items", [bearer(ADMIN)]).status == 200
    assert app.ask("get", "/items", [bearer(GOOD)]).status == 200
