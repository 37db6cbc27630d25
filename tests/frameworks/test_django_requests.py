"""Requests through a Django project: paths, CSRF, caches, streams, outages, CORS and test clients."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from frameworks.support import need

need("django", "corsheaders", "rest_framework")

pytestmark = pytest.mark.frameworks

from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, StreamingHttpResponse
from django.test import AsyncRequestFactory, Client, RequestFactory
from django.test.utils import override_settings
from django.urls import path as url
from django.urls import re_path
from django.views.decorators.cache import cache_page

from adapters.answering import ADMIN, AUDIENCE, GOOD, ISSUER, KEY, NOW, PREFLIGHT, SECRET, bearer, token
from authguard import (
    AccessCookie,
    APIKey,
    APIKeyVerifier,
    ConfigurationError,
    DPoP,
    Guard,
    JWTVerifier,
    Rule,
)
from authguard.django import AuthGuardMiddleware, RefusedHTTPException, requires
from authguard.testing import override
from frameworks.django_project import CORS_LAYER, GUARD, Guarded, Project, subject, urls
from support import ec_key, jwk, make_proof, thumbprint

KINDS = pytest.mark.parametrize("kind", ["wsgi", "asgi"])
CSRF = "django.middleware.csrf.CsrfViewMiddleware"
OF_A_KEY = token(cnf={"jkt": thumbprint(jwk(ec_key()))})
PROOF = ("DPoP", make_proof(OF_A_KEY, htm="POST", htu="https://api.example/open").encode())
SPA = "https://spa.example"


def guard(**options: Any) -> Guard:
    """Return a guard for tokens and keys, with a login page."""
    verifiers = [
        JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE),
        JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE, header="X-Token"),
        APIKeyVerifier({KEY: APIKey("robot")}),
    ]
    return Guard(*verifiers, **({"public_paths": ["/open"], "login_path": "/login"} | options))


def project(kind: str, *patterns: Any, rules: Guard | None = None, **changes: Any) -> Project:
    """Return a project with the clock of the tests."""
    return Project(kind, rules or guard(), *patterns, **({"CLOCK": lambda: NOW} | changes))


def say(text: str) -> Any:
    """Return a view that answers a text."""
    return lambda request, **_: HttpResponse(text)


@pytest.mark.parametrize(
    ("kind", "extra", "is_async"),
    [
        ("wsgi", [], False),
        ("asgi", [], True),
        ("wsgi", ["frameworks.django_project.OnlyAsync"], True),
        ("asgi", ["frameworks.django_project.OnlySync"], False),
    ],
)
def test_it_awaits_where_django_does(
    kind: str, extra: list[str], is_async: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The middleware is asynchronous if the next middleware is, so that no thread is needed between them."""
    modes = []
    initialise = AuthGuardMiddleware.__init__

    def noting(self: Any, get_response: Any) -> None:
        initialise(self, get_response)
        modes.append(self._is_async)

    monkeypatch.setattr(AuthGuardMiddleware, "__init__", noting)
    project(kind, MIDDLEWARE=[GUARD, *extra])
    assert modes == [is_async]


class Rewriting:
    """Send some requests to another view."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        if request.path_info == "/open":
            request.path_info = "/private"
        return self.get_response(request)


@KINDS
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_path_that_middleware_changes_is_refused(
    kind: str, before: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A path that middleware changes is a 500, because the guard has decided about another one."""
    layers = [f"{__name__}.Rewriting", GUARD] if before else [GUARD, f"{__name__}.Rewriting"]
    app = project(kind, url("private", say("secret")), MIDDLEWARE=layers)
    answer = app.ask("GET", "/open")
    assert (answer.status, b"secret" in answer.body) == (500, False)
    assert "let no middleware change it" in caplog.text
    assert app.ask("GET", "/private").status == 401


@KINDS
def test_a_forced_script_name_is_the_mount_point(kind: str) -> None:
    """FORCE_SCRIPT_NAME is the mount point for the guard and for its login redirect."""
    patterns = [url("open", say("open")), url("private", say("private"))]
    app = project(kind, *patterns, FORCE_SCRIPT_NAME="/site")
    prefix = "/site" if kind == "asgi" else ""  # on WSGI the server has removed it
    assert app.ask("GET", f"{prefix}/open").body == b"open"
    assert app.ask("GET", f"{prefix}/private").status == 401
    browser = app.ask("GET", f"{prefix}/private", [("Accept", b"text/html")])
    assert browser.headers["location"] == "/site/login?next=%2Fsite%2Fprivate"


