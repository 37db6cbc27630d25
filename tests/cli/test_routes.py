"""`authguard routes` lists for an application the access that its middleware gives."""

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

from cli.route_sources import COMMON, FASTAPI, FLASK
from cli.support import invoke

COMMAND = str(Path(sys.executable).with_name("authguard"))
TOP = Path(__file__).parents[2]
NOTHING = {"scopes": [], "any_of": [], "roles": [], "acr": [], "max_age": None, "credentials": []}


@pytest.fixture
def listing(command):
    """Return a function that returns the access by method and path, without findings."""

    def call(*args):
        result = command(*args, "--json") if len(args) > 1 else command(*args, "app", "--json")
        rows = json.loads(result.stdout)
        call.rows = [row for row in rows if "severity" not in row]
        call.findings = [row for row in rows if "severity" in row]
        call.status = result.exit_code
        return {f"{','.join(row['methods'] or ['any'])} {row['path']}": row["access"] for row in call.rows}

    return call


def run(*args):
    """Run the command in a process of its own."""
    return subprocess.run(
        [COMMAND, "routes", *args],
        check=False, capture_output=True, text=True, timeout=60, cwd=TOP,
        env={name: value for name, value in os.environ.items() if not name.startswith("AUTHGUARD_")},
    )  # fmt: skip


@pytest.mark.slow
def test_the_fastapi_example_has_no_unclassified_route():
    """The FastAPI example is listed with its rules, requirements and mounts, and exit status 0."""
    done = run("--factory", "examples.fastapi_app.app:create_app")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert (done.returncode, lines[0]) == (0, "METHODS PATH ACCESS BY")
    assert "GET, POST /id/login public the login page; below /id: public by Rule('/login')" in lines
    assert (
        "WEBSOCKET /ws/echo protected protected by Rule('/ws'); the route asks for any authenticated caller"
        in lines
    )
    assert (
        "POST /api/notes protected: one of the roles ADMIN, USER "
        "protected by Rule('/api'); the route asks for one of the roles ADMIN, USER"
    ) in lines
    assert "GET /static/** public public by Rule('/static')" in lines
    assert done.stderr.endswith(", 0 unclassified\n")


@pytest.mark.slow
def test_the_flask_example_has_no_unclassified_route():
    """The Flask example is listed in the same way, without the HEAD and OPTIONS that Flask adds."""
    done = run("examples.flask_app.app:create_app", "--factory", "--json")
    rows = {(*row["methods"], row["path"]): row for row in json.loads(done.stdout)}
    assert done.returncode == 0
    assert rows["GET", "/admin"]["requirements"] == [NOTHING | {"scopes": ["admin"]}]
    assert rows["POST", "/api/notes"]["by"] == [
        "protected by Rule('/api')",
        "the route asks for scope notes:write",
    ]
    assert rows["GET", "/static/<path:filename>"]["access"] == "public"
    assert "HEAD" not in done.stdout and "OPTIONS" not in done.stdout


def test_a_route_that_only_the_default_opens_is_unclassified(command):
    """With `protected_paths` alone a route without a rule is unclassified, with exit status 1."""
    source = (
        COMMON + "app = guarded([Route('/a', hello), Route('/forgotten', hello)], protected_paths=['/a'])"
    )
    result = command(source)
    assert result.exit_code == 1
    assert [line.split()[:3] for line in result.stdout.splitlines()[1:]] == [
        ["GET", "/a", "protected"],
        ["GET", "/forgotten", "unclassified"],
    ]
    assert result.stderr == "authguard: 2 routes: 0 public, 1 protected, 1 unclassified\n"


def test_only_unclassified_routes_can_be_shown(command):
    """`--unclassified` lists unclassified routes alone, and counts the others."""
    source = (
        COMMON + "app = guarded([Route('/a', hello), Route('/forgotten', hello)], protected_paths=['/a'])"
    )
    result = command(source, "app", "--unclassified")
    assert "/forgotten" in result.stdout and "/a " not in result.stdout
    assert "2 routes" in result.stderr


