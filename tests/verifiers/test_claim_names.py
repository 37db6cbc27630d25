"""The claims of scopes, roles and the tier: names with dots, paths, objects, and other types."""

import logging

import pytest

from authguard import ConfigurationError, Credential, JWTVerifier
from authguard._core.jose.claim_paths import claim_path
from authguard.errors import MalformedTokenError
from support import AUDIENCE, ISSUER, NOW, SECRET, claims, judge, make_token


def verify(payload, **options):
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE, **options)
    return judge(verifier, Credential(make_token(payload), "bearer"), NOW).principal


KEYCLOAK = {"resource_access": {"my.api": {"roles": ["editor"]}, "my": {"api": {"roles": ["viewer"]}}}}
ZITADEL = "urn:zitadel:iam:org:project:roles"
ROLES = {
    "a client with dots": ("resource_access.my.api.roles", KEYCLOAK, {"editor"}),
    "a path as a tuple": (("resource_access", "my", "api", "roles"), KEYCLOAK, {"viewer"}),
    "a tuple with dots in a name": (("resource_access", "my.api", "roles"), KEYCLOAK, {"editor"}),
    "a tuple of one name is no path": (("a.b",), {"a": {"b": "x"}, "a.b": "y"}, {"y"}),
    "the whole name first": ("a.b.c", {"a.b.c": "1", "a.b": {"c": "2"}, "a": {"b": {"c": "3"}}}, {"1"}),
    "then the longest": ("a.b.c", {"a.b": {"c": "2"}, "a": {"b.c": "3"}}, {"2"}),
    "then shorter ones": ("a.b.c", {"a": {"b.c": "3", "b": {"c": "4"}}}, {"3"}),
    "back from a longer one that leads nowhere": ("a.b.c", {"a.b": {"x": 1}, "a": {"b": {"c": "4"}}}, {"4"}),
    "back from one that is no object": ("a.b.c", {"a.b": "no", "a": {"b": {"c": "4"}}}, {"4"}),
    "back from null": ("a.b", {"a.b": None, "a": {"b": "x"}}, {"x"}),
    "a URL with a path below": (
        "https://x.example/app.roles",
        {"https://x.example/app": {"roles": "a"}},
        {"a"},
    ),
    "a name that begins with a dot": (".a", {".a": "x"}, {"x"}),
    "a name with an empty part": ("a..b", {"a": {"": {"b": "x"}}}, {"x"}),
    "objects of Zitadel": (
        ZITADEL,
        {ZITADEL: {"admin": {"1": "a.example"}, "user": {"1": "b"}}},
        {"admin", "user"},
    ),
    "an object of flags": (
        "roles",
        {"roles": {"admin": False, "user": True, "x": None, "y": 1, "z": "on"}},
        {"user"},
    ),
    "an object of empty objects": ("roles", {"roles": {"admin": {}, "user": {"o": 1}}}, {"user"}),
    "the object above the roles": ("realm_access", {"realm_access": {"roles": ["admin"]}}, set()),
    "a list with other members": ("roles", {"roles": ["a", 5, None, {"name": "admin"}, ["b"]]}, {"a"}),
    "a number": ("roles", {"roles": 5}, set()),
    "true": ("roles", {"roles": True}, set()),
    "below a list": ("a.b", {"a": [{"b": "x"}]}, set()),
}


@pytest.mark.parametrize("case", ROLES)
def test_roles_are_found(case):
    """Roles are found by the longest name that exists, or exactly along a tuple."""
    name, given, roles = ROLES[case]
    assert verify(claims(**given), role_claims=[name]).roles == roles


@pytest.mark.parametrize(
    ("name", "given", "scopes"),
    [
        (("permissions", "my.api"), {"permissions": {"my.api": "read write"}}, {"read", "write"}),
        ("permissions.my.api", {"permissions": {"my.api": ["read"]}}, {"read"}),
        ("scope", {"scope": {"read": True, "write": False}}, {"read"}),
    ],
)
def test_scopes_are_found_in_the_same_way(name, given, scopes):
    """Scopes are found by the same rules, and text is split."""
    assert verify(claims(**given), scope_claims=[name]).scopes == scopes


