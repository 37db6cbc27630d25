"""Rules and requirements."""

import functools

import pytest

from authguard import ConfigurationError, InsufficientScopeError, Principal, Rule
from authguard._core.policy.rules import Requirement, local_path
from authguard._endpoint import mark, requirements_of
from support import NOW

ANN = Principal("ann", scopes=frozenset({"read", "write"}), roles=frozenset({"clerk"}))


@pytest.mark.parametrize(
    "requirement",
    [
        Requirement(),
        Requirement(scopes=["read"]),
        Requirement(scopes=["read", "write"]),
        Requirement(any_of=["admin", "write"]),
        Requirement(roles=["clerk", "boss"]),
        Requirement(["read"], ["write"], ["clerk"]),
    ],
    ids=["nothing", "one-scope", "all-scopes", "any-scope", "any-role", "everything"],
)
def test_who_has_what_is_required_passes(requirement):
    """A principal with all that a requirement names passes."""
    assert requirement.check(ANN, NOW) is None


@pytest.mark.parametrize(
    ("requirement", "named"),
    [
        (Requirement(scopes=["read", "admin"]), ("admin", "read")),
        (Requirement(scopes=["admin"], any_of=["x"]), ("admin", "x")),
        (Requirement(any_of=["admin", "root"]), ("admin", "root")),
        (Requirement(roles=["boss"]), ()),
        (Requirement(scopes=["read"], roles=["boss"]), ("read",)),
    ],
    ids=["scope", "scope-and-any", "any-scope", "role", "scope-and-role"],
)
def test_who_lacks_something_is_refused_and_told_the_scopes(requirement, named):
    """The error of a missing scope has the required scopes, for the challenge."""
    with pytest.raises(InsufficientScopeError) as caught:
        requirement.check(ANN, NOW)
    assert caught.value.scopes == named


def test_an_empty_requirement_is_false():
    """An empty requirement is false."""
    assert not Requirement()


@pytest.mark.parametrize("kind", ["scopes", "any_of", "roles"])
def test_a_requirement_of_something_is_true(kind):
    """A requirement with scopes or roles is true."""
    assert Requirement(**{kind: ["a"]})


def test_equal_requirements_are_one():
    """Requirements with the same scopes in another order are equal."""
    assert len({Requirement(["a", "b"]), Requirement(["b", "a"])}) == 1


def test_a_requirement_is_not_equal_to_other_things():
    """A requirement is not equal to an object of another type."""
    assert Requirement(["a"]) != "a"


@pytest.mark.parametrize(
    ("requirement", "text"),
    [
        (Requirement(), "any authenticated caller"),
        (Requirement(["b", "a"]), "scope a and scope b"),
        (Requirement(["a"], ["c", "b"], ["r"]), "scope a and one of the scopes b, c and one of the roles r"),
        (Requirement(acr="phr"), "acr phr"),
        (Requirement(acr=["b", "a"]), "one of the acr b, a"),
        (Requirement(["a"], max_age=60), "scope a and a sign-in at most 60 seconds ago"),
    ],
    ids=["nothing", "scopes", "granted", "acr", "acr-values", "sign-in"],
)
def test_a_requirement_says_what_it_asks(requirement, text):
    """The text of a requirement names all that it requires."""
    assert str(requirement) == text


@pytest.mark.parametrize("kind", ["scopes", "any_of", "roles", "methods"])
def test_text_for_a_list_is_refused(kind):
    """Text is refused as a list, because it would be a list of its letters."""
    with pytest.raises(ConfigurationError, match="write"):
        Rule("/a", **{kind: "admin"})


@pytest.mark.parametrize("name", ["", "a b", 'a"b', "a\\b", "ä", "a\n", None, 7], ids=repr)
def test_scopes_that_no_challenge_can_name_are_refused(name):
    """A scope that is no scope-token of RFC 6749 is refused."""
    with pytest.raises(ConfigurationError):
        Rule("/a", scopes=[name])


@pytest.mark.parametrize("name", ["", None, 7], ids=repr)
def test_roles_that_no_token_can_carry_are_refused(name):
    """A role that is empty or no text is refused."""
    with pytest.raises(ConfigurationError):
        Rule("/a", roles=[name])


@pytest.mark.parametrize(
    "path", ["/", "/a", "/a/", "/a/*/b", "/**", "/a/**/b", "/ä/b", "/a b", "/.well-known"]
)
def test_patterns_that_can_be_meant_are_taken(path):
    """A canonical pattern is accepted unchanged."""
    assert Rule(path).path == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a",
        "//",
        "/a//b",
        "/a/../b",
        "/a/.",
        "/a.",
        "/a ",
        "/a\\b",
        "/a;b",
        "/a%20b",
        "/a?b",
        "/a#b",
        "/a*",
        "/a/*.css",
        "/***",
        "/a\n",
        "/a\x00",
        "/\uff41",
        "/a\u200b",
        None,
        7,
    ],
    ids=repr,
)
def test_patterns_that_cannot_be_meant_are_refused(path):
    """A pattern with several readings is refused."""
    with pytest.raises(ConfigurationError):
        Rule(path)


@pytest.mark.parametrize("method", ["get", "Get", "HEAD", "", "A B", None], ids=repr)
def test_methods_that_cannot_be_meant_are_refused(method):
    """A method must be a token in capitals, and HEAD is refused because it follows GET."""
    with pytest.raises(ConfigurationError):
        Rule("/a", methods=[method])


