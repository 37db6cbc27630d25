"""`authguard routes` reports rules that match no route, and fails for those that should protect."""

import json
from textwrap import dedent

import pytest

from authguard._routes.paths import ANYTHING_BELOW, Parameter, can_meet, template
from cli.route_sources import COMMON, FASTAPI, FLASK


@pytest.fixture
def findings(command):
    """Return a function that returns the findings of an application as kind by path."""

    def call(source, *options):
        result = command(source, "app", *options, "--json")
        rows = [row for row in json.loads(result.stdout) if "severity" in row]
        call.rows, call.status, call.stderr = rows, result.exit_code, result.stderr
        return {row["path"]: row["access"] for row in rows}

    return call


def app(routes, **lists):
    """Return the source of an application of Starlette."""
    listed = ", ".join(f"{name}={value}" for name, value in lists.items())
    return COMMON + f"app = guarded([{routes}], {listed})"


USERS = "Route('/users/{id}', hello), Route('/', hello)"


@pytest.mark.parametrize(
    "rule",
    [
        "/users/7",
        "/users/*",
        "/users",
        "/",
        "/**",
        "/*",
        "/**/7",
        "/USERS",
        "/*/7",
        "/users/**",
        "/users/*/**",
    ],
)
def test_rule_that_can_match_a_route_is_no_finding(findings, rule):
    """A rule that shares a path with a route is no finding."""
    assert findings(app(USERS, protected_paths=["/users", rule] if rule == "/" else [rule])) == {}
    assert "matches no route" not in findings.stderr


@pytest.mark.parametrize(
    "rule", ["/user", "/users/7/keys", "/users/*/*", "/users/*/keys/**", "/admin", "/x/**"]
)
def test_protected_rule_that_matches_no_route_fails(findings, rule):
    """A protected rule that matches no route is an error with advice and exit status 1."""
    assert findings(app(USERS, protected_paths=["/", rule], public_paths=["/users"])) == {rule: "unmatched"}
    assert (findings.status, findings.rows[0]["severity"]) == (1, "error")
    assert (
        f"error: Rule({rule!r}) in protected_paths matches no route, so it protects nothing"
        in findings.stderr
    )
    assert f"--allow {rule!r}" in findings.stderr


@pytest.mark.parametrize("rule", ["/user", "/users/7/keys", "/USERS", "/users/*/**/x", "/*/*/*"])
def test_public_rule_that_matches_no_route_is_a_warning(findings, rule):
    """A public rule that matches no route, or only in another case, is a warning with exit status 0."""
    assert findings(app(USERS, public_paths=[rule])) == {rule: "unmatched"}
    assert (findings.status, findings.rows[0]["severity"]) == (0, "warning")
    assert f"warning: Rule({rule!r}) in public_paths matches no route, so it opens nothing" in findings.stderr


@pytest.mark.parametrize(
    ("routes", "rule", "unmatched"),
    [
        ("Route('/a', hello)", "/", True),
        ("Route('/a', hello)", "/*", False),
        ("Route('/a/b', hello)", "/*", True),
        ("Route('/a/b', hello)", "/a", False),
        ("Route('/a/', hello)", "/a", False),
        ("Route('/a/', hello)", "/*", False),
        ("Route('/a/', hello)", "/a/*", True),
        ("Route('/a/b/c', hello)", "/**/c", False),
        ("Route('/a/b/c', hello)", "/a/**", False),
        ("Route('/a', hello)", "/a/**", False),
        ("Route('/{p:path}', hello)", "/", False),
    ],
)
def test_public_rule_matches_just_what_it_opens(findings, routes, rule, unmatched):
    """A public rule for the root or with a wildcard does not match paths below it."""
    assert findings(app(routes, public_paths=[rule])) == ({rule: "unmatched"} if unmatched else {})


@pytest.mark.parametrize(
    ("route", "rule", "matches"),
    [
        ("/n/{id:int}", "/n/7", True),
        ("/n/{id:int}", "/n/me", False),
        ("/n/{id:int}/x", "/n/*/x", True),
        ("/{a}-{b}.txt", "/x-y.txt", True),
        ("/{a}-{b}.txt", "/x", False),
        ("/files/{p:path}", "/files/a/b/c", True),
        ("/files/{p:path}", "/files/*/b/**", True),
        ("/files/{p:path}", "/file", False),
        ("/{p:path}.html", "/docs/a.html", True),
        ("/{p:path}.html", "/docs", True),
        ("/{p:path}/end", "/a/*/end", True),
        ("/{p:path}/end", "/a/**/end", True),
        ("/{t}/users/{id}", "/acme/users", True),
        ("/{t}/users/{id}", "/acme/groups", False),
        ("/café/{x}", "/CAFÉ", True),
    ],
)
def test_parameters_match_the_words_that_they_may_be(findings, route, rule, matches):
    """Parameters match the words of their type, as a part of a segment or several segments."""
    source = app(f"Route({route!r}, hello)", protected_paths=["/", rule])
    assert findings(source) == ({} if matches else {rule: "unmatched"})