def test_the_tier_is_found_in_the_same_way():
    """The tier is found below a name with dots, and by a tuple."""
    given = claims(**{"my.app": {"tier": "pro"}})
    assert verify(given, tier_claim="my.app.tier").tier == "pro"
    assert verify(given, tier_claim=("my.app", "tier")).tier == "pro"
    assert verify(given, tier_claim=("my", "app", "tier")).tier is None


UNUSABLE = {
    "a number": ({"roles": 5}, "roles is a number"),
    "true": ({"roles": True}, "roles is true or false"),
    "members of a list": ({"roles": ["a", 5]}, "roles has members that are no text"),
    "an object": ({"roles": {"roles": ["a"]}}, "roles is an object whose members are not roles"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_claim_that_cannot_be_used_leaves_a_line(case, caplog):
    """A claim of the wrong type is logged at level DEBUG with its name and type, and without its value."""
    given, says = UNUSABLE[case]
    with caplog.at_level(logging.DEBUG, logger="authguard"):
        verify(claims(**given))
    assert [record.levelname for record in caplog.records] == ["DEBUG"]
    assert says in caplog.text


def test_a_claim_that_is_not_there_leaves_no_line(caplog):
    """A claim that is absent, null or empty is not logged."""
    with caplog.at_level(logging.DEBUG, logger="authguard"):
        verify(claims(roles=None, scope=None))
        verify(claims(roles=[], scope=""))
    assert caplog.records == []


def test_a_long_path_is_looked_up_in_few_steps():
    """The number of look-ups for a long path is limited, regardless of the nesting of the claims."""
    steps = []

    class Counted(dict):
        def get(self, name):
            steps.append(name)
            return dict.get(self, name)

    value = Counted()
    for _ in range(31):
        value = Counted({"a": value, "a.a": Counted({"a": Counted()})})
    path = claim_path(".".join(["a"] * 31 + ["b"]), "role_claims")
    assert path.find(value) is None
    assert len(steps) < 32 * 32 * 4


@pytest.mark.parametrize("option", ["scope_claims", "role_claims"])
@pytest.mark.parametrize("names", [[()], [("a", "")], [("a", 5)], [5], [["a", "b"]], [("a",) * 33]], ids=str)
def test_what_is_no_path_is_refused(option, names):
    """The verifier refuses a name that is neither text nor a tuple of texts."""
    with pytest.raises(ConfigurationError, match=f"each of {option} must"):
        verify(claims(), **{option: names})


def test_names_of_several_claims_are_added():
    """The values of several claims are added, and an absent or unusable claim is ignored."""
    given = claims(roles=["a"], groups=["b", "a"], teams=5, scope="r", scp=["w"])
    principal = verify(given, role_claims=["roles", "none", "groups", "teams"], scope_claims=["scp", "scope"])
    assert (principal.roles, principal.scopes) == ({"a", "b"}, {"r", "w"})


def test_as_many_as_are_allowed_are_taken():
    """The longest allowed name, path and list are accepted."""
    for names in (["a" * 1024], [("a",) * 32], [".".join("a" * 32)], ["a"] * 100):
        assert verify(claims(), role_claims=names).roles == set()


def test_a_path_is_named_with_dots(caplog):
    """A path of a tuple is written with dots in the log and in the error of a tier."""
    with caplog.at_level(logging.DEBUG, logger="authguard"):
        verify(claims(a={"b": 5}), role_claims=[("a", "b")])
    assert "the claim a.b is a number" in caplog.text
    with pytest.raises(MalformedTokenError, match=r"a\.b is no tier") as caught:
        verify(claims(a={"b": 5}), tier_claim=("a", "b"))
    assert caught.value.claim == "a.b"