@pytest.mark.parametrize("lists", ["public_paths=['/b']", "public_paths=['/b'], protected_paths=['/c']", ""])
def test_what_is_protected_by_default_is_classified(listing, lists):
    """A route that is protected by default is classified."""
    source = COMMON + f"app = guarded([Route(path, hello) for path in ('/a', '/b', '/c')], {lists})"
    assert listing(source)["GET /a"] == "protected"
    assert listing.status == 0
    assert listing.rows[0]["by"] == ["by default: everything is protected unless it is public"]


def test_methods_are_grouped_by_what_is_asked_of_them(listing):
    """A rule for one method splits a route into two rows, and two routes with one path are one row."""
    source = COMMON + dedent("""
        app = guarded(
            [
                Route("/a", hello, methods=["GET", "PUT", "POST"]),
                Route("/b", hello), Route("/b", hello, methods=["POST"]),
            ],
            protected_paths=[Rule("/a", methods=["POST"])], public_paths=["/a", "/b"],
        )
    """)
    assert listing(source) == {"GET,PUT /a": "public", "POST /a": "protected", "GET,POST /b": "public"}


def test_nested_mounts_hosts_and_websockets(listing):
    """Nested mounts have whole paths, hosts are named, and an unknown mount is one row."""
    source = COMMON + dedent("""
        async def raw(scope, receive, send): ...
        app = guarded([
            Mount("/one", routes=[Mount("/two", routes=[Route("/", hello), WebSocketRoute("/ws", socket)])]),
            Host("x.example.com", Router([Route("/h", hello)])),
            Mount("/raw", raw),
        ], protected_paths=["/one"], public_paths=["/h", "/raw"])
    """)
    assert listing(source) == {
        "GET /one/two/": "protected",
        "WEBSOCKET /one/two/ws": "protected",
        "GET /h": "public",
        "any /raw/**": "public",
    }
    assert [row["host"] for row in listing.rows] == [None, None, "x.example.com", None]


def test_the_guard_of_a_mounted_application_applies_too(listing):
    """Below a mount the stricter of the two guards is listed."""
    source = COMMON + dedent("""
        inner = guarded([Route("/open", hello), Route("/x", hello)], public_paths=["/open"])
        mounts = [Mount("/in", inner), Mount("/in2", inner)]
        app = guarded(mounts, public_paths=["/in"], protected_paths=["/in2"])
    """)
    assert listing(source) == {
        "GET /in/open": "public",
        "GET /in/x": "protected",
        "GET /in2/open": "protected",
        "GET /in2/x": "protected",
    }
    assert listing.rows[0]["by"] == ["public by Rule('/in')", "below /in: public by Rule('/open')"]


def test_the_innermost_guard_must_classify_an_open_route(listing):
    """A route is unclassified if the innermost guard has no rule for it, even if an outer rule opens it."""
    source = COMMON + dedent("""
        inner = guarded([Route("/x", hello), Route("/forgotten", hello)], protected_paths=["/x"])
        app = guarded([Mount("/in", inner)], public_paths=["/in"])
    """)
    assert listing(source) == {"GET /in/x": "protected", "GET /in/forgotten": "unclassified"}


def test_a_route_beside_the_guarded_mount_is_unclassified(listing):
    """A route outside of the guarded mount is unclassified."""
    source = (
        COMMON + "app = Starlette(routes=[Mount('/in', guarded([Route('/x', hello)])), Route('/y', hello)])"
    )
    assert listing(source) == {"GET /in/x": "protected", "GET /y": "unclassified"}
    assert listing.rows[1]["by"] == ["no guard"]


def test_guards_of_one_route_mount_or_router_are_seen(listing):
    """A guard in the `middleware` of a route, a mount or a router is found."""
    source = COMMON + dedent("""
        guard = [Middleware(AuthGuardMiddleware, guard=Guard(VERIFIER))]
        app = Starlette(routes=[
            Route("/r", hello, middleware=guard),
            WebSocketRoute("/ws", socket, middleware=guard),
            Mount("/m", routes=[Route("/x", hello)], middleware=guard),
            Mount("/o", Router([Route("/x", hello)], middleware=guard)),
        ])
    """)
    assert set(listing(source).values()) == {"protected"}
    assert len(listing.rows) == 4