@KINDS
def test_a_path_that_is_not_ascii(kind: str) -> None:
    """A path outside of ASCII is decoded for the guard, on WSGI too."""
    rules = guard(public_paths=["/caf\u00e9", Rule("/\u65e5\u672c")])
    app = project(kind, re_path("^.*$", say("open")), rules=rules)
    for path in ("/caf%C3%A9", "/%E6%97%A5%E6%9C%AC"):
        assert app.ask("GET", path).status == 200
    for path in ("/caf%C3%A8", "/caf%E9", "/caf%25C3%25A9"):
        assert app.ask("GET", path).status == 401, path


@KINDS
def test_a_missing_slash_is_not_told_to_strangers(kind: str) -> None:
    """The redirect of CommonMiddleware to a path with a slash is sent to allowed callers alone."""
    app = project(kind, url("private/", say("private")))
    assert app.ask("GET", "/private").status == 401
    assert app.ask("GET", "/private", [bearer(GOOD)]).headers["location"] == "/private/"


@KINDS
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([bearer(GOOD)], 200),
        ([("X-API-Key", KEY.encode())], 200),
        ([("X-Token", GOOD.encode())], 200),
        ([("Authorization", f"DPoP {OF_A_KEY}".encode()), PROOF], 200),
        ([bearer(GOOD), ("Sec-Fetch-Site", b"same-origin")], 200),
        ([bearer(GOOD), ("Sec-Fetch-Site", b"cross-site")], 403),
        ([bearer(GOOD), ("Origin", b"https://evil.example")], 403),
        ([("Cookie", f"session={GOOD}".encode()), ("Sec-Fetch-Site", b"same-origin")], 403),
        ([], 403),
    ],
    ids=[
        "token",
        "key",
        "own field",
        "DPoP",
        "same site",
        "another site",
        "another origin",
        "cookie",
        "nobody",
    ],
)
def test_a_token_in_a_field_needs_no_csrf_token(kind: str, fields: list[Any], status: int) -> None:
    """A token in a field needs no CSRF token, except from another site."""
    rules = guard(cookie=AccessCookie("session", secure=False), proofs=[DPoP("https://api.example")])
    answer = project(kind, url("open", say("done")), rules=rules).ask("POST", "/open", fields)
    assert answer.status == status
    if status == 403:
        assert b"CSRF" in answer.body


def test_a_cookie_needs_the_csrf_token_of_django_and_the_own_site() -> None:
    """A token in a cookie needs the CSRF token of Django and a request of the same site."""
    rules = guard(cookie=AccessCookie("session", secure=False))
    with override_settings(
        AUTHGUARD=rules, ROOT_URLCONF=urls(url("private", say("done"))), CLOCK=lambda: NOW
    ):
        client = Client(enforce_csrf_checks=True)
        client.cookies["session"] = GOOD
        client.cookies["csrftoken"] = "a" * 32
        own, other = {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "cross-site"}
        fields = {"x-csrftoken": "a" * 32}
        assert client.post("/private", headers=own | fields).status_code == 200
        assert client.post("/private", headers=own).status_code == 403
        assert client.post("/private", headers=other | fields).status_code == 403


