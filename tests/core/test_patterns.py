"""Path patterns of other routers are refused with the correct spelling."""

import ast
import re
from pathlib import PurePosixPath
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Route, compile_path
from werkzeug.routing import Map
from werkzeug.routing import Rule as WerkzeugRule

from authguard import ConfigurationError, Guard, Rule
from authguard._core.policy.patterns import listed, local_path
from authguard._core.policy.policy import Policy
from authguard._core.policy.spelling import spelling_of


def error_of(pattern):
    """Return the message with which a pattern is refused."""
    with pytest.raises(ConfigurationError) as caught:
        Rule(pattern)
    return str(caught.value)


#: By framework: the pattern, and the spelling that covers the same.
EQUAL = {
    "FastAPI": ("/users/{id}", "'/users/*'"),
    "FastAPI, rest": ("/files/{rest:path}", "'/files/**'"),
    "FastAPI, text": ("/users/{id:str}/keys", "'/users/*/keys'"),
    "FastAPI, without a slash": ("users/{id}", "'/users/*'"),
    "Flask": ("/users/<id>", "'/users/*'"),
    "Flask, text": ("/users/<string:id>", "'/users/*'"),
    "Flask, rest": ("/files/<path:rest>", "'/files/**'"),
    "Sanic": ("/users/<name:str>", "'/users/*'"),
    "Bottle": ("/files/<rest:path>", "'/files/**'"),
    "Django": ("admin/", "'/admin'"),
    "Django, text": ("users/<str:name>/", "'/users/*'"),
    "Django, regex": (r"^users/(?P<pk>[^/]+)/", "'/users/*'"),
    "Express": ("/users/:id/keys", "'/users/*/keys'"),
    "Express 5": ("/files/*splat", "'/files/**'"),
    "Express 5, anything": ("/{*splat}", "'/**'"),
    "Express 4, anything": ("(.*)", "'/**'"),
    "Express 4, rest": ("/files/:rest*", "'/files/**'"),
    "Express 4, more": ("/files/:rest+", "'/files/**'"),
    "Rails": ("/files/*path", "'/files/**'"),
    "nginx": ("location /img/ {", "'/img'"),
    "nginx, prefix": ("^~ /img/", "'/img'"),
    "nginx, regex": ("~ ^/admin", "'/admin'"),
    "Apache": ('<Location "/admin">', "'/admin'"),
    "Traefik": ("PathPrefix(`/admin`)", "'/admin'"),
    "Spring": ("/files/{*path}", "'/files/**'"),
    "Spring, any": ("/{id:[^/]+}", "'/*'"),
    "API Gateway": ("/{proxy+}", "'/**'"),
    "Rocket": ("/files/<path..>", "'/files/**'"),
    "URI template": ("/files/{+path}", "'/files/**'"),
    "URI template, exploded": ("/files/{path*}", "'/files/**'"),
    "gRPC": ("/v1/{name=projects/*}", "'/v1/**'"),
    "a list with semicolons": ("/admin;/users", "'/admin', '/users'"),
    "Next.js": ("/users/[id]", "'/users/*'"),
    "Next.js, rest": ("/docs/[...slug]", "'/docs/**'"),
    "Next.js, maybe": ("/docs/[[...slug]]", "'/docs/**'"),
    "Next.js, group": ("/(shop)/about", "'/about'"),
    "Starlette, rest twice": ("/files/{a:path}/{b:path}", "'/files/**'"),
    "aiohttp": ("/files/{tail:.*}", "'/files/**'"),
    "ASP.NET": ("/files/{**slug}", "'/files/**'"),
    "Go": ("GET /files/{rest...}", "Rule('/files/**', methods=['GET'])"),
    "template text": ("/users/${id}", "'/users/*'"),
    "TanStack, Remix": ("/users/$id", "'/users/*'"),
    "TanStack, in the middle": ("/users/$user_id/posts/$postId", "'/users/*/posts/*'"),
    "a variable of a shell": ("/$HOME/x", "'/*/x'"),
    "MQTT": ("/users/+", "'/users/*'"),
    "MQTT, in the middle": ("/sensors/+/temperature", "'/sensors/*/temperature'"),
    "two colons": ("/users/::id", "'/users/*'"),
    "two colons, in the middle": ("/users/::id/posts", "'/users/*/posts'"),
    "regex": ("/admin/.*", "'/admin/**'"),
    "regex, at least one": ("/admin/.+", "'/admin/**'"),
    "regex, root": ("^/$", "'/'"),
    "regex, slash": (r"^\/admin/?", "'/admin'"),
    "regex, dot": (r"^/a\.b", "'/a.b'"),
    "alternatives": ("/a|/b", "'/a', '/b'"),
    "alternatives in a group": ("/(a|b)/c", "'/a/c', '/b/c'"),
    "alternatives in braces": ("/static/{css,js}", "'/static/css', '/static/js'"),
    "a list in one text": ("/admin, /users", "'/admin', '/users'"),
    "a list with commas": ("/admin,/users/{id}", "'/admin', '/users/*'"),
    "a list of paths with commas": ("/admin,/users", "'/admin', '/users'"),
    "a list by lines": ("/admin\n/users", "'/admin', '/users'"),
    "a list as JSON": ('["/admin", "/users"]', "'/admin', '/users'"),
    "method": ("GET /users", "Rule('/users', methods=['GET'])"),
    "methods": ("get|post /users/:id", "Rule('/users/*', methods=['GET', 'POST'])"),
    "HEAD": ("HEAD /users", "Rule('/users', methods=['GET'])"),
    "any method": ("ANY /users", "'/users'"),
    "websocket": ("WS /ws", "Rule('/ws', methods=['WEBSOCKET'])"),
    "encoded": ("/caf%C3%A9", "'/café'"),
    "encoded space": ("/a%20b", "'/a b'"),
    "encoded parameter": ("/%7Bid%7D", "'/*'"),
    "Windows": ("\\admin\\users", "'/admin/users'"),
    "slashes": ("//admin", "'/admin'"),
    "dots": ("/a/./b/../c", "'/a/c'"),
    "space before": (" /admin", "'/admin'"),
    "space after": ("/admin\n", "'/admin'"),
    "quotes": ('"/admin"', "'/admin'"),
    "invisible": ("/a\u200b", "'/a'"),
    "compatibility": ("/\uff41", "'/a'"),
    "parameters of a path": ("/a;v=1/b", "'/a/b'"),
    "negation": ("!/admin", "'/admin'"),
    "stars": ("/***", "'/**'"),
    "star": ("*", "'/**'"),
    "nothing": ("", "'/'"),
}