def test_a_guard_around_the_application_is_found(listing):
    """A guard around the application, also within another middleware, is found."""
    source = COMMON + dedent("""
        from authguard import ResourceMetadata
        from starlette.middleware.gzip import GZipMiddleware
        issuers = ["https://auth.example.com"]
        resource = ResourceMetadata("https://api.example.com", authorization_servers=issuers)
        plain = Starlette(routes=[Route("/a", hello)])
        app = GZipMiddleware(AuthGuardMiddleware(plain, guard=Guard(VERIFIER, resource=resource)))
    """)
    assert listing(source) == {"GET /a": "protected"}


def test_what_is_asked_of_a_sign_in_is_told(listing):
    """Requirements on the sign-in are listed, by rules and by decorators."""
    source = COMMON + dedent("""
        from authguard.starlette import requires

        @requires(max_age=300)
        async def bank(request): ...

        app = guarded([Route("/bank", bank), Route("/vault", hello)],
                      protected_paths=["/", Rule("/vault", acr=["phrh", "phr"])])
    """)
    assert listing(source) == {"GET /bank": "protected", "GET /vault": "protected"}
    requirements = [row["requirements"] for row in listing.rows]
    assert requirements == [[NOTHING | {"max_age": 300}], [NOTHING | {"acr": ["phrh", "phr"]}]]
    assert listing.rows[0]["by"][-1] == "the route asks for a sign-in at most 300 seconds ago"


def test_the_kinds_of_credential_are_told(listing):
    """The kinds of credential are listed in words and in JSON."""
    source = COMMON + dedent("""
        app = guarded([Route("/form", hello)], protected_paths=["/", Rule("/form", credentials=["api_key"])])
    """)
    assert listing(source) == {"GET /form": "protected"}
    assert listing.rows[0]["requirements"] == [NOTHING | {"credentials": ["api_key"]}]
    assert listing.rows[0]["by"] == ["protected by Rule('/form', credentials=['api_key'])"]


def test_what_decorators_ask_is_told(listing):
    """`requires` on functions, partials, classes and methods is listed for their routes."""
    source = COMMON + dedent("""
        import functools
        from authguard.starlette import requires

        @requires("read")
        async def read(request, extra=None): ...

        class Some(HTTPEndpoint):
            @requires(roles=["boss"])
            async def get(self, request): ...
            async def post(self, request): ...

        @requires()
        class Every(HTTPEndpoint):
            async def get(self, request): ...

        app = guarded([
            Route("/f", read), Route("/p", functools.partial(read, extra=1)),
            Route("/some", Some), Route("/every", Every),
        ], protected_paths=["/none"])
    """)
    assert listing(source) == {
        "GET /f": "protected", "GET /p": "protected", "GET /some": "protected", "POST /some": "unclassified",
        "GET /every": "protected",
    }  # fmt: skip
    assert listing.rows[2]["requirements"] == [NOTHING | {"roles": ["boss"]}]
    assert listing.rows[4]["by"][-1] == "the route asks for any authenticated caller"


def test_included_routers_and_dependencies_of_fastapi(listing):
    """Prefixes of FastAPI routers are in the path, and dependencies at each level are listed."""
    source = (
        COMMON
        + FASTAPI
        + dedent("""
        app = FastAPI(openapi_url=None)
        install(app, Guard(VERIFIER, protected_paths=["/none"]))
        outer = APIRouter(prefix="/outer", dependencies=[Security(current_user, scopes=["outer"])])
        inner = APIRouter(prefix="/inner")

        def helper(user=Security(current_user, scopes=["helper"])): ...

        @inner.get("/{number:int}")
        async def number(number: int): ...

        @inner.websocket("/ws")
        async def ws(websocket: WebSocket): ...

        @app.get("/me")
        async def me(user: CurrentUser): ...

        @app.get("/helped")
        async def helped(x: Annotated[None, Depends(helper)]): ...

        @app.get("/decorated")
        @requires("read")
        async def decorated(): ...

        @app.get("/forgotten")
        async def forgotten(x: Annotated[None, Depends(lambda: None)]): ...

        outer.include_router(inner)
        app.include_router(outer, prefix="/v1")
    """)
    )
    assert listing(source) == {
        "GET /me": "protected",
        "GET /helped": "protected",
        "GET /decorated": "protected",
        "GET /forgotten": "unclassified",
        "GET /v1/outer/inner/{number:int}": "protected",
        "WEBSOCKET /v1/outer/inner/ws": "protected",
    }
    scopes = {
        row["path"]: [requirement["scopes"] for requirement in row["requirements"]] for row in listing.rows
    }
    assert scopes["/v1/outer/inner/{number:int}"] == scopes["/v1/outer/inner/ws"] == [["outer"]]
    assert (scopes["/helped"], scopes["/decorated"], scopes["/me"]) == ([["helper"]], [["read"]], [])