@pytest.mark.parametrize(
    ("route", "methods", "matches"),
    [
        ("Route('/a', hello)", ["GET"], True),
        ("Route('/a', hello)", ["DELETE"], False),
        ("Route('/a', hello)", ["DELETE", "GET"], True),
        ("Route('/a', hello, methods=['DELETE'])", ["DELETE"], True),
        ("Route('/a', hello, methods=['DELETE'])", ["GET"], False),
        ("Route('/a', hello)", ["WEBSOCKET"], False),
        ("Route('/a', hello)", ["OPTIONS"], True),
        ("WebSocketRoute('/a', socket)", ["WEBSOCKET"], True),
        ("WebSocketRoute('/a', socket)", ["GET"], True),
        ("WebSocketRoute('/a', socket)", ["POST"], False),
        ("WebSocketRoute('/a', socket)", ["OPTIONS"], False),
        ("Mount('/a', lambda scope, receive, send: None)", ["DELETE"], True),
    ],
)
def test_methods_of_rules_and_routes_must_meet(findings, route, methods, matches):
    """A rule matches a route only if they share a method."""
    result = findings(app(route, protected_paths=f"[Rule('/a', methods={methods})]", public_paths=["/o"]))
    assert ("/a" in result) is not matches


def test_public_rule_for_get_opens_no_websocket(findings):
    """A public rule for GET does not match a websocket."""
    rules = "[Rule('/a', methods=['GET'])]"
    assert findings(app("WebSocketRoute('/a', socket)", public_paths=rules)) == {"/a": "unmatched"}


def test_what_is_below_a_mount_that_cannot_be_listed_is_unknown(findings, tmp_path):
    """A rule below a mount that cannot be listed is a note."""
    routes = f"""
        Mount("/raw", lambda scope, receive, send: None),
        Mount("/static", StaticFiles(directory={str(tmp_path)!r})),
        Mount("/in/{{x}}", lambda scope, receive, send: None),
    """
    source = "from starlette.staticfiles import StaticFiles\n" + app(
        routes,
        protected_paths=["/raw/admin", "/static/private/**", "/raw/*", "/in/7/x/y", "/row"],
        public_paths=["/raw", "/static/**", "/raw/*/x"],
    )
    unknown = ["/raw/admin", "/static/private/**", "/in/7/x/y", "/raw/*/x"]
    assert findings(source) == {**dict.fromkeys(unknown, "unknown"), "/row": "unmatched"}
    assert {row["severity"] for row in findings.rows if row["access"] == "unknown"} == {"note"}
    assert "note: Rule('/raw/admin') in protected_paths may match something below /raw/**" in findings.stderr


def test_unknown_rules_do_not_fail(findings):
    """A rule that may match an unlisted path does not fail the command."""
    source = app(
        "Mount('/raw', lambda scope, receive, send: None)", protected_paths=["/raw/x"], public_paths=["/o/*"]
    )
    assert findings(source) == {"/raw/x": "unknown", "/o/*": "unmatched"}
    assert findings.status == 0


def test_login_pages_and_metadata_are_there(findings):
    """Rules for login pages and for the metadata of the resource are no findings."""
    source = COMMON + dedent("""
        from authguard import ResourceMetadata
        issuers = ["https://auth.example.com"]
        app = guarded(
            [Route("/a", hello)],
            protected_paths=["/", Rule("/a", login_path="/staff")],
            public_paths=["/login", "/staff", "/.well-known", "/nothing"],
            login_path="/login",
            resource=ResourceMetadata("https://api.example.com", authorization_servers=issuers),
        )
    """)
    assert findings(source) == {"/nothing": "unmatched"}


def test_rules_of_mounted_guards(findings):
    """A protected rule of a mounted guard may include the mount point, and a public one may not."""
    source = COMMON + dedent("""
        inner = guarded(
            [Route("/users/{id}", hello), Route("/x", hello)],
            protected_paths=["/in/users", "/out/users"], public_paths=["/x", "/in/x"],
        )
        app = guarded([Mount("/in", inner), Route("/y", hello)], protected_paths=["/in/users/7", "/x"])
    """)
    assert findings(source) == {"/out/users": "unmatched", "/in/x": "unmatched", "/x": "unmatched"}