CACHED = {
    "MIDDLEWARE": [
        "django.middleware.cache.UpdateCacheMiddleware",
        GUARD,
        "django.middleware.cache.FetchFromCacheMiddleware",
    ],
    "CACHES": {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
}


@KINDS
def test_the_cache_of_django_gives_no_page_to_another_caller(kind: str) -> None:
    """The cache of Django keeps a page for one token alone, and no page for a key or a cookie."""
    rules = guard(cookie=AccessCookie("session", secure=False))
    app = project(kind, re_path("^.*$", subject), rules=rules, **CACHED)
    cache.clear()
    ann, bob = token(sub="ann"), token(sub="bob")
    for fields in ([bearer(ann)], [bearer(bob)], [("Cookie", f"session={bob}".encode())], [bearer(ann)]):
        expected = b"ann" if fields == [bearer(ann)] else b"bob"
        assert app.ask("GET", "/private", fields).body == expected
    assert app.ask("GET", "/private", [("X-API-Key", KEY.encode())]).body == b"robot"
    assert app.ask("GET", "/private").status == 401


@KINDS
def test_the_response_to_a_token_varies_by_it(kind: str) -> None:
    """The response to a token has `Vary: Authorization`."""
    answer = project(kind, MIDDLEWARE=[GUARD]).ask("GET", "/private", [bearer(GOOD)])
    assert answer.headers["vary"] == "Authorization"


@KINDS
def test_a_cache_around_a_guarded_view_keeps_nothing(kind: str) -> None:
    """A cache around a guarded view keeps nothing, because it would answer before the check."""
    app = project(
        kind, url("open", cache_page(60)(requires("admin")(say("secret")))), CACHES=CACHED["CACHES"]
    )
    cache.clear()
    answer = app.ask("GET", "/open", [bearer(ADMIN)])
    assert (answer.body, answer.headers["cache-control"]) == (b"secret", "private")
    assert app.ask("GET", "/open").status == 401
    assert app.ask("GET", "/open", [bearer(GOOD)]).status == 403


@KINDS
def test_a_response_streams(kind: str) -> None:
    """A response streams its parts, with the fields of the decision."""

    def parts() -> Iterator[bytes]:
        yield b"one "
        yield b"two"

    async def aparts() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    app = project(
        kind, url("private", lambda _: StreamingHttpResponse(parts() if kind == "wsgi" else aparts()))
    )
    answer = app.ask("GET", "/private", [("X-API-Key", KEY.encode())])
    assert (answer.status, answer.body, answer.headers["vary"]) == (200, b"one two", "x-api-key")


@KINDS
def test_errors_of_views_are_answered_by_django(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """Errors of views are answered by Django for each caller."""

    def fail(request: Any) -> HttpResponse:
        raise ValueError("a mistake")

    def forbid(request: Any) -> HttpResponse:
        raise PermissionDenied

    app = project(kind, url("private", fail), url("other", forbid))
    assert app.ask("GET", "/private", [bearer(GOOD)]).status == 500
    assert app.ask("GET", "/other", [bearer(GOOD)]).status == 403
    assert app.ask("GET", "/nowhere", [bearer(GOOD)]).status == 404
    assert app.ask("GET", "/nowhere").status == 401
    assert GOOD not in caplog.text


@KINDS
@pytest.mark.parametrize("where", ["user_loader", "revocations", "keys"])
def test_an_outage_is_503(kind: str, where: str, caplog: pytest.LogCaptureFixture) -> None:
    """An outage is a 503 on a protected path, with one log line and without a report to admins."""

    def down(*_: Any) -> Any:
        raise ConnectionError("the database is down")

    class Down:
        def is_revoked(self, principal: Any) -> bool:
            raise ConnectionError("the store is down")

    options: dict[str, Any] = {
        "user_loader": {"user_loader": down},
        "revocations": {"revocations": Down()},
        "keys": {},
    }[where]
    rules = guard(**options)
    fields = [bearer(GOOD)]
    if where == "keys":
        rules, fields = Guard(APIKeyVerifier(down), public_paths=["/open"]), [("X-API-Key", KEY.encode())]
    app = project(kind, rules=rules)
    answer = app.ask("GET", "/private", fields)
    assert (answer.status, "www-authenticate" in answer.headers) == (503, False)
    assert int(answer.headers["retry-after"]) > 0
    assert [record.name for record in caplog.records] == ["authguard"]
    assert app.ask("GET", "/open", fields).status == 200


@KINDS
def test_refusals_have_cors_fields(kind: str) -> None:
    """A refusal has CORS fields, because the CORS layer is before the guard."""
    layers = [CORS_LAYER, GUARD]
    app = project(kind, MIDDLEWARE=layers, CORS_ALLOWED_ORIGINS=[SPA])
    refused = app.ask("GET", "/private", [("Origin", SPA.encode())])
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, SPA)
    preflight = [("Origin", SPA.encode()), PREFLIGHT[1]]
    answer = app.ask("OPTIONS", "/private", preflight)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, SPA)


