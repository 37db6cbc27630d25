"""Names in rules in the spelling of other frameworks are refused, with the correct spelling."""

import re
from enum import Enum
from http import HTTPMethod

import pytest

from authguard import ConfigurationError, Rule


class Role(Enum):
    """Name roles."""

    ADMIN = "admin"


WRONG = [
    ("methods", "GET", "methods=['GET']"),
    ("methods", "get", "methods=['GET']"),
    ("methods", "GET, POST", "methods=['GET', 'POST']"),
    ("methods", "GET|POST", "methods=['GET', 'POST']"),
    ("methods", b"GET", "methods=['GET']"),
    ("methods", {"GET": print}, "methods=['GET']"),
    ("methods", ["get", "Post"], "methods=['GET', 'POST']"),
    ("methods", ["GET,POST"], "methods=['GET', 'POST']"),
    ("methods", ["HEAD"], "methods=['GET']"),
    ("methods", ["GET", "HEAD"], "methods=['GET']"),
    ("methods", ["websocket"], "methods=['WEBSOCKET']"),
    ("methods", ["WS"], "methods=['WEBSOCKET']"),
    ("methods", [["GET"]], "methods=['GET']"),
    ("methods", ["*"], "leave methods out"),
    ("methods", ["ANY"], "leave methods out"),
    ("methods", ["all"], "leave methods out"),
    ("methods", "*", "leave methods out"),
    ("methods", "", "leave methods out"),
    ("methods", None, "leave methods out"),
    ("methods", 7, "leave methods out"),
    ("scopes", "a", "scopes=['a']"),
    ("scopes", "a b", "scopes=['a', 'b']"),
    ("scopes", "a,b", "scopes=['a', 'b']"),
    ("scopes", ["a b"], "scopes=['a', 'b']"),
    ("scopes", [["a"], "b"], "scopes=['a', 'b']"),
    ("scopes", [b"a"], "scopes=['a']"),
    ("scopes", [None], "leave scopes out"),
    ("scopes", [Role.ADMIN, "read"], "scopes=[Role.ADMIN.value, 'read']"),
    ("roles", [Role.ADMIN], "roles=[Role.ADMIN.value]"),
    ("any_of", Role.ADMIN, "any_of=[Role.ADMIN.value]"),
    ("any_of", "a b", "any_of=['a', 'b']"),
    ("any_of", ["a b", "c"], "any_of=['a', 'b', 'c']"),
    ("roles", "admin", "roles=['admin']"),
    ("roles", "Global Admin, user", "roles=['Global Admin', 'user']"),
    ("roles", [("admin",)], "roles=['admin']"),
    ("roles", {"admin": True}, "roles=['admin']"),
]


@pytest.mark.parametrize(("option", "value", "words"), WRONG, ids=repr)
def test_names_in_another_spelling_are_refused_with_the_one_that_works(option, value, words):
    """The error contains the list as it is written in Python."""
    with pytest.raises(ConfigurationError, match=f"^{option} must be .* got ") as caught:
        Rule("/a", **{option: value})
    assert f"write {words}" in str(caught.value) or words in str(caught.value)


@pytest.mark.parametrize(
    ("option", "value", "names"),
    [
        ("methods", {"GET", "PROPFIND"}, {"GET", "PROPFIND"}),
        ("methods", [HTTPMethod.GET], {"GET"}),
        ("roles", ["Global Admin"], {"Global Admin"}),
    ],
    ids=lambda value: repr(sorted(value) if isinstance(value, set) else value),
)
def test_names_that_can_be_matched_are_taken(option, value, names):
    """Any iterable of names is accepted, and a role may contain spaces."""
    rule = Rule("/a", **{option: value})
    assert (rule.methods if option == "methods" else rule.requirement.roles) == names


def test_optional_is_refused_with_the_values_that_work():
    """The error about `optional` names both values."""
    with pytest.raises(ConfigurationError, match=re.escape('must be "strict" or "lenient", got True')):
        Rule("/a", optional=True)


@pytest.mark.parametrize("empty", [[], (), set(), iter([])], ids=lambda empty: type(empty).__name__)
@pytest.mark.parametrize("option", ["methods", "scopes", "any_of", "roles"])
def test_a_list_without_names_is_refused(option, empty):
    """An empty list is refused, because it would open the path to every caller or every method."""
    with pytest.raises(
        ConfigurationError, match=f"^{option} must name at least one, got an empty list: leave"
    ):
        Rule("/a", **{option: empty})


def test_names_that_are_left_out_require_nothing():
    """A rule without options has no requirement."""
    rule = Rule("/a")
    assert (rule.methods, rule.requirement.arguments()) == (frozenset(), "")


@pytest.mark.parametrize(
    "roles",
    ["CN=Admins,OU=Groups", " CN=Admins,OU=Groups ", b"CN=Admins,OU=Groups"],
    ids=["text", "with spaces", "bytes"],
)
def test_the_name_of_a_group_is_advised_as_a_role(roles) -> None:
    """The name of a group in a directory has commas, and is advised as one role."""
    with pytest.raises(ConfigurationError, match=r"write roles=\['CN=Admins,OU=Groups'\]$"):
        Rule("/a", roles=roles)