def test_decorated_dependencies_of_fastapi_are_told(listing):
    """`requires` on dependencies of each kind, and as a dependency, is listed."""
    source = (
        COMMON
        + FASTAPI
        + dedent("""
        app = FastAPI(openapi_url=None)
        install(app, Guard(VERIFIER, protected_paths=["/none"]))

        @requires("function")
        async def function(): yield

        class Object:
            @requires("object")
            def __call__(self): ...

        class Made:
            @requires("class")
            def __init__(self): ...

        for name, one in {"f": function, "o": Object(), "c": Made, "r": requires("itself")}.items():
            app.add_api_route(f"/{name}", lambda: "", dependencies=[Depends(one)])
    """)
    )
    assert set(listing(source).values()) == {"protected"}
    scopes = [row["requirements"][0]["scopes"] for row in listing.rows]
    assert scopes == [["function"], ["object"], ["class"], ["itself"]]


@pytest.mark.parametrize(
    "source",
    [
        COMMON + FASTAPI + "app = FastAPI()\ninstall(app, Guard(VERIFIER))\n",
        COMMON
        + FASTAPI
        + "app = FastAPI()\napp.add_middleware(AuthGuardMiddleware, guard=Guard(VERIFIER))\n",
        FLASK + "init_app(app, Guard(VERIFIER))\n",
    ],
    ids=["install", "add_middleware", "flask"],
)
def test_a_decorator_in_the_wrong_place_is_told(command, source):
    """`requires` above the decorator of a route is an error, because it does not guard the route."""
    route = '@requires("admin")\n@app.get("/wrong")\n@requires("read")\ndef wrong(): ...\n'
    result = command(source + route)
    assert result.exit_code == 1
    assert "@requires must be below the decorator of the route /wrong (wrong)" in result.stderr
    right = '@app.get("/right")\n@requires("admin")\n@requires("read")\ndef right(): ...\n'
    result = command(source + right)
    assert (result.exit_code, "@requires" in result.stderr) == (0, False)


def test_frontends_of_fastapi_are_listed(listing, tmp_path):
    """`app.frontend()` of FastAPI, which serves files outside of the routes, is listed."""
    (tmp_path / "index.html").write_text("hello")
    source = (
        COMMON
        + FASTAPI
        + dedent(f"""
        app = FastAPI(openapi_url=None)
        if not hasattr(app, "frontend"):
            app.frontend = lambda *_, **__: None
        install(app, Guard(VERIFIER, protected_paths=["/none"]))
        app.frontend("/front", directory={str(tmp_path)!r})
    """)
    )
    assert listing(source) in ({"GET /front/**": "unclassified"}, {})


def test_the_root_path_of_fastapi_is_seen(listing):
    """A rule with the `root_path` of a FastAPI application applies in the list as in requests."""
    source = (
        COMMON
        + FASTAPI
        + dedent("""
        import warnings
        with warnings.catch_warnings(action="ignore"):  # it is deprecated, and works
            app = FastAPI(openapi_url=None, root_path="/api")
        install(app, Guard(VERIFIER, protected_paths=["/api/a"]))
        app.get("/a")(hello)
    """)
    )
    assert listing(source) == {"GET /a": "protected"}


def test_the_root_path_of_fastapi_is_seen_from_outside(listing):
    """A guard around a FastAPI application applies rules with and without the `root_path`."""
    source = (
        COMMON
        + FASTAPI
        + dedent("""
        import warnings
        from authguard.asgi import AuthGuardMiddleware
        with warnings.catch_warnings(action="ignore"):  # it is deprecated, and works
            app = FastAPI(openapi_url=None, root_path="/api")
        app.get("/a")(hello)
        app.get("/b")(hello)
        app = AuthGuardMiddleware(app, guard=Guard(VERIFIER, protected_paths=["/api/a"], public_paths=["/b"]))
    """)
    )
    assert listing(source) == {"GET /a": "protected", "GET /b": "public"}