@pytest.mark.parametrize(
    ("method", "meant"),
    {
        "POTS": "POST",
        "PSOT": "POST",
        "GTE": "GET",
        "DEL": "DELETE",
        "PUTS": "PUT",
        "PROST": "POST",
    }.items(),
)
def test_a_misspelt_method_is_refused(method, meant):
    """A misspelt method is refused with the correct one, because it would match no request."""
    with pytest.raises(ConfigurationError, match=f"got '{method}': write '{meant}'"):
        Rule("/a", methods=[method])


IANA_METHODS = """
ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT CONNECT COPY DELETE GET LABEL LINK LOCK MERGE MKACTIVITY
MKCALENDAR MKCOL MKREDIRECTREF MKWORKSPACE MOVE OPTIONS ORDERPATCH PATCH POST PRI PROPFIND PROPPATCH PUT
QUERY REBIND REPORT SEARCH TRACE UNBIND UNCHECKOUT UNLINK UNLOCK UPDATE UPDATEREDIRECTREF VERSION-CONTROL
"""


@pytest.mark.parametrize("method", [*IANA_METHODS.split(), "PURGE", "PUSH", "FETCH", "NOTIFY", "M-SEARCH"])
def test_each_registered_method_is_accepted(method):
    """Each method of the IANA registry but HEAD is accepted, and those of caches and devices."""
    assert Rule("/a", methods=[method]).methods == {method}


@pytest.mark.parametrize("optional", ["loose", True, ""], ids=repr)
def test_optional_is_strict_or_lenient(optional):
    """`optional` must be "strict" or "lenient"."""
    with pytest.raises(ConfigurationError, match="optional"):
        Rule("/a", optional=optional)


@pytest.mark.parametrize(
    "what", [{"scopes": ["a"]}, {"any_of": ["a"]}, {"roles": ["a"]}, {"acr": "a"}, {"max_age": 1}], ids=str
)
def test_optional_does_not_go_with_a_requirement(what):
    """`optional` with a requirement is refused."""
    with pytest.raises(ConfigurationError, match="must be left out"):
        Rule("/a", optional="strict", **what)


def test_a_rule_shows_path_methods_and_what_it_asks():
    """The repr of a rule is the code that builds it."""
    rules = [Rule("/a"), Rule("/a", methods=["PUT", "GET"]), Rule("/a", scopes=["x"], acr="phr", max_age=300)]
    assert list(map(repr, rules)) == [
        "Rule('/a')",
        "Rule('/a', methods=['GET', 'PUT'])",
        "Rule('/a', scopes=['x'], acr=['phr'], max_age=300)",
    ]


def test_a_requirement_shows_what_it_asks():
    """The repr of a requirement is the code that builds it."""
    assert repr(Requirement(["b", "a"], max_age=60)) == "Requirement(scopes=['a', 'b'], max_age=60)"


def test_a_rule_keeps_its_login_path():
    """A rule keeps its own login path."""
    assert Rule("/a", login_path="/staff/login").login_path == "/staff/login"


@pytest.mark.parametrize(
    "path",
    [
        "login",
        "//evil.example/login",
        "https://evil.example/",
        "/login?x",
        "/a/../b",
        "/*",
        "/ä",
        None,
        7,
        "",
    ],
    ids=repr,
)
def test_a_login_path_is_a_plain_path_on_this_site(path):
    """A login path that is another site or a pattern is refused."""
    with pytest.raises(ConfigurationError, match="login_path"):
        local_path(path, "login_path")


def test_what_decorators_mark_is_found_in_order():
    """An endpoint has the requirements of its decorators, the innermost first, or none."""

    def endpoint():
        pass

    assert requirements_of(endpoint) == ()
    mark(endpoint, Requirement(["read"]))
    mark(endpoint, Requirement(roles=["clerk"]))
    assert requirements_of(endpoint) == (Requirement(["read"]), Requirement(roles=["clerk"]))


def test_a_mark_goes_along_with_functools_wraps():
    """A function by `functools.wraps` has the mark of the wrapped one, which does not get its own."""

    def endpoint():
        pass

    mark(endpoint, Requirement(["read"]))

    @functools.wraps(endpoint)
    def outer():
        pass

    mark(outer, Requirement(["write"]))
    assert requirements_of(outer) == (Requirement(["read"]), Requirement(["write"]))
    assert requirements_of(endpoint) == (Requirement(["read"]),)


def test_a_rule_has_a_name_of_bounded_length():
    """A rule's name has its methods and its path, and a digest if that is too long."""
    assert Rule("/a/*", methods=["POST", "GET"]).name == "GET POST /a/*"
    assert Rule("/" + 119 * "a").name == "/" + 119 * "a"
    names = {Rule("/" + 150 * "a" + end).name for end in "bc"}
    assert len(names) == 2
    assert {len(name) for name in names} == {120}


@pytest.mark.parametrize(
    ("requirement", "reason"),
    [
        (Requirement(scopes=["read", "jobs", "admin"]), "it lacks the scope admin, jobs"),
        (Requirement(any_of=["root", "admin"]), "it has none of the scopes admin, root"),
        (Requirement(roles=["boss", "chief"]), "it has none of the roles boss, chief"),
    ],
    ids=["scopes", "any_of", "roles"],
)
def test_the_reason_names_what_is_missing(requirement, reason):
    """The reason in the log names the missing scopes or roles."""
    assert requirement.not_granted(ANN).reason == reason


@pytest.mark.parametrize("empty", [[], set(), {}.keys(), iter(())], ids=["list", "set", "keys", "iterator"])
@pytest.mark.parametrize("option", ["scopes", "any_of", "roles"])
def test_an_empty_list_of_needs_is_refused(option, empty):
    """An empty list of scopes or roles is refused, because it would let every caller pass."""
    with pytest.raises(ConfigurationError, match=f"{option} must name at least one, got an empty"):
        Rule("/admin", **{option: empty})
