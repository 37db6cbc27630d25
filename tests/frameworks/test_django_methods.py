"""The method of a request is the one that the guard has decided about, whatever middleware makes of it."""

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
    """Middleware that lets a field of the request say which method is meant."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        """Hand the request on."""
        request.method = request.headers.get("X-HTTP-Method-Override", request.method)
        return self.get_response(request)


def site(kind: str, middleware: list[str], *rules: Rule) -> Project:
    """A project whose view says by which method it was called."""
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    return Project(
        kind,
        Guard(verifier, protected_paths=["/", *rules]),
        re_path("^.*$", lambda request: HttpResponse(request.method)),
        MIDDLEWARE=middleware,
        CLOCK=lambda: NOW,
    )


def delete(token: str) -> list[Any]:
    """The fields of a POST that is meant as a DELETE."""
    return [bearer(token), ("X-HTTP-Method-Override", b"DELETE")]


@KINDS
@pytest.mark.parametrize(("middleware", "status"), [(BEFORE, 403), (AFTER, 500)], ids=["before", "after"])
def test_the_rule_for_a_method_holds(
    kind: str, middleware: list[str], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Before the guard, it decides about the method that the view sees; after it, that is refused."""
    app = site(kind, middleware, Rule("/items", methods=["DELETE"], scopes=["admin"]))
    assert app.ask("POST", "/items", delete(GOOD)).status == status
    assert ("let no middleware after the guard change it" in caplog.text) == (status == 500)
    assert app.ask("POST", "/items", delete(ADMIN)).body == b"DELETE" or status == 500
    assert app.ask("POST", "/items", [bearer(GOOD)]).body == b"POST"


@KINDS
@pytest.mark.parametrize("middleware", [BEFORE, AFTER], ids=["before", "after"])
def test_a_method_is_changed_where_no_rule_tells(kind: str, middleware: list[str]) -> None:
    """Nothing else would have been decided."""
    assert site(kind, middleware).ask("POST", "/items", delete(GOOD)).body == b"DELETE"


@KINDS
def test_a_method_in_small_letters_is_as_ever(kind: str) -> None:
    """Django makes capitals of it, and the guard protects both."""
    app = site(kind, [GUARD], Rule("/items", methods=["DELETE"], scopes=["admin"]))
    assert app.ask("delete", "/items", [bearer(GOOD)]).status == 403
    assert app.ask("delete", "/items", [bearer(ADMIN)]).status == 200
    assert app.ask("get", "/items", [bearer(GOOD)]).status == 200