def test_flask_blueprints_views_and_wrappers(listing):
    """Blueprints, view classes, decorators and a guard around `wsgi_app` of Flask are listed."""
    source = FLASK + dedent("""
        class Items(MethodView):
            @requires("write")
            def post(self): return ""
            def get(self): return ""

        blueprint = Blueprint("b", __name__, url_prefix="/b")
        blueprint.add_url_rule("/items", view_func=Items.as_view("items"))

        @blueprint.get("/<int:number>")
        @requires(roles=["boss"])
        def number(number): return ""

        app.register_blueprint(blueprint)
        app.wsgi_app = AuthGuardMiddleware(app.wsgi_app, guard=Guard(VERIFIER, protected_paths=["/none"]))
    """)
    assert listing(source) == {
        "GET /b/items": "unclassified", "POST /b/items": "protected", "GET /b/<int:number>": "protected",
    }  # fmt: skip


def test_wsgi_applications_mounted_beside_flask(listing):
    """Applications that Werkzeug's dispatcher mounts are listed below their path."""
    source = FLASK + dedent("""
        from authguard import ResourceMetadata
        from werkzeug.middleware.dispatcher import DispatcherMiddleware
        other = Flask("other", static_folder=None)
        other.add_url_rule("/x", view_func=lambda: "")
        app.add_url_rule("/a", view_func=lambda: "")
        issuers = ["https://auth.example.com"]
        resource = ResourceMetadata("https://api.example.com", authorization_servers=issuers)
        mounts = {"/other": other, "/raw": lambda environ, start: []}
        app.wsgi_app = DispatcherMiddleware(app.wsgi_app, mounts)
        init_app(app, Guard(VERIFIER, public_paths=["/other"], resource=resource))
    """)
    assert listing(source) == {"GET /other/x": "public", "any /raw/**": "protected", "GET /a": "protected"}


def test_a_parameter_is_not_taken_for_what_a_rule_names(listing):
    """A value of a parameter that another rule names is listed as an exception."""
    source = COMMON + dedent("""
        app = guarded(
            [Route("/users/{id}", hello), Route("/n/{id:int}", hello), Route("/files/{p:path}", hello)],
            protected_paths=["/users", Rule("/n/1", scopes=["one"]), "/files"],
            public_paths=["/users/sample", "/n", "/files/*"],
        )
    """)
    assert listing(source) == {
        "GET /users/{id}": "protected", "GET /n/{id:int}": "public", "GET /files/{p:path}": "public",
    }  # fmt: skip
    exceptions = [
        {exception["path"]: exception["access"] for exception in row["exceptions"]} for row in listing.rows
    ]
    assert exceptions[0] == {"/users/sample": "public"}
    assert exceptions[1] == {"/n/1": "protected"}
    assert exceptions[2] == {"/files/sample-2/2": "protected", "/files/": "protected"}


def test_an_open_end_makes_a_route_unclassified(listing):
    """A route is unclassified if a part of its paths is open without a rule."""
    source = COMMON + "app = guarded([Route('/{p:path}', hello)], protected_paths=['/**'])"
    assert listing(source) == {"GET /{p:path}": "protected"}
    source = COMMON + "app = guarded([Route('/f/{p:path}', hello)], protected_paths=['/f/*'])"
    assert listing(source) == {"GET /f/{p:path}": "unclassified"}


def test_optional_routes_are_told(command):
    """An optional route is listed as "optional", neither public nor protected."""
    source = COMMON + "app = guarded([Route('/a', hello)], protected_paths=[Rule('/a', optional='strict')])"
    result = command(source)
    assert "optional" in result.stdout
    assert "0 public, 1 optional, 0 protected, 0 unclassified" in result.stderr


def test_colours_tell_open_from_protected(command):
    """On a terminal protected routes are green, public ones yellow and unclassified ones red."""
    source = COMMON + dedent("""
        inner = guarded([Route("/x", hello)], public_paths=["/x"])
        app = guarded([Route("/a", hello), Route("/b", hello), Mount("/c", inner)], protected_paths=["/a"])
    """)
    lines = command(source, color=True).stdout.splitlines()[1:]
    assert [line.partition("\x1b[")[2][:2] for line in lines] == ["32", "31", "33"]