def test_one_guard_in_two_places(findings):
    """A rule of a guard in two places must match a route in one of them."""
    source = COMMON + dedent("""
        guard = Guard(VERIFIER, protected_paths=["/a", "/b", "/c"])
        one = AuthGuardMiddleware(Starlette(routes=[Route("/a", hello)]), guard=guard)
        two = AuthGuardMiddleware(Starlette(routes=[Route("/b", hello)]), guard=guard)
        app = Starlette(routes=[Mount("/one", one), Mount("/two", two)])
    """)
    assert findings(source) == {"/c": "unmatched"}


def test_rules_of_fastapi_applications(findings):
    """Rules match routes of included routers, mounted applications and a root path of FastAPI."""
    source = (
        COMMON
        + FASTAPI
        + dedent("""
        router = APIRouter(prefix="/users")
        router.get("/{id}")(lambda id: "")
        other = FastAPI(openapi_url=None)
        other.get("/{rest:path}")(lambda rest: "")
        app = FastAPI()
        app.include_router(router, prefix="/v1")
        app.mount("/other", other)
        install(app, Guard(
            VERIFIER, public_paths=["/docs", "/openapi.json", "/redirect"], protected_paths=[
                "/v1/users/7", "/other/a/b", "/users", "/v1/users/7/x", "/", Rule("/v1/*", methods=["PUT"]),
            ],
        ))
    """)
    )
    unmatched = ["/users", "/v1/users/7/x", "/v1/*", "/redirect"]
    assert findings(source) == dict.fromkeys(unmatched, "unmatched")


def test_root_path_of_fastapi_counts_as_mount_point(findings):
    """A protected rule may include the root path of a FastAPI application."""
    source = (
        COMMON
        + FASTAPI
        + dedent("""
        import warnings
        with warnings.catch_warnings(action="ignore"):  # it is deprecated, and works
            app = FastAPI(openapi_url=None, root_path="/api")
        app.get("/a")(hello)
        install(app, Guard(VERIFIER, protected_paths=["/api/a", "/a", "/v1/a"]))
    """)
    )
    assert findings(source) == {"/v1/a": "unmatched"}


def test_rules_of_flask_applications(findings):
    """Rules match blueprints, converters and mounts of Flask; unlisted mounts make notes."""
    source = FLASK + dedent("""
        from werkzeug.middleware.dispatcher import DispatcherMiddleware
        blueprint = Blueprint("b", __name__, url_prefix="/b")
        blueprint.add_url_rule("/<int:n>", view_func=lambda n: "")
        blueprint.add_url_rule("/files/<path:p>", "files", lambda p: "")
        app.register_blueprint(blueprint)
        other = Flask("other", static_folder=None)
        other.add_url_rule("/x", view_func=lambda: "")
        mounts = {"/other": other, "/raw": lambda environ, start: []}
        app.wsgi_app = DispatcherMiddleware(app.wsgi_app, mounts)
        init_app(app, Guard(VERIFIER, public_paths=["/raw/x"], protected_paths=[
            "/b/7", "/b/files/a/b", "/other/x", "/b/me", "/other/y", Rule("/b/*", methods=["POST"]), "/raw",
        ]))
    """)
    unmatched = ["/b/me", "/other/y", "/b/*"]
    assert findings(source) == {**dict.fromkeys(unmatched, "unmatched"), "/raw/x": "unknown"}


ALLOWING = app(
    "Route('/a', hello)",
    protected_paths="['/a', Rule('/old', methods=['GET']), Rule('/old', methods=['PUT']), '/gone/*', '/']",
    public_paths="['/o']",
)


def test_allowed_rules_are_no_finding(findings):
    """`--allow` accepts all rules of a path that match no route."""
    assert findings(ALLOWING, "--allow", "/old/", "--allow", "/gone/*", "--allow", "/o") == {}
    assert findings.status == 0


def test_one_rule_that_is_not_allowed_fails(findings):
    """Each unmatched path needs an `--allow` of its own."""
    assert findings(ALLOWING, "--allow", "/old", "--allow", "/o") == {"/gone/*": "unmatched"}
    assert findings.status == 1


@pytest.mark.parametrize(
    ("pattern", "reason"), [("/a", "the rule matches a route"), ("/made/up", "no rule has this path")]
)
def test_option_that_is_not_needed_is_told(findings, pattern, reason):
    """An `--allow` that is not needed is a warning, because it could hide a later fault."""
    options = [text for path in ("/old", "/gone/*", "/o", pattern) for text in ("--allow", path)]
    assert findings(ALLOWING, *options) == {pattern: "unneeded"}
    assert (findings.status, findings.rows[0]["severity"]) == (0, "warning")
    assert f"--allow {pattern} is not needed: {reason}" in findings.stderr