#: The same for patterns whose next spelling covers more.
WIDER = {
    "chi, anything": ("/files/{rest:*}", "'/files/**'"),
    "Hono, more of a class": ("/users/:id{[0-9]+}", "'/users/*'"),
    "Express 4, a choice that may be missing": ("/(en|de)?/admin", "'/**/admin'"),
    "Express 4, a word that may be missing": ("/a/(b)?/c", "'/a/**/c'"),
    "Starlette, number": ("/users/{id:int}", "'/users/*'"),
    "Starlette, partly": ("/{name}.json", "'/*'"),
    "Flask, number": ("/users/<int:id>", "'/users/*'"),
    "Flask, length": ("/x/<string(length=2):x>", "'/x/*'"),
    "Flask, choice": ("/x/<any(one, two):x>", "'/x/*'"),
    "Django, number": ("users/<int:pk>/", "'/users/*'"),
    "Django, regex": (r"^users/(?P<pk>\d+)/$", "'/users/*'"),
    "Express, maybe": ("/users/:id?", "'/users'"),
    "Express, maybe all": ("/:id?", "'/**'"),
    "Express, maybe below": ("/:a/:id?", "'/*/**'"),
    "Express, number": (r"/users/:id(\d+)", "'/users/*'"),
    "Express, two": ("/:from-:to", "'/*'"),
    "Express, inside": ("/flights/x-:to", "'/flights/*'"),
    "Express, extension": ("/file.:ext", "'/*'"),
    "Express 5, maybe": ("/a{/:b}", "'/a/**'"),
    "Rails, format": ("/posts(.:format)", "'/*'"),
    "Rails, maybe": ("/posts(/:id)", "'/posts/**'"),
    "Rails, maybe text": ("/posts(/edit)", "'/posts/**'"),
    "nginx, exact": ("= /exact", "'/exact'"),
    "nginx, regex": (r"~* \.php$", "'/**'"),
    "Spring, file": ("/*.html", "'/*'"),
    "Spring, letter": ("/user?", "'/*'"),
    "Spring, regex": ("/{id:[a-z]+}", "'/*'"),
    "Spring, suffix": ("/x/**.js", "'/x/**'"),
    "Next.js, intercepted": ("/(..)photo", "'/*'"),
    "Next.js, maybe one": ("/[[lang]]/about", "'/**/about'"),
    "Next.js, matcher": ("/((?!api|_next/static).*)", "'/**'"),
    "Bottle, regex": ("/<name:re:[a-z]+>", "'/*'"),
    "Falcon": ("/x/{id:int(2)}", "'/x/*'"),
    "aiohttp": (r"/x/{name:\d{3}}", "'/x/*'"),
    "ASP.NET, maybe": ("/x/{id?}", "'/x'"),
    "ASP.NET, default": ("/{lang=en}/about", "'/**/about'"),
    "Go, end": ("/items/{$}", "'/items'"),
    "Python": ("/users/%(id)s", "'/users/*'"),
    "beginning": ("/a*", "'/*'"),
    "regex, prefix": ("/admin.*", "'/**'"),
    "regex, end": ("/admin$", "'/admin'"),
    "regex, whole": (r"\A/admin\Z", "'/admin'"),
    "regex, letters": ("/[a-z]+/x", "'/*/x'"),
    "regex, maybe letters": ("/[a-z]*/x", "'/**/x'"),
    "regex, not": ("/[^.]+", "'/**'"),
    "regex, repeated": (r"/\d{2,3}", "'/*'"),
    "regex, maybe a suffix": (r"/page(\.html)?", "'/*'"),
    "regex, maybe below": ("/a(/.*)?", "'/a/**'"),
    "regex, repeated text": ("/a(b)+", "'/*'"),
    "regex, maybe text": ("/a(b)?", "'/*'"),
    "regex, inside": ("/a.+b", "'/**'"),
    "URL": ("https://host/admin", "'/admin'"),
    "URL, host only": ("https://host", "'/'"),
    "URL, port": ("localhost:8000/admin", "'/admin'"),
    "URL, pattern": ("*://*/admin/*", "'/admin/*'"),
    "query": ("/search?q=", "'/search'"),
    "fragment": ("/a#b", "'/a'"),
    "trailing dot": ("/a./b", "'/*/b'"),
    "unbalanced": ("/a{b/c", "'/*/c'"),
    "unbalanced list": ("^(/a|/b)", "'/**'"),
}


