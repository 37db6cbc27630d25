"""The choice of the rule that decides about a path."""

from typing import Any

import pytest

from authguard import ConfigurationError, InsufficientScopeError, Principal, Rule
from authguard._core.policy.policy import Policy
from authguard._core.policy.rules import Requirement
from support import NOW


def protected(policy, path, method="GET", root_path=""):
    return policy.find(method, path, root_path).protected


def test_without_lists_everything_is_protected():
    """Without lists of paths each path is protected."""
    assert protected(Policy(None, None), "/anything")


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/admin", True),
        ("/admin/x", True),
        ("/", False),
        ("/adminx", False),
        ("/x/admin", False),
        ("", False),
    ],
)
def test_protected_paths_alone_narrow(path, kept):
    """A protected word covers all paths below it, and none beside it."""
    assert protected(Policy(["/admin"], None), path) is kept


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/public", False),
        ("/public/x", False),
        ("/", True),
        ("/publicx", True),
        ("/Public", True),
        ("/x", True),
    ],
)
def test_public_paths_open(path, kept):
    """A public word opens all paths below it, in exactly its letters."""
    assert protected(Policy(None, ["/public"]), path) is kept


def test_with_both_what_neither_names_is_protected():
    """With both lists a path that neither names is protected."""
    assert protected(Policy(["/admin"], ["/public"]), "/other")


def test_a_public_root_is_one_page():
    """`/` in `public_paths` is the root page alone."""
    policy = Policy(None, ["/"])
    assert [protected(policy, path) for path in ("/", "", "/a")] == [False, False, True]


def test_a_protected_root_is_everything():
    """`/` in `protected_paths` covers all paths."""
    assert protected(Policy(["/"], None), "/a/b")


@pytest.mark.parametrize(
    ("pattern", "opened", "closed"),
    [
        ("/a/*", ["/a/b", "/a/b/"], ["/a", "/a/b/c"]),
        ("/a/*/c", ["/a/b/c"], ["/a/b", "/a/c", "/a/b/c/d"]),
        ("/a/**", ["/a", "/a/b", "/a/b/c"], ["/b", "/"]),
        ("/**/c", ["/c", "/a/c", "/a/b/c", "/c/c"], ["/a/c/d", "/"]),
        ("/a/**/c/*", ["/a/c/d", "/a/b/c/d", "/a/c/c/d", "/a/x/y/c/c"], ["/a/c", "/a/b/c/d/e"]),
        ("/**", ["/", "/a", "/a/b"], []),
        ("/**/**", ["/", "/a"], []),
    ],
)
def test_public_wildcards_open_what_they_match(pattern, opened, closed):
    """A public pattern with wildcards opens the paths that it matches, and no others."""
    policy = Policy(None, [pattern])
    assert [path for path in opened + closed if not protected(policy, path)] == opened


@pytest.mark.parametrize(
    ("pattern", "closed", "opened"),
    [
        ("/a/*", ["/a/b", "/a/b/c"], ["/a", "/b"]),
        ("/*/admin", ["/x/admin", "/x/admin/y", "/X/ADMIN"], ["/admin", "/x"]),
        ("/**/admin", ["/admin", "/x/y/admin", "/x/admin/y"], ["/x"]),
    ],
)
def test_protected_wildcards_cover_what_is_below(pattern, closed, opened):
    """A protected pattern also covers the paths below those that it matches."""
    policy = Policy([pattern], None)
    assert [path for path in closed + opened if protected(policy, path)] == closed


@pytest.mark.parametrize(
    ("protects", "opens", "path", "kept"),
    [
        ("/a", "/a/b", "/a/b", False),
        ("/a/b", "/a", "/a/b", True),
        ("/a/b", "/a", "/a/c", False),
        ("/a/*", "/a/b", "/a/b", False),
        ("/a/b", "/a/*", "/a/b", True),
        ("/a/**", "/a/*", "/a/b", False),
        ("/a/*", "/a/**", "/a/b", True),
        ("/*/b", "/a/*", "/a/b", False),
        ("/a/*", "/*/b", "/a/b", True),
        ("/a/b", "/a/b/**", "/a/b", False),
        ("/a", "/**", "/a/x", True),
    ],
)
def test_the_most_specific_rule_decides(protects, opens, path, kept):
    """A word is more specific than `*`, `*` is more specific than `**`, and a longer pattern wins."""
    assert protected(Policy([protects], [opens]), path) is kept