@KINDS
def test_a_preflight_that_cors_is_not_for_reaches_no_view(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A preflight of a path outside of the CORS layer reaches no view, and no warning is logged."""
    changes = {"CORS_ALLOWED_ORIGINS": [SPA], "CORS_URLS_REGEX": "^/api/.*$"}
    app = project(kind, re_path("^.*$", say("secret")), MIDDLEWARE=[CORS_LAYER, GUARD], **changes)
    answer = app.ask("OPTIONS", "/private", PREFLIGHT, body=b'{"a": 1}')
    assert (answer.status, answer.body, caplog.records) == (204, b"", [])


@KINDS
def test_a_preflight_that_is_passed_on_is_sealed(kind: str) -> None:
    """A preflight that is passed on has neither body nor caller, and its answer has CORS fields alone."""
    seen = []

    def options(request: Any) -> HttpResponse:
        seen.append((request.body, request.user.is_authenticated))
        response = HttpResponse("secret", headers={"Access-Control-Allow-Origin": SPA, "X-Secret": "s"})
        response.set_cookie("tracker", "1")
        return response

    app = project(kind, url("private", options), rules=guard(preflight="pass"), MIDDLEWARE=[GUARD])
    answer = app.ask("OPTIONS", "/private", PREFLIGHT, body=b'{"a": 1}')
    assert (answer.status, answer.body, seen) == (200, b"", [(b"", False)])
    assert answer.headers == {"access-control-allow-origin": SPA, "content-length": "0"}


def test_a_view_in_a_request_factory() -> None:
    """The middleware guards a single view with a RequestFactory."""
    rules = guard()

    async def aview(request: Any) -> HttpResponse:
        return HttpResponse(str(request.user))

    with override_settings(AUTHGUARD=rules, CLOCK=lambda: NOW):
        view = requires("read")(lambda request: HttpResponse(str(request.user)))
        for text, status in ((GOOD, 200), (token(), 403)):
            request = RequestFactory().get("/open", headers={"authorization": f"Bearer {text}"})
            assert Guarded(view)(request).status_code == status
        with override(rules, _ann("read")):
            assert AuthGuardMiddleware(view)(RequestFactory().get("/open")).content == b"ann"
            answer = async_to_sync(AuthGuardMiddleware(requires("read")(aview)))(
                AsyncRequestFactory().get("/")
            )
            assert answer.content == b"ann"
        assert AuthGuardMiddleware(view)(RequestFactory().get("/open")).status_code == 401


def _ann(*scopes: str) -> Any:
    from authguard import Principal

    return Principal("ann", scopes=scopes)


class Catching:
    """Answer refusals of views in its own way."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        return self.get_response(request)

    def process_exception(self, request: Any, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, RefusedHTTPException):
            return HttpResponse(f"own {exception.status_code}", status=exception.status_code)
        return None


@KINDS
def test_middleware_of_ones_own_may_answer_refusals_of_views(kind: str) -> None:
    """Middleware of the application may answer a refusal of a view."""
    app = project(kind, url("open", requires()(say("x"))), MIDDLEWARE=[GUARD, f"{__name__}.Catching"])
    answer = app.ask("GET", "/open")
    assert (answer.status, answer.body) == (401, b"own 401")


@KINDS
def test_a_helper_of_a_view_is_guarded(kind: str) -> None:
    """The refusal of a guarded helper function ends the view."""

    @requires("admin")
    def is_admin(request: Any) -> bool:
        return True

    def page(request: Any) -> HttpResponse:
        return HttpResponse("secret" if is_admin(request=request) else "")

    app = project(kind, url("open", page))
    assert app.ask("GET", "/open", [bearer(GOOD)]).status == 403
    assert app.ask("GET", "/open", [bearer(ADMIN)]).body == b"secret"


@KINDS
def test_django_rest_framework_knows_the_caller(kind: str) -> None:
    """Django REST framework has the caller by one authentication class, and refuses with a challenge."""
    from rest_framework.permissions import IsAuthenticated
    from rest_framework.response import Response
    from rest_framework.views import APIView

    from authguard.django import GuardAuthentication

    class Mine(APIView):
        authentication_classes = [GuardAuthentication]
        permission_classes = [IsAuthenticated]

        def post(self, request: Any) -> Any:
            return Response({"user": str(request.user), "scopes": sorted(request.auth.principal.scopes)})

    class Admins(Mine):
        permission_classes: list[Any] = []

        @requires("admin")
        def post(self, request: Any) -> Any:
            return super().post(request)

    app = project(kind, url("open", Mine.as_view()), url("private", Admins.as_view()))
    assert app.ask("POST", "/open", [bearer(GOOD)]).body == b'{"user":"somebody","scopes":["read"]}'
    nobody = app.ask("POST", "/open")
    assert (nobody.status, nobody.headers["www-authenticate"]) == (401, "Bearer")
    refused = app.ask("POST", "/private", [bearer(GOOD)])
    assert (refused.status, refused.headers["content-type"]) == (403, "application/problem+json")
    assert app.ask("POST", "/private", [bearer(ADMIN)]).status == 200


def test_the_name_of_a_rule_in_djangos_spelling_is_refused() -> None:
    """A rule in Django's spelling is refused with the correct one."""
    with pytest.raises(ConfigurationError, match="/users/"):
        guard(public_paths=["users/<int:pk>/"])