def test_rules_with_the_mount_point_in_them_are_told(listing):
    """A rule that includes the mount point applies, and a path that it names is an exception."""
    source = COMMON + dedent("""
        lists = {"public_paths": ["/users"], "protected_paths": ["/in/users/boss"]}
        app = Starlette(routes=[Mount("/in", guarded([Route("/users/{id}", hello)], **lists))])
    """)
    assert listing(source) == {"GET /in/users/{id}": "public"}
    assert {exception["path"]: exception["access"] for exception in listing.rows[0]["exceptions"]} == {
        "/in/users/boss": "protected"
    }


def test_a_factory_is_called(command):
    """With `--factory` the function is called, and without it the error advises to set it."""
    source = COMMON + "def create_app():\n    print('hello')\n    return guarded([Route('/a', hello)])"
    made = command(source, "create_app", "--factory", "--json")
    assert (made.exit_code, json.loads(made.stdout)[0]["path"]) == (0, "/a")
    not_called = command(source, "create_app")
    assert (not_called.exit_code, "--factory" in not_called.stderr) == (2, True)


@pytest.mark.slow
def test_the_identity_service_is_an_application(listing, tmp_path):
    """The guard of the identity service is found, and no route of it is unclassified."""
    source = dedent(f"""
        from authguard.identity import Settings, create_app
        app = create_app(Settings(
            secret="tJ3vX8kQ5zR1nB7wF4mY9cH2pL6dS0gA", issuer="http://localhost", dev=True,
            database="sqlite:///{tmp_path}/a.db",
        ))
    """)
    result = listing(source)
    assert (result["GET /v1/users/me"], result["POST /v1/auth/login"]) == ("protected", "public")
    assert (listing.status, "unclassified" in result.values()) == (0, False)


@pytest.mark.parametrize(
    ("source", "attribute", "words"),
    [
        (COMMON + "app = Starlette(routes=[Route('/a', hello)])", "app", "no AuthGuardMiddleware"),
        ("def broken(:", "app", "SyntaxError"),
        ("import no_such_module", "app", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("import authguard\nauthguard.Rule('x')", "app", "ConfigurationError: path must be a decoded path"),
        ("raise ValueError('MARKER-secret')", "app", "ValueError"),
        ("raise SystemExit(3)", "app", "SystemExit"),
        ("x = 1", "app", "has no app"),
        ("app = object()", "app", "routes of a builtins.object cannot be listed"),
        ("async def app(scope, receive, send): ...", "app", "cannot be listed"),
        (
            COMMON + "app = AuthGuardMiddleware(print, guard=Guard(VERIFIER))",
            "app",
            "routes of a builtins.builtin_function_or_method",
        ),
        ("x = 1", "", "must be module:app"),
    ],
    ids=[
        "no-guard",
        "syntax",
        "module",
        "configuration",
        "value",
        "exit",
        "name",
        "object",
        "asgi",
        "guarded",
        "no-name",
    ],
)
def test_what_cannot_be_listed_is_one_line(command, source, attribute, words):
    """An application that cannot be listed ends the command with 2 and one line with the exception's type."""
    result = command(source, attribute)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert "MARKER" not in result.stderr


@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        ("shop:create_app()", "got a call: write shop:create_app --factory"),
        ("shop:create_app('dev')", "default arguments, and write shop:create_app --factory"),
        ("shop.py:app", "got a file: write shop:app"),
        ("./shop.py", "got a file: write shop:app"),
        ("src/shop.py:api", "got a file: write src.shop:api"),
        ("shop", "such as shop:app"),
        ("shop.api", "such as shop:api"),
        (":app", "such as main:app"),
    ],
)
def test_another_spelling_is_told_the_one_that_works(name, spelling):
    """A call, a file or a path with dots instead of `module:app` is refused with the correct spelling."""
    result = invoke("routes", name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert spelling in result.stderr


@pytest.mark.parametrize(
    ("source", "name", "advice"),
    [
        ("from authguard import Guard", "guard", ""),
        ("import authguard.asgi as api", "app", ""),
        ("from os import fork", "form", ""),
        ("from authguard import Guard\n" + COMMON + "app = Starlette()", "guard", "app"),
        (COMMON + "the_guard = Guard(VERIFIER)\napp = Starlette()", "guard", "the_guard"),
        (COMMON + "application = Starlette()\nother = Starlette()", "aplication", "application"),
    ],
    ids=["class", "module", "foreign function", "other object", "guard", "nearest"],
)
def test_only_applications_and_guards_are_advised(command, source, name, advice):
    """The advice about a misspelt name is an object that works, and never a class or a module."""
    result = command(source, name)
    expected = rf": write \1:{advice}$" if advice else "$"
    assert re.search(rf"(made_up_\d+) has no {name}{expected}", result.stderr.strip())


def test_a_name_with_a_slip_is_told_the_nearest(command):
    """A misspelt name is refused with the nearest name of the module."""
    result = command("def create_app(): ...", "create_ap")
    assert result.exit_code == 2
    assert re.search(r"(made_up_\d+) has no create_ap: write \1:create_app$", result.stderr.strip())


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("app = 1", "not a function"),
        ("def app():\n    raise KeyError('MARKER')", "KeyError"),
        ("def app(x): ...", "without arguments"),
        ("async def app(): ...", "calls a plain one"),
    ],
    ids=["no-function", "raises", "arguments", "async"],
)
def test_a_factory_that_makes_nothing_is_one_line(command, source, words):
    """A factory that fails or returns no application ends the command with 2 and one line."""
    result = command(source, "app", "--factory")
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert words in result.stderr
    assert "MARKER" not in result.stderr