def test_of_protected_rules_the_most_specific_asks():
    """A plain path has the requirement of the most specific rule alone."""
    policy = Policy([Rule("/a", scopes=["x"]), Rule("/a/b", scopes=["y"])], None)
    assert policy.find("GET", "/a/b").requirements == (Requirement(["y"]),)


def test_a_rule_by_method_beats_the_rule_for_all():
    """A rule for a method is more specific than a rule for all methods."""
    policy = Policy([Rule("/a"), Rule("/a", methods=["DELETE"], scopes=["x"])], None)
    assert [bool(policy.find(m, "/a").requirements) for m in ("GET", "DELETE")] == [False, True]


@pytest.mark.parametrize("method", ["GET", "HEAD", "WEBSOCKET", "get"])
def test_a_protected_get_covers_head_and_handshakes(method):
    """A protected GET also covers HEAD and handshakes."""
    assert protected(Policy([Rule("/a", methods=["GET"])], None), "/a", method)


def test_a_protected_get_leaves_other_methods():
    """A protected GET does not cover other methods."""
    assert not protected(Policy([Rule("/a", methods=["GET"])], None), "/a", "POST")


@pytest.mark.parametrize(
    ("method", "kept"), [("GET", False), ("HEAD", False), ("WEBSOCKET", True), ("get", True), ("POST", True)]
)
def test_a_public_get_opens_get_and_head(method, kept):
    """A public GET opens neither handshakes nor methods in other letters."""
    assert protected(Policy(None, [Rule("/a", methods=["GET"])]), "/a", method) is kept


def test_head_by_its_own_get_rule_is_as_strict():
    """A GET rule with a scope applies to HEAD too."""
    policy = Policy([Rule("/a"), Rule("/a", methods=["GET"], scopes=["x"])], None)
    assert policy.find("HEAD", "/a").requirements == (Requirement(["x"]),)


def test_a_rule_for_handshakes_beats_the_rule_for_get():
    """A rule for handshakes is more specific for them than a GET rule."""
    rules = [Rule("/a", methods=["GET"], scopes=["x"]), Rule("/a", methods=["WEBSOCKET"], scopes=["y"])]
    assert Policy(rules, None).find("WEBSOCKET", "/a").requirements == (Requirement(["y"]),)


def test_the_login_page_is_open():
    """The login page is public by its exact path."""
    policy = Policy(["/"], None, ["/login"])
    assert [protected(policy, p) for p in ("/login", "/login/", "/login/x", "/LOGIN", "//login")] == [
        False,
        False,
        True,
        True,
        True,
    ]


def test_the_login_page_of_a_rule_is_open():
    """The login page of a rule is public too."""
    assert not protected(Policy([Rule("/staff", login_path="/staff/login")], None), "/staff/login")


def test_an_odd_path_is_protected_by_default():
    """An odd path is protected below a public path."""
    verdict = Policy(None, ["/public"]).find("GET", "/public/..;/x")
    assert (verdict.protected, verdict.reason) == (True, "an odd path")


def test_an_odd_path_is_protected_in_a_narrow_guard():
    """An odd path that no rule covers is protected with `protected_paths` alone."""
    assert protected(Policy(["/admin"], None), "/x//y")


def test_an_odd_path_asks_what_each_of_its_readings_asks():
    """An odd path has the requirements of all its readings."""
    policy = Policy([Rule("/a", scopes=["x"]), Rule("/b", scopes=["y"])], None)
    requirements = policy.find("GET", "/a/../b").requirements
    assert set(requirements) == {Requirement(["x"]), Requirement(["y"])}


@pytest.mark.parametrize(
    ("first", "second", "combined"),
    [
        ("strict", "lenient", "strict"),
        ("lenient", "lenient", "lenient"),
        ("strict", None, None),
        ("lenient", None, None),
    ],
    ids=str,
)
def test_where_two_rules_tie_the_stricter_mode_of_optional_wins(first, second, combined):
    """Of two equal rules the stricter `optional` applies, and an odd path is never optional."""
    policy = Policy([Rule("/**/a", optional=first), Rule("/**/b", optional=second)], None)
    assert policy.find("GET", "/a/b").optional == combined
    assert policy.find("GET", "/a/../b").optional is None


def test_a_long_odd_path_asks_for_everything():
    """A long odd path has the requirements of all rules."""
    policy = Policy([Rule("/a", scopes=["x"]), Rule("/b", roles=["y"])], ["/public"])
    verdict = policy.find("GET", "/public//" + "x" * 2000)
    assert (verdict.protected, len(verdict.requirements)) == (True, 2)