@pytest.mark.parametrize(("pattern", "spelling"), EQUAL.values(), ids=EQUAL)
def test_foreign_pattern_is_refused_with_the_equal_spelling(pattern, spelling):
    """The error contains the spelling that covers the same, without a remark about covering more."""
    message = error_of(pattern)
    assert message.partition(": write ")[2] == spelling


@pytest.mark.parametrize(("pattern", "spelling"), WIDER.values(), ids=WIDER)
def test_foreign_pattern_is_refused_with_the_next_wider_spelling(pattern, spelling):
    """The error contains the next wider spelling, and the remark that it covers more."""
    message = error_of(pattern)
    assert message.partition(": write ")[2].startswith(f"{spelling}, which covers more (in public_paths,")


@pytest.mark.parametrize("converter", ["str", "string", "default", "unicode"])
def test_a_converter_that_takes_any_segment_is_equal_to_a_star(converter):
    """A converter of Starlette, Sanic, Flask or Django that takes any segment is translated to a star."""
    for parameter in (f"{{id:{converter}}}", f"<id:{converter}>", f"<{converter}:id>"):
        assert error_of(f"/users/{parameter}").endswith("write '/users/*'")


@pytest.mark.parametrize(
    "method",
    ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "REPORT", "QUERY"],
)
def test_each_method_before_a_path_is_translated(method):
    """A method before a path, in capitals or not, is translated to `methods`."""
    assert error_of(f"{method} /users").endswith(f"write Rule('/users', methods=['{method}'])")
    assert error_of(f"{method.lower()}: /users").endswith(f"write Rule('/users', methods=['{method}'])")


@pytest.mark.parametrize(
    ("pattern", "spelling"),
    [("/admin*", "'/admin'"), ("/a/b.*", "'/a/b'"), ("/search?debug", "'/search'"), ("/user?", "'/user'")],
)
def test_prefix_is_offered_beside_the_wider_rule(pattern, spelling):
    """The error offers the plain path beside the wider rule."""
    assert error_of(pattern).endswith(f", or {spelling} for it and what is below it")