@pytest.mark.slow
def test_no_framework_is_imported_that_the_application_does_not_need(tmp_path):
    """Flask is listed without Starlette, and Starlette without Flask or the identity service."""
    (tmp_path / "one.py").write_text(
        FLASK + "init_app(app, Guard(VERIFIER))\napp.add_url_rule('/a', view_func=id)"
    )
    (tmp_path / "two.py").write_text(COMMON + "app = guarded([Route('/a', hello)])")
    script = dedent("""
        import sys
        for name in sys.argv[2:]:
            sys.modules[name] = None  # as if it were not installed
        from authguard.cli.root import root
        root(["routes", sys.argv[1]])
    """)
    identity = ["sqlalchemy", "alembic", "argon2", "pydantic"]
    for app, missing in (
        ("one:app", ["starlette", "fastapi"]),
        ("two:app", ["flask", "werkzeug", "fastapi"]),
    ):
        done = subprocess.run(
            [sys.executable, "-c", script, app, *missing, *identity],
            check=False, capture_output=True, text=True, timeout=60, cwd=tmp_path,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (
            0,
            "authguard: 1 route: 0 public, 1 protected, 0 unclassified\n",
        )


ASGI_APPLICATION = (
    COMMON
    + FASTAPI
    + dedent("""
    inner = guarded(
        [Route("/open/{x}", hello), Route("/x", hello), WebSocketRoute("/ws/{n:int}", socket)],
        public_paths=["/open"],
    )
    app = FastAPI()
    install(app, Guard(
        VERIFIER,
        protected_paths=[
            "/api", "/users/admin", Rule("/w", methods=["POST"]), "/files/*", Rule("/o", optional="strict"),
        ],
        **LISTS,
    ))
    router = APIRouter(prefix="/r")
    router.get("/{n:int}/{f:float}/{u:uuid}")(lambda: "")
    router.websocket("/ws")(socket)
    app.include_router(router, prefix="/open", dependencies=[])
    app.include_router(router, prefix="/api")
    app.include_router(router, prefix="/asks", dependencies=[Depends(current_user)])
    app.get("/users/{id}")(lambda: "")
    app.get("/files/{p:path}")(lambda: "")
    for method in ("GET", "POST", "PUT"):
        app.api_route("/w", methods=[method])(lambda: "")
    app.get("/o/{a}-{b}.txt")(lambda: "")
    app.get("/asked")(requires("x")(lambda: ""))
    app.get("/odd//path")(lambda: "")
    app.mount("/open/in", inner)
    app.mount("/api/in", inner)
    app.mount("/else/{tenant}", inner)
""")
)


@pytest.mark.parametrize("lists", ["{}", "{'public_paths': ['/open', '/files', '/o/x']}"])
def test_the_middleware_does_what_is_told_on_asgi(command, lists):
    """The sample of each route is refused without a credential if and only if it is listed as protected."""
    result = command(f"LISTS = {lists}\n" + ASGI_APPLICATION, "app", "--json")
    rows = json.loads(result.stdout)
    client = TestClient(command.module.app)
    assert len(rows) > 20
    for row in rows:
        paths = [row, *row["exceptions"]]
        for method, told in itertools.product(row["methods"], paths):
            path = told.get("sample") or told["path"]
            refused = _refused(client, method, path)
            assert refused is (told["access"] == "protected"), (method, path, told)


def _refused(client, method, path):
    if method == "WEBSOCKET":
        try:
            with client.websocket_connect(path):
                return False
        except WebSocketDenialResponse as denied:
            return denied.status_code == 401
    status = client.request(method, path).status_code
    assert status in (200, 401, 422)  # never 404, because the sample is a path of the route
    return status == 401


def test_the_middleware_does_what_is_told_on_wsgi(command):
    """On WSGI, too, a sample is refused without a credential if and only if it is listed as protected."""
    source = FLASK + dedent("""
        for rule in (
            "/a/<x>", "/i/<int:n>", "/f/<float:n>", "/u/<uuid:u>", "/p/<path:p>", "/p/<path:p>/end",
            "/any/<any(one, two):x>", "/s/<string(length=6):x>", "/mixed/<x>-<int:n>.txt",
            "/open/<x>", "/open/",
        ):
            app.add_url_rule(rule, rule, lambda **_: "", methods=["GET", "POST"])
        app.add_url_rule("/asks/<x>", "asks", requires()(lambda x: ""))
        init_app(app, Guard(
            VERIFIER,
            protected_paths=["/a/sample", "/any/one", "/p/*/end", "/i/1", Rule("/u", methods=["POST"])],
            public_paths=["/any", "/a", "/open", "/p", "/mixed", "/i", "/asks", "/u"],
        ))
    """)
    rows = json.loads(command(source, "app", "--json").stdout)
    client = command.module.app.test_client()
    assert len(rows) > 12
    for row in rows:
        for method, told in itertools.product(row["methods"], [row, *row["exceptions"]]):
            path = told.get("sample") or told["path"]
            status = client.open(path, method=method).status_code
            assert status in (200, 401), path
            assert (status == 401) is (told["access"] == "protected"), (method, path, told)


QUOTAS = (
    COMMON
    + "from authguard import Quota\n"
    + "app = guarded([Route('/search', hello), Route('/free', hello), Route('/a', hello)], protected_paths=["
    + "Rule('/search', scopes=['read'], quota=[Quota(5, 60, name='search'), Quota(9, 'day')], cost=2), "
    + "Rule('/free', cost=0), '/a'])"
)


def test_the_quotas_of_a_rule_stand_with_what_it_asks(command):
    """Quotas and the cost of a rule are listed with its requirements, unless the cost is 1."""
    lines = [" ".join(line.split()) for line in command(QUOTAS).stdout.splitlines()]
    quotas = "5 per 60 seconds (search), 9 per calendar day (/search per-day)"
    assert lines[1].startswith(f"GET /search protected: scope read, {quotas}, cost 2 protected by Rule(")
    assert lines[2].startswith("GET /free protected: cost 0 protected by Rule(")
    assert lines[3] == "GET /a protected protected by Rule('/a')"


def test_the_quotas_of_a_rule_are_in_the_json(listing):
    """The JSON has all members of the quotas of a rule."""
    listing(QUOTAS)
    assert [row["cost"] for row in listing.rows] == [2, 0, 1]
    assert [row["quotas"] for row in listing.rows[1:]] == [[], []]
    assert listing.rows[0]["quotas"] == [
        {"name": "search", "count": 5, "seconds": 60, "by": "owner", "enforce": True},
        {"name": "/search per-day", "count": 9, "seconds": "day", "by": "owner", "enforce": True},
    ]