def test_a_long_plain_path_is_read_as_it_stands():
    """A long plain path is public by its rule."""
    assert not protected(Policy(None, ["/public"]), "/public/" + "x" * 5000)


def test_rules_with_the_mount_point_hold():
    """A protected rule may include the mount point."""
    assert protected(Policy(["/app/admin"], None), "/admin", root_path="/app")


def test_rules_below_the_mount_point_hold():
    """A protected rule may leave the mount point out."""
    assert protected(Policy(["/admin"], None), "/admin", root_path="/app")


def test_the_mount_point_opens_nothing():
    """A public rule that includes the mount point opens no path below it."""
    assert protected(Policy(None, ["/app/public"]), "/public", root_path="/app")


def test_a_verdict_is_remembered():
    """The same path has the same verdict object again."""
    policy = Policy(["/a"], None)
    assert policy.find("GET", "/a") is policy.find("GET", "/a")


def test_paths_with_the_same_rules_share_a_verdict():
    """Paths with the same rules share a verdict, so that numbers in paths do not fill the memory."""
    policy = Policy(["/users"], None)
    assert policy.find("GET", "/users/1") is policy.find("GET", "/users/2")


def test_verdicts_are_remembered_by_method():
    """Verdicts are remembered separately for each method."""
    policy = Policy(None, [Rule("/a", methods=["GET"])])
    assert [protected(policy, "/a", "GET"), protected(policy, "/a", "POST")] == [False, True]


def test_the_rules_own_login_page_is_told():
    """The verdict has the login page of its rule."""
    policy = Policy([Rule("/staff", login_path="/staff-login")], None)
    assert policy.find("GET", "/staff/x").login_path == "/staff-login"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/admin", "protected by Rule('/admin')"),
        ("//admin", "protected by Rule('/admin'), in one way to read an odd path"),
        ("/public/x", "public by Rule('/public')"),
        ("/x", "everything is protected unless it is public"),
        ("/login", "the login page"),
    ],
)
def test_the_reason_names_the_rule(path, reason):
    """The reason names the rule that decided."""
    assert Policy(["/admin"], ["/public"], ["/login"]).find("GET", path).reason == reason


def test_the_reason_of_an_open_path():
    """With `protected_paths` alone the reason of an open path is that no rule covers it."""
    assert Policy(["/admin"], None).find("GET", "/x").reason == "no protected path covers it"


def test_admits_who_has_what_is_required():
    """`admits` is true for a principal with the scope, and false for another one."""
    verdict = Policy([Rule("/a", scopes=["x"])], None).find("GET", "/a")
    assert [verdict.admits(who, NOW) for who in (Principal("a", frozenset("x")), Principal("a"))] == [
        True,
        False,
    ]


def test_check_raises_for_who_lacks_something():
    """`check` raises the error of the missing requirement."""
    with pytest.raises(InsufficientScopeError):
        Policy([Rule("/a", scopes=["x"])], None).find("GET", "/a").check(Principal("a"), NOW)


@pytest.mark.parametrize("name", ["protected_paths", "public_paths"])
@pytest.mark.parametrize("paths", ["/a", Rule("/a"), [], ()], ids=repr)
def test_a_list_of_paths_is_a_list_with_paths(name, paths):
    """Text, one rule or an empty list is refused as a list of paths."""
    with pytest.raises(ConfigurationError, match=name):
        Policy(**{"protected_paths": None, "public_paths": None, name: paths})


@pytest.mark.parametrize(
    ("closed", "opened", "says"),
    [
        (["/"], ["/"], "got '/' in both, the same path: leave it out of protected_paths, since"),
        (["/a"], ["/a"], r"in protected_paths and Rule\('/a'\) in public_paths for"),
        ([Rule("/", scopes=["x"])], ["/"], r"got Rule\('/', scopes=\['x'\]\) in protected_paths and"),
        ([Rule("/", methods=["GET"])], [Rule("/", methods=["GET"])], "must be in one list, got Rule"),
        ([Rule("/", optional="strict")], ["/"], "must be in one list, got Rule"),
        (["/a", "/A"], None, r"Rule\('/a'\) and Rule\('/A'\) for the same path"),
    ],
    ids=["root", "path", "scopes", "method", "optional", "one list"],
)  # fmt: skip
def test_a_contradiction_names_the_lists(closed, opened, says):
    """The error about two contradicting rules names their lists, and the one to leave out."""
    with pytest.raises(ConfigurationError, match=says):
        Policy(closed, opened)


