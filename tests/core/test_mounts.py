"""Mount points: the path below them, misplaced ones, and the decision about such a path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authguard import Rule
from authguard._core.policy.mounts import Mount, below, is_misplaced
from authguard._core.policy.paths import MAX_MOUNT_POINTS, MAX_PATH, TooMuchWorkError, is_canonical
from authguard._core.policy.policy import Policy
from authguard._core.policy.rules import Requirement

ADMIN = Requirement(["admin"])
BOTH = Policy([Rule("/admin", scopes=["admin"])], ["/public"])
NARROW = Policy([Rule("/admin", scopes=["admin"])], None)
STRICT = Policy(None, ["/public"])


def ask(policy, root_path, written):
    """Return the verdict about a path as an ASGI server gives it."""
    return policy.find("GET", below(root_path, written), root_path, is_misplaced(root_path, written))


@pytest.mark.parametrize(
    ("root_path", "path", "rest"),
    [
        ("/app", "/app/x", "/x"),
        ("/app", "/app", ""),
        ("/app", "/app/", "/"),
        ("/app", "/apple", "/apple"),
        ("/app", "/x/app/y", "/x/app/y"),
        ("/app", "/APP/x", "/APP/x"),
        ("/app/", "/app/x", "/app/x"),
        ("/app/", "/app//x", "/x"),
        ("/", "/x", "/x"),
        ("", "/x", "/x"),
    ],
)
def test_below_is_what_starlette_routes_by(root_path, path, rest):
    """The mount point is removed if the path begins with it as a whole segment."""
    assert below(root_path, path) == rest


MISPLACED = [
    ("/app", "/public/app/admin"),
    ("/app", "/public/appadmin"),
    ("/app", "/public/app/app/admin"),
    ("/app", "/public/x/app/admin"),
    ("/app", "/appadmin"),
    ("/app", "/APP/admin"),
    ("/app", "/public/App/admin"),
    ("/App", "/app/admin"),
    ("/app/", "/app/admin"),
    ("/app/", "/public/app/admin"),
    ("app", "/public/app/admin"),
    ("app", "/app/admin"),
    ("/a/b", "/public/a/b/admin"),
    ("/a/a", "/public/a/a/aadmin"),
    ("/app", "/public/app/admin/app/x"),
    ("/app", "/public/appx/app/admin"),
    ("/app", "/public/appadmin/app/x"),
    ("/app", "/ad/appmin"),
    ("/app", "/ad/appm/appin"),
    ("/bc", "/bccb/admin"),
    ("/ä", "/public/ä/admin"),
    ("/Ä", "/public/ä/admin"),
]


@pytest.mark.parametrize(("root_path", "written"), MISPLACED)
@pytest.mark.parametrize("policy", [BOTH, NARROW], ids=["both", "narrow"])
def test_a_misplaced_mount_point_is_read_in_every_way(policy, root_path, written):
    """A path with a misplaced mount point is protected, and has the rule of one of its readings."""
    verdict = ask(policy, root_path, written)
    assert (verdict.protected, verdict.requirements) == (True, (ADMIN,))


def test_a_rule_with_the_name_of_a_misplaced_mount_point_holds():
    """A rule whose path has the name of a misplaced mount point applies."""
    policy = Policy([Rule("/bb/app", scopes=["admin"])], ["/public"])
    assert ask(policy, "/app", "/b/appb/app").requirements == (ADMIN,)


@pytest.mark.parametrize(("root_path", "written"), MISPLACED)
def test_a_misplaced_mount_point_is_not_public(root_path, written):
    """A path with a misplaced mount point is protected, even if no rule names it."""
    assert ask(STRICT, root_path, written).protected


@pytest.mark.parametrize(
    ("root_path", "written"),
    [
        ("/app", "/app/public/app/admin"),
        ("/app", "/app/public/APP/admin"),
        ("/app", "/app/app/admin"),
        ("/app", "/app/public/app/x/app/admin"),
        ("/a/b", "/a/b/public/a/b/admin"),
        ("/a/a", "/a/a/a/admin"),
        ("/app/", "/app//public/app/admin"),
        ("app", "app/public/app/admin"),
    ],
)
def test_a_mount_point_that_occurs_again_is_read_in_every_way(root_path, written):
    """A path with a repeated mount point has the rule after the last one, as some frameworks route."""
    verdict = ask(BOTH, root_path, written)
    assert (verdict.protected, verdict.requirements) == (True, (ADMIN,))
    assert ask(NARROW, root_path, written).requirements == (ADMIN,)
    assert ask(STRICT, root_path, written).protected


@pytest.mark.parametrize(
    ("rule", "root_path", "written"),
    [
        ("/v1/auth/login", "/auth", "/auth/v1/auth/login"),
        ("/v1/auth/*/authorize", "/auth", "/auth/v1/auth/github/authorize"),
        ("/v1/api", "/api", "/api/v1/api/keys"),
        ("/docs", "/api", "/api/docs/api-reference"),
        ("/assets", "/auth", "/auth/assets/authguard.css"),
        ("/public", "/public", "/public/public/x"),
        ("/public", "/app", "/app/public/apple"),
    ],
)
def test_a_public_rule_may_have_the_mount_point_in_it(rule, root_path, written):
    """A public rule may spell out the mount point, and a part of a word is no mount point."""
    assert not ask(Policy(None, [rule]), root_path, written).protected


@pytest.mark.parametrize(
    ("rule", "root_path", "written"),
    [
        ("/**", "/app", "/app/x/app/admin"),
        ("/*/app/*", "/app", "/app/x/app/admin"),
        ("/v1/auth", "/auth", "/auth/v1/auth/x/auth/admin"),
    ],
)
def test_a_wildcard_does_not_spell_the_mount_point_out(rule, root_path, written):
    """A public rule does not match a repeated mount point by a wildcard or by its tail."""
    assert ask(Policy(None, [rule]), root_path, written).protected


def test_a_rule_with_the_mount_point_in_it_still_gives_relief():
    """A rule that spells out the mount point can lift the requirement of a rule above."""
    policy = Policy([Rule("/admin", scopes=["admin"]), Rule("/admin/profile")], None)
    assert ask(policy, "/profile", "/profile/admin/profile/x").requirements == ()
    assert ask(policy, "/profile", "/profile/admin/x").requirements == (ADMIN,)
    assert ask(policy, "/profile", "/profile/admin/profile/x/profile/y").requirements == (ADMIN,)


def test_a_narrow_guard_leaves_what_no_reading_protects():
    """With `protected_paths` alone, a repeated mount point does not protect a path that no rule names."""
    assert not ask(NARROW, "/app", "/app/x/app/y").protected


@pytest.mark.parametrize(
    ("root_path", "segments", "end"),
    [
        ("", ("x",), 0),
        ("/app", ("x", "y"), 0),
        ("/app", ("app", "x"), 1),
        ("/app", ("x", "APP", "y", "app", "z"), 4),
        ("/a/b", ("x", "a", "b", "y"), 3),
    ],
)
def test_the_last_repetition_of_a_mount_point_is_found(root_path, segments, end):
    """`last_end` returns the end of the last repetition in any case of letters, or 0."""
    assert Mount(root_path).last_end(segments) == end


@pytest.mark.parametrize("root_path", ["/", "//", ""])
@pytest.mark.parametrize("written", ["/public", "/public/x/y"])
def test_slashes_alone_are_no_mount_point(root_path, written):
    """A mount point of slashes alone is ignored."""
    assert not ask(BOTH, root_path, written).protected


@pytest.mark.parametrize("root_path", ["/app", "app", "/app/", "/a/b", "/ä", "/my app"])
def test_a_plain_mount_point_changes_nothing(root_path):
    """A plain mount point does not change the verdict, whether the path begins with it or not."""
    prefix = "/" + root_path.strip("/")
    assert not ask(BOTH, root_path, "/public/x").protected
    assert ask(BOTH, root_path, "/admin").requirements == (ADMIN,)
    if not root_path.endswith("/") and root_path.startswith("/"):
        assert not ask(BOTH, root_path, prefix + "/public/x").protected
        assert ask(BOTH, root_path, prefix + "/admin").requirements == (ADMIN,)


@pytest.mark.parametrize(
    "root_path",
    ["/x/../admin", "/.//admin", "/admin;a=b", "/%61dmin", "/x\\..\\admin", "/\uff41dmin", "/admin."],
)
def test_a_mount_point_that_is_odd_is_read_in_every_way(root_path):
    """A rule that includes the mount point applies to an odd spelling of the mount point."""
    verdict = ask(BOTH, root_path, "/public")
    assert (verdict.protected, verdict.requirements) == (True, (ADMIN,))


@pytest.mark.parametrize(
    "written", ["/public//app/admin", "/x/%61pp/admin", "/%2561pp/admin", "/x;y/app/admin"]
)
def test_an_odd_path_is_read_below_the_mount_point_too(written):
    """An odd path is read below each spelling of the mount point."""
    assert ask(BOTH, "/app", written).requirements == (ADMIN,)


@pytest.mark.parametrize("written", ["//admin", "/app//admin", "/x/../admin", "/x/app/admin"])
def test_an_odd_path_is_read_with_the_mount_point_too(written):
    """An odd path is also read with the mount point, because rules may include it."""
    policy = Policy([Rule("/app/admin", scopes=["admin"])], ["/public"])
    assert ask(policy, "/app", written).requirements == (ADMIN,)


@pytest.mark.parametrize("times", [MAX_MOUNT_POINTS + 1, 50, 200])
@pytest.mark.parametrize("before", ["", "/public"], ids=["again", "misplaced"])
def test_a_mount_point_that_occurs_too_often_asks_for_everything(times, before):
    """A path with too many mount points has the requirements of all rules."""
    policy = Policy([Rule("/admin", scopes=["admin"]), Rule("/b", scopes=["b"])], ["/public"])
    verdict = ask(policy, "/app", before + "/app" * (times + 1))
    assert set(verdict.requirements) == {ADMIN, Requirement(["b"])}


def test_as_many_mount_points_as_are_read():
    """A path with the maximal number of mount points has the rule of its reading."""
    assert ask(BOTH, "/app", "/public" + "/app" * MAX_MOUNT_POINTS + "/admin").requirements == (ADMIN,)


def test_mount_points_within_words_are_counted_too():
    """Mount points within words count for the maximal number."""
    assert Mount("/app").ways("/apple" * (MAX_MOUNT_POINTS - 1), misplaced=False)
    with pytest.raises(TooMuchWorkError):
        Mount("/app").ways("/apple" * MAX_MOUNT_POINTS, misplaced=False)


def test_a_path_that_is_too_long_is_not_searched():
    """A path that is too long is not searched, and has the requirements of all rules."""
    assert not is_misplaced("/app", "/x/app" + "/y" * MAX_PATH)
    assert ask(BOTH, "/app", "/x/app" + "/y" * MAX_PATH).requirements == (ADMIN,)


def test_a_mount_point_that_is_too_long_is_refused():
    """A mount point that is too long is refused before it is normalised."""
    with pytest.raises(TooMuchWorkError):
        Mount("/" + "\ufdfa" * 2000)


def test_a_login_page_stays_open():
    """A login page is public, even if the mount point has the same name."""
    policy = Policy(None, ["/public"], ["/login"])
    assert not ask(policy, "/login", "/login/login").protected


def test_what_is_misplaced_is_remembered_apart():
    """A misplaced mount point is remembered separately from the same path below a mount point."""
    policy = Policy(None, ["/public"])
    paths = [("/public/appx", "/app", False), ("/public/appx", "/app", True)]
    for _ in range(2):
        assert [policy.find("GET", *path).protected for path in paths] == [False, True]


def litestar(root_path, path):
    """Return the path that Litestar 2 routes by."""
    return "/" + path.split(root_path, maxsplit=1)[-1].strip("/")


def last_part(root_path, path):
    return "/" + path.split(f"{root_path}/")[-1].strip("/")


def quart(root_path, path):
    return path.split(root_path, 1)[1] if root_path in path else " "


def django(root_path, path):
    return path.removeprefix(root_path)


def replaced(root_path, path):
    return path.replace(root_path, "")


pieces = st.lists(
    st.sampled_from(["/app", "/public", "/admin", "/APP", "app", "admin", "/x", "/", "/a"]),
    min_size=1,
    max_size=6,
).map("".join)


@pytest.mark.parametrize(
    "route", [litestar, last_part, quart, django, replaced, below], ids=lambda f: f.__name__
)
@given(
    path=pieces.filter(lambda path: path.startswith("/")),
    root_path=st.sampled_from(["/app", "/a", "/app/x", "app"]),
)
def test_whatever_a_framework_makes_of_it_the_rule_is_asked(route, path, root_path):
    """If a framework would route a path to the page of a rule, the verdict has the rule's requirement."""
    routed = route(root_path, path)
    if routed.startswith("/admin/") or routed == "/admin":
        assert ADMIN in ask(BOTH, root_path, path).requirements
        assert ADMIN in ask(NARROW, root_path, path).requirements


@given(
    path=pieces.filter(lambda path: path.startswith("/")), root_path=st.sampled_from(["/app", "/a", "app"])
)
def test_a_public_path_has_the_mount_point_at_its_beginning_only(path, root_path):
    """A path is public only if the mount point is at its beginning alone."""
    if not ask(STRICT, root_path, path).protected:
        rest = below(root_path, path)
        assert is_canonical(rest)
        assert rest == "/public" or rest.startswith("/public/")
        assert rest != path or root_path not in path
        assert f"{root_path}/" not in rest.removeprefix("/public") + "/"


@pytest.mark.parametrize(
    "path", ["/app//appadmin", "/app/./appadmin", "/app/x/../appadmin/app", "/app//app/appadmin"]
)
def test_a_mount_point_within_a_word_of_an_odd_path_is_removed_too(path):
    """A mount point within a word of an odd path is removed, as some frameworks do."""
    assert ADMIN in ask(BOTH, "/app", path).requirements
    assert ADMIN in ask(NARROW, "/app", path).requirements