@pytest.mark.parametrize(
    "path",
    [
        "/@user", "/v1/users:batchGet", "/urn:isbn:1", "/12:30", "/a+b", "/c++", "/odata/$metadata",
        "/Products(1)", "/Products('x')",
        "/Default.GetX(a=1)", "/wiki/Foo_(bar)", "/~home", "/file.html", "/a,b", "/a=b", "/x&y", "/a!b",
        "/café", "/.well-known/x", "/a b", "/a(b", "/:", "/1:2", "/-", "/$value/x", "/a/*/b", "/admin/**",
        "/**/x", "/*",
        "/++", "/a/c+", "/+a", "/a++b/+1", "/$/x", "/a$b", "/x/$1", "/$-a", "/price$id", "/a/$id-x",
        "/Patient/$everything", "/odata/$batch", "/Users/$count", "/odata/$ref", "/$metadata", "/::", "/a::b",
        "/::1", "/std::vector", "/Observation/$lastn", "/x/$value",
    ],
)  # fmt: skip
def test_characters_of_real_paths_are_taken(path):
    """A path with characters that real paths have is accepted."""
    assert Rule(path).segments == tuple(path.strip("/").split("/"))


class RoutePattern:
    """Convert to text as `URLPattern.pattern` of Django does."""

    def __str__(self):
        return "users/<int:pk>/"


OBJECTS = {
    "regex": (re.compile(r"^/admin/.*$"), "Pattern", "'/admin/**'"),
    "bytes regex": (re.compile(rb"^/admin"), "Pattern", "'/admin'"),
    "pathlib": (PurePosixPath("/admin"), "PurePosixPath", "'/admin'"),
    "bytes": (b"/admin", "bytes", "'/admin'"),
    "None": (None, "None", "a path such as '/admin'"),
    "number": (7, "int", "a path such as '/admin'"),
    "function": (print, "builtin_function_or_method", "a path such as '/admin'"),
    "Starlette": (Route("/users/{id}", print), "Route", "'/users/*'"),
    "Werkzeug": (WerkzeugRule("/users/<id>"), "Rule", "'/users/*'"),
    "Django": (SimpleNamespace(pattern=RoutePattern()), "SimpleNamespace", "'/users/*', which covers more"),
    "tuple": (("/admin", print), "tuple", "'/admin'"),
    "tuple with a method": (("/admin", "get"), "tuple", "Rule('/admin', methods=['GET'])"),
    "tuple with methods": (("/admin", print, ["GET"]), "tuple", "Rule('/admin', methods=['GET'])"),
    "list": (["/a", "/b/{c}"], "list", "'/a', '/b/*'"),
    "tuple with other text": (("/admin", "name"), "tuple", "'/admin'"),
    "list of none": ([], "list", "a path such as '/admin'"),
    "list of others": ([7], "list", "a path such as '/admin'"),
}


@pytest.mark.parametrize(("value", "kind", "spelling"), OBJECTS.values(), ids=OBJECTS)
def test_object_for_a_path_is_refused_with_its_text(value, kind, spelling):
    """An object that contains a path is refused, and the error contains its path."""
    message = error_of(value)
    assert message.startswith(f"path must be text or a Rule, got {kind}: write {spelling}")


@pytest.mark.parametrize(
    ("value", "spelling"),
    [
        (("GET", "/a"), "Rule('/a', methods=['GET'])"),
        (["POST", "/users/{id}"], "Rule('/users/*', methods=['POST'])"),
        ((["GET", "POST"], "/a"), "Rule('/a', methods=['GET', 'POST'])"),
        (("/a", "GET"), "Rule('/a', methods=['GET'])"),
        (("WEBSOCKET", "/ws"), "Rule('/ws', methods=['WEBSOCKET'])"),
        ("GET", "Rule('/admin', methods=['GET'])"),
        (("get", "/a"), "Rule('/a', methods=['GET'])"),
        (("admin", "/a"), "'/admin'"),
    ],
)
def test_a_method_beside_a_path_is_no_path(value, spelling):
    """A pair of a method and a path, in either order, is refused with a Rule that has both."""
    assert error_of(value).partition(": write ")[2].startswith(spelling)