@pytest.mark.parametrize(
    "rule",
    [Rule("/a", scopes=["x"]), Rule("/a", optional="strict"), Rule("/a", login_path="/l")],
    ids=["scopes", "optional", "login"],
)
def test_a_public_path_asks_for_nothing(rule):
    """A rule with a requirement is refused in `public_paths`."""
    with pytest.raises(ConfigurationError, match="must ask for nothing"):
        Policy(None, [rule])


@pytest.mark.parametrize(
    ("closed", "opened"),
    [
        (["/a"], ["/a"]),
        (["/a", "/a/"], None),
        (["/a"], ["/A"]),
        (None, ["/a", "/a"]),
        ([Rule("/a", methods=["GET", "PUT"])], [Rule("/a", methods=["GET"])]),
    ],
    ids=["both", "slash", "case", "twice", "method"],
)
def test_two_rules_for_one_path_are_refused(closed, opened):
    """Two rules for the same path are refused."""
    with pytest.raises(ConfigurationError, match="same path"):
        Policy(closed, opened)


def test_many_rules_do_not_get_in_each_others_way():
    """Each of ten thousand rules decides for its own path."""
    policy = Policy([Rule(f"/a/{n}", scopes=[f"s{n}"]) for n in range(10_000)], None)
    assert policy.find("GET", "/a/7777").requirements == (Requirement(["s7777"]),)


@pytest.mark.parametrize(
    "path", ["/feed/../other", "/feed//x", "/FEED", "/Feed/x"], ids=["dots", "slashes", "capitals", "capital"]
)
def test_optional_holds_only_for_the_path_as_it_is_written(path):
    """`optional` applies to the exact path alone; an odd path, or one in another case, is protected."""
    policy = Policy([Rule("/feed", optional="strict")], ["/public"])
    assert policy.find("GET", "/feed/x").optional == "strict"
    assert policy.find("GET", path).protected
    assert policy.find("GET", path).optional is None


@pytest.mark.parametrize("path", ["/admin/PROFILE", "/admin//profile", "/admin/x/../profile"])
def test_no_other_reading_gives_relief_from_a_rule(path):
    """A more specific rule lifts a requirement for its exact path alone."""
    policy = Policy([Rule("/admin", scopes=["admin"]), "/admin/profile"], None)
    assert policy.find("GET", "/admin/profile").requirements == ()
    assert [str(requirement) for requirement in policy.find("GET", path).requirements] == ["scope admin"]


def test_relief_counts_case_as_the_rule_writes_it():
    """A rule with capitals lifts a requirement for its exact path alone."""
    policy = Policy([Rule("/Admin", scopes=["admin"]), "/Admin/Profile"], None)
    assert policy.find("GET", "/Admin/Profile").requirements == ()
    assert policy.find("GET", "/admin/profile").requirements != ()


@pytest.mark.parametrize(
    ("lists", "path", "expected"),
    [
        ((None, None), "/x", (True, True)),
        ((["/a"], None), "/x", (False, True)),
        ((None, ["/a"]), "/x", (True, True)),
        ((["/a"], ["/b"]), "/x", (True, True)),
        ((["/a"], None), "/a/x", (True, False)),
        ((None, ["/a"]), "/a/x", (False, False)),
        ((["/a"], None), "/x//y", (True, False)),
    ],
    ids=["no-lists", "protected", "public", "both", "named-protected", "named-public", "odd"],
)
def test_a_verdict_tells_whether_the_default_decided(lists, path, expected):
    """`by_default` is true for a path that no rule names, protected or open."""
    verdict = Policy(*lists).find("GET", path)
    assert (verdict.protected, verdict.by_default) == expected


def test_the_login_page_is_not_open_by_default():
    """A login page is public by its rule, and not by default."""
    verdict = Policy(["/a"], None, ["/login"]).find("GET", "/login")
    assert (verdict.protected, verdict.by_default) == (False, False)


def test_a_policy_tells_its_rules():
    """`rules` lists all rules, the protected ones first."""
    admin = Rule("/admin", scopes=["admin"])
    assert [rule.path for rule in Policy([admin], ["/a", "/b"]).rules] == ["/admin", "/a", "/b"]
    assert Policy([admin], None).rules == (admin,)
    assert Policy(None, None).rules == ()


SOCKETS = Policy(
    [Rule("/a", scopes=["x"]), Rule("/a/ws", methods=["WEBSOCKET"])], [Rule("/open", methods=["WEBSOCKET"])]
)