def test_allowed_patterns_are_checked(command):
    """A pattern of another router in `--allow` is refused with the correct spelling."""
    result = command(ALLOWING, "app", "--allow", "/users/{id}")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "got '/users/{id}'" in result.stderr and "write '/users/*'" in result.stderr


def test_findings_are_told_beside_the_table(command):
    """Findings are lines on standard error, and the table has routes alone."""
    result = command(app("Route('/a', hello)", protected_paths=["/a", "/b"], public_paths=["/c"]))
    lines = result.stderr.splitlines()
    assert [line.split(": ")[1] for line in lines] == ["error", "warning", "1 route"]
    assert "/b" not in result.stdout
    assert result.exit_code == 1


def test_findings_in_json_have_the_members_of_a_route(findings):
    """Findings in JSON have the members of a route, without methods."""
    findings(app("Route('/a', hello)", protected_paths=["/a", "/b"], public_paths=["/a/x"]))
    assert findings.rows[0] == {
        "methods": [], "path": "/b", "host": None, "sample": None, "access": "unmatched", "requirements": [],
        "by": [findings.stderr.splitlines()[0].removeprefix("authguard: error: ")], "exceptions": [],
        "severity": "error",
    }  # fmt: skip


@pytest.mark.slow
def test_the_identity_service_has_no_finding(findings, tmp_path):
    """The rules of the identity service each match a route."""
    source = dedent(f"""
        from authguard.identity import Settings, create_app
        app = create_app(Settings(
            secret="tJ3vX8kQ5zR1nB7wF4mY9cH2pL6dS0gA", issuer="http://localhost", dev=True,
            database="sqlite:///{tmp_path}/a.db",
        ))
    """)
    assert findings(source) == {}


@pytest.mark.parametrize(
    ("rule", "listed", "unlisted"),
    [(("m",), True, True), (("m", "*"), True, True), (("m", "**"), True, True), (("m", "x"), False, True),
     (("m", "*", "x"), False, True), (("**", "x"), False, True), (("x",), False, False)],
)  # fmt: skip
def test_meeting_what_cannot_be_listed(rule, listed, unlisted):
    """A rule below a mount matches words of its own only if the mount is unlisted."""
    path = (*template(["/m"]), ANYTHING_BELOW)
    meets = [can_meet(path, rule, below=True, any_case=True, unlisted=each) for each in (False, True)]
    assert meets == [listed, unlisted]
    parameter = template(["/m/", Parameter(".*")])  # a parameter of a route, so that the route is listed
    assert can_meet(parameter, rule, below=True, any_case=True, unlisted=False) is unlisted


LIFTED = ["Rule('/users', roles=['ADMIN'])", "Rule('/users/*', cost=5)", "'/'"]


def test_a_rule_that_lifts_a_requirement_fails(findings):
    """A rule with a cost that does not repeat the roles of a broader one is an error with advice."""
    source = app(USERS, protected_paths=f"[{', '.join(LIFTED)}]", quotas=[])
    assert findings(source) == {"/users/*": "lifted"}
    assert findings.status == 1
    assert "whose requirement (one of the roles ADMIN) it does not repeat" in findings.rows[0]["by"][0]


def test_a_rule_that_lifts_a_requirement_on_purpose(findings):
    """With --allow such a rule is accepted, and the option counts as needed."""
    source = app(USERS, protected_paths=f"[{', '.join(LIFTED)}]", quotas=[])
    assert findings(source, "--allow", "/users/*") == {}
    assert findings.status == 0


@pytest.mark.parametrize("framework", ["starlette", "flask"])
def test_a_rule_that_misses_its_beginning_fails(findings, framework):
    """A route `/admin` without the requirement of `/admin/*` is an error; `--allow` accepts it."""
    rules = """["/", Rule("/admin/*", roles=["admin"])]"""
    source = app("Route('/admin', hello), Route('/admin/users', hello)", protected_paths=rules)
    if framework == "flask":
        source = FLASK + dedent(
            f"""
            app.add_url_rule("/admin", "admin", lambda: "")
            app.add_url_rule("/admin/users", "users", lambda: "")
            init_app(app, Guard(VERIFIER, protected_paths={rules}))
            """
        )
    assert findings(source) == {"/admin/*": "uncovered"}
    assert (findings.status, findings.rows[0]["severity"]) == (1, "error")
    assert "write '/admin', which covers both" in findings.stderr
    assert findings(source, "--allow", "/admin/*") == {}
    assert findings.status == 0