@pytest.mark.parametrize(
    ("name", "example"),
    [
        ("auth.login", "/login"), ("accounts:login", "/login"), ("shop.auth.sign_in", "/sign_in"),
        ("a:b.login", "/login"),
    ],
)  # fmt: skip
def test_the_name_of_a_view_is_no_path(name, example):
    """The name of a view of Flask-Login or Django is refused as a login path."""
    with pytest.raises(
        ConfigurationError, match=re.escape(f"such as {example!r}, got {name!r}, which looks")
    ):
        local_path(name, "login_path")


@pytest.mark.parametrize("file", ["login.html", "auth/login.php", "sign.in.htm"])
def test_the_name_of_a_file_is_not_the_name_of_a_view(file):
    """The name of a file is refused with the path that ends in it."""
    with pytest.raises(ConfigurationError, match=re.escape(f"such as {'/' + file!r}, got ")):
        local_path(file, "login_path")


LISTS = {
    "text": ("/admin", "got str: write ['/admin']"),
    "foreign text": ("/users/{id}", "got str: write ['/users/*']"),
    "several in a text": ("/a,/b", "got str: write ['/a', '/b']"),
    "rule": (Rule("/admin"), "got a Rule: write [Rule('/admin')]"),
    "bytes": (b"/admin", "got bytes: write ['/admin']"),
    "regex": (re.compile("^/admin"), "got Pattern: write ['/admin']"),
    "number": (7, "got int: write a list such as ['/admin']"),
    "scopes": ({"/admin": ["admin"]}, "write [Rule('/admin', scopes=['admin'])], or roles="),
    "methods": ({"/a": "GET", "/b": None}, "write [Rule('/a', methods=['GET']), '/b'], or roles="),
    "no paths": ({1: "x"}, "write ['/admin'], or roles="),
}


@pytest.mark.parametrize("name", ["protected_paths", "public_paths"])
@pytest.mark.parametrize(("value", "words"), LISTS.values(), ids=LISTS)
def test_list_of_a_wrong_shape_is_refused(value, words, name):
    """A path, a mapping or another object is refused as a list, and the error contains the list to write."""
    with pytest.raises(ConfigurationError, match=re.escape(words)) as caught:
        Policy(**{"protected_paths": None, "public_paths": None, name: value})
    assert str(caught.value).startswith(f"{name} must be a list of paths and rules")


def test_any_iterable_is_a_list():
    """A generator, a set or the keys of a mapping is accepted as a list of paths."""
    assert listed((path for path in ["/a"]), "public_paths") == ["/a"]
    assert listed({"/a"}, "public_paths") == ["/a"]
    assert listed({"/a": 1}.keys(), "public_paths") == ["/a"]


@pytest.mark.parametrize("name", ["protected_paths", "public_paths"])
def test_elements_of_the_lists_are_checked(name):
    """A pattern of another router in either list is refused when the guard is built."""
    with pytest.raises(ConfigurationError, match=re.escape("write '/users/*'")):
        Policy(**{"protected_paths": None, "public_paths": None, name: ["/users/{id}"]})


@pytest.mark.parametrize(
    ("path", "example"),
    [
        ("login", "/login"), ("signin/", "/signin"), ("https://host/signin", "/signin"),
        ("/signin?x=1", "/signin"), ("GET /signin", "/signin"), ("/signin$", "/signin"),
        ("/a/:id", "/login"), ("/*", "/login"),
        ("/ä", "/login"), (None, "/login"), (b"/signin", "/signin"),
    ],
)  # fmt: skip
def test_plain_path_is_refused_with_the_spelling_that_works(path, example):
    """A login page with a wrong path is refused, and the error contains a correct one."""
    with pytest.raises(ConfigurationError, match=re.escape(f"such as {example!r}, got ")):
        local_path(path, "login_path")


def test_login_paths_of_guards_and_rules_are_checked():
    """The login pages of a guard and of a rule are checked in the same way."""
    with pytest.raises(ConfigurationError, match="such as '/login', got 'https://host/login'"):
        Rule("/a", login_path="https://host/login")
    with pytest.raises(ConfigurationError, match="such as '/login', got '/login/:id'"):
        Guard(SimpleNamespace(verify=print), login_path="/login/:id")


SEGMENT = st.sampled_from(
    ["a", "admin", "{a}", "{b:int}", "{c:path}", "<d>", "<int:e>", "<path:f>", ":g", ":h?", "*", "**", "*i",
     "[j]", "[...k]", "(l)", "(m|n)", "(.*)", "[a-z]+", r"\d+", "x.*", "{o}.html", "", ".", "..", "%41", "p?",
     "q;r", "$"]
)  # fmt: skip