@pytest.mark.parametrize("method", ["WEBSOCKET", "websocket", "WebSocket", "WEBSOCKET "])
def test_no_http_method_is_a_handshake(method):
    """An HTTP method named WEBSOCKET neither opens a rule for handshakes nor lifts a requirement."""
    for _ in range(2):
        assert not protected(SOCKETS, "/open", "WEBSOCKET")
        assert SOCKETS.find("WEBSOCKET", "/a/ws").requirements == ()
        assert SOCKETS.find_for_http((method, "/open", "")).protected
        assert SOCKETS.find_for_http((method, "/a/ws", "")).requirements == (Requirement(["x"]),)


@pytest.mark.parametrize("method", ["WEBSOCKET", "websocket"])
def test_no_http_method_is_remembered_as_a_handshake(method):
    """An HTTP method named WEBSOCKET is not in the memory of handshakes."""
    policy = Policy(None, [Rule("/open", methods=["WEBSOCKET"])])
    assert not protected(policy, "/open", "WEBSOCKET")
    assert policy.memory.get((method, "/open", "")) is None


@pytest.mark.parametrize("rule", ["GET", "POST", "WEBSOCKET"])
def test_the_method_of_no_rule_is_that_of_an_http_request_called_websocket(rule):
    """A rule for a method protects an HTTP request with the method WEBSOCKET, and never opens it."""
    assert Policy(None, [Rule("/a", methods=[rule])]).find_for_http(("WEBSOCKET", "/a", "")).protected
    assert Policy([Rule("/a", methods=[rule])], None).find_for_http(("WEBSOCKET", "/a", "")).protected


@pytest.mark.parametrize(
    "method", ["get", "Get", "GET ", " GET", "GET\t", "GET\x00", "ＧＥＴ", "poſt", "", "G ET", "GET,POST"]
)
def test_an_odd_method_is_as_protected_as_its_capitals(method):
    """An odd method is covered by a protected rule for its capitals, and opened by none."""
    methods = ["GET", "POST"]
    assert protected(Policy([Rule("/a", methods=methods)], None), "/a", method)
    assert protected(Policy(None, [Rule("/a", methods=methods)]), "/a", method)


@pytest.mark.parametrize("method", ["get", "Get", "GET ", "ＧＥＴ", ""])
def test_an_odd_method_gets_no_relief(method):
    """A rule for one method lifts a requirement only for that method in its exact letters."""
    policy = Policy([Rule("/a", scopes=["x"]), Rule("/a", methods=["GET"])], None)
    assert policy.find("GET", "/a").requirements == ()
    assert policy.find("HEAD", "/a").requirements == ()
    assert policy.find(method, "/a").requirements == (Requirement(["x"]),)


@pytest.mark.parametrize("method", ["get", "GET ", "head"])
def test_an_odd_method_is_not_optional(method):
    """`optional` for one method does not apply to an odd spelling of that method."""
    policy = Policy([Rule("/a", methods=["GET"], optional="strict")], ["/b"])
    assert policy.find("GET", "/a").optional == "strict"
    assert (policy.find(method, "/a").protected, policy.find(method, "/a").optional) == (True, None)


def test_a_method_that_is_too_long_is_as_protected_as_any():
    """A method that is too long is protected, without being converted to capitals."""
    method = "ß" * 100_000
    assert protected(Policy([Rule("/a", methods=["GET"])], None), "/a", method)
    assert protected(Policy(None, [Rule("/a", methods=["GET"])]), "/a", method)


def test_a_method_of_another_kind_is_left_alone():
    """A method that no rule names is not odd."""
    policy = Policy([Rule("/a", methods=["GET"])], None)
    assert not protected(policy, "/a", "PROPFIND")
    assert not protected(Policy(None, ["/a"]), "/a", "PROPFIND")


@pytest.mark.parametrize(
    "rules",
    [[Rule("/login", scopes=["a"])], ["/", Rule("/login/", roles=["A"])],
     [Rule("/login", max_age=60), "/x"], [Rule("/own", scopes=["a"]), Rule("/x", login_path="/own")]],
    ids=["scopes", "slash", "age", "own login page"],
)  # fmt: skip
def test_a_login_page_has_no_requirement(rules: list[Any]) -> None:
    """A rule with a requirement for a login page would have no effect, and is an error."""
    with pytest.raises(ConfigurationError, match="a login page must be open to each caller"):
        Policy(rules, None, login_paths=["/login"])


def test_a_login_page_may_be_listed() -> None:
    """A login page may be listed without a requirement, and have a rule for the paths below it."""
    policy = Policy(["/login", Rule("/login/keys", scopes=["a"])], None, login_paths=["/login"])
    assert policy.is_login_page("/login")