@given(
    st.lists(SEGMENT, max_size=4).map("/".join)
    | st.text("/ab{}<>[]()|^$*+?.:\\%#;,=~! \n\u200b&\"'", max_size=12),
    st.sampled_from(["", "/", "^/", "^", "GET /", "~ ", "https://h/", "location "]),
    st.sampled_from(["", "/", "$", "/$", "?", "\\Z", " "]),
)
def test_spelling_in_an_error_is_accepted(text, before, after):
    """Any text is accepted or refused, and each spelling in an error is accepted."""
    pattern = before + text + after
    try:
        Rule(pattern)
    except ConfigurationError as error:
        spelling = spelling_of(pattern)
        assert str(spelling) in str(error)
        for path in spelling.paths:
            methods = {"methods": spelling.methods} if spelling.methods else {}
            assert Rule(ast.literal_eval(repr(path)), **methods).path == path


WORDS = [
    "",
    "/",
    "/a",
    "/7",
    "/a.html",
    "/a/b",
    "/7/x",
    "/users",
    "/users/7",
    "/users/a",
    "/users/7/x",
    "/x/a.html",
]
TEMPLATES = [
    "/{a}", "/users/{a}", "/{a}/{b}", "/users/{a:int}", "/{p:path}", "/users/{p:path}", "/{p:path}/x",
    "/{n}.html", "/x/{p:path}.html", "/{i:int}/{b}",
]  # fmt: skip


def covers(spelling, path):
    """Return whether a rule of the spelling protects the path."""
    verdict = Policy([*spelling.paths], ["/made-up-and-open"]).find("GET", path)
    return verdict.protected and not verdict.by_default


def opens(spelling, path):
    """Return whether a public rule of the spelling opens the path."""
    return not Policy(["/"], [*spelling.paths]).find("GET", path).protected


@pytest.mark.parametrize("template", TEMPLATES)
def test_spelling_covers_all_that_a_route_of_starlette_does(template):
    """A rule in the spelling covers each path of a Starlette route, and opens others only with a remark."""
    regex, _, _ = compile_path(template)
    spelling = spelling_of(template)
    for path in filter(None, WORDS):
        if regex.match(path):
            assert covers(spelling, path)
        elif not spelling.wider and not regex.match(path.rstrip("/") + "/"):
            assert not opens(spelling, path)


@pytest.mark.parametrize(
    "template",
    ["/<a>", "/users/<a>", "/<a>/<b>", "/users/<int:a>", "/<path:p>", "/users/<path:p>", "/<n>.html"],
)
def test_spelling_covers_all_that_a_route_of_werkzeug_does(template):
    """A rule in the spelling covers each path of a Flask route, and opens others only with a remark."""
    adapter = Map([WerkzeugRule(template, endpoint="x")]).bind("host")
    spelling = spelling_of(template)
    for path in filter(None, WORDS):
        if adapter.test(path):
            assert covers(spelling, path)
        elif not spelling.wider and not adapter.test(path.rstrip("/") + "/a"):
            assert not opens(spelling, path)


@pytest.mark.parametrize(
    "regex",
    [
        r"^/users/\d+$",
        "^/users/.*",
        "^/(a|users)$",
        r"/a\.html",
        "^/[a-z]+/7",
        "^/users(/.*)?$",
        r".*\.html",
        "/.*",
    ],
)
def test_spelling_covers_all_that_a_regular_expression_does(regex):
    """A rule in the spelling covers each whole path that a regular expression matches."""
    spelling = spelling_of(re.compile(regex))
    matching = [path for path in WORDS if re.fullmatch(regex, path)]
    assert matching
    assert [path for path in matching if not covers(spelling, path)] == []


@pytest.mark.parametrize(("number", "first"), [(16, "'/w0/x', '/w0/y', '/w1/*'"), (17, "'/w0/*', '/w1/*'")])
def test_few_alternatives_are_written_out(number, first):
    """Up to sixteen alternatives are written out, and more are written with wildcards."""
    words = "|".join(f"w{n}" for n in range(number))
    with pytest.raises(ConfigurationError, match=re.escape(f"write {first}")):
        Rule(f"/({words})/(x|y)")
