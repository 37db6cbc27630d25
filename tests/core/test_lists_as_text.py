"""A list option that gets one text names the list to write, and that list is accepted when it is typed."""

import re

import pytest

import authguard
from authguard import ConfigurationError, Principal
from option_tables import BUILT

#: Two valid values of each list option that takes texts.
VALUES = {
    "protected_paths": ["/a", "/b"],
    "public_paths": ["/a", "/b"],
    "proxies": ["10.0.0.1", "10.0.1.0/24"],
    "algorithms": ["ES256", "PS256"],
    "answer_algorithms": ["ES256", "PS256"],
    "required_claims": ["exp", "sub"],
    "token_types": ["JWT", "at+jwt"],
    "scope_claims": ["scope", "permissions"],
    "role_claims": ["roles", "realm_access.roles"],
    "subject_claims": ["upn", "sub"],
    "tenants": ["a", "b"],
    "scopes": ["read", "write"],
    "any_of": ["read", "write"],
    "roles": ["admin", "editor"],
    "admin_roles": ["ADMIN", "OWNER"],
    "prefixes": ["a_b_", "c_d_"],
    "origins": ["https://a.example", "https://b.example:8443"],
    "trusted_origins": ["https://a.example", "https://b.example:8443"],
    "cors_origins": ["https://a.example", "https://b.example:8443"],
    "authorization_servers": ["https://a.example", "https://b.example"],
    "scopes_supported": ["read", "write"],
    "methods": ["GET", "POST"],
    "credentials": ["bearer", "api_key"],
    "redirect_uris": ["https://a.example/callback", "https://b.example/callback"],
    "api_key_prefixes": ["a_b_", "c_d_"],
    "api_key_scopes": ["read", "write"],
    "api_key_mails": ["expiring", "expired"],
}
#: The values that differ from those above, by the name of the row.
OTHERS = {
    ("JWTVerifier", "algorithms"): ["HS256"],  # one secret is the key of one algorithm
    ("BackChannelLogout", "algorithms"): ["HS256"],
    ("BackChannelLogout", "token_types"): ["JWT", "logout+jwt"],
    ("Settings", "prefixes"): ["/v1", "/api/v1"],
}
NAMES = {"scopes", "any_of", "roles", "admin_roles", "methods"}
OF_OBJECTS = {"quotas", "proofs", "links"}  # a text is never one of their values
LISTS = [
    (name, option)
    for name, built in BUILT.items()
    for option, kind in built.kinds.items()
    if kind.rstrip("?") in ("list", "any list") and (name, option) != ("JWTVerifier", "tenants")
]
FORMS = {
    "commas": ",".join,
    "commas and spaces": ", ".join,
    "spaces": " ".join,
    "semicolons": ";".join,
    "JSON": lambda values: "[" + ", ".join(f'"{value}"' for value in values) + "]",
    "of one": lambda values: values[0],
    "trailing comma": lambda values: values[0] + ", ",
}


def advised(name, option, value):
    """Return the list that the error about a value says to write."""
    target, good, _, _ = BUILT[name]
    with pytest.raises(ConfigurationError) as raised:
        target(**{**good, option: value})
    text = str(raised.value)
    written = re.search(rf": write (?:{option}=)?(\[.*?\])(?:\Z|,)", text)
    assert written, text
    return eval(written[1], {**vars(authguard)})  # noqa: S307 (the text of our own error)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "option"), LISTS, ids=str)
def test_the_advised_list_is_accepted(name, option, form):
    """The list in the error has the values of the text, and builds."""
    if option in OF_OBJECTS:
        pytest.skip("the values are objects")
    if form == "spaces" and option.endswith("roles"):
        pytest.skip("a role may contain spaces")
    if form in ("semicolons", "JSON") and option in NAMES:
        pytest.skip("see test_names.py")
    values = OTHERS.get((name, option), VALUES[option])
    text = FORMS[form](values)
    expected = values[:1] if form in ("of one", "trailing comma") else values
    target, good, _, _ = BUILT[name]
    written = advised(name, option, text)
    assert sorted(written) == sorted(expected)
    assert target(**{**good, option: written}) is not None


@pytest.mark.parametrize("value", ["", " ", ",", "*", "[]"])
@pytest.mark.parametrize(
    ("name", "option"), [(name, option) for name, option in LISTS if option not in NAMES], ids=str
)
def test_text_without_a_value_is_not_advised(name, option, value):
    """A text that names no value is not repeated as the list to write."""
    target, good, _, _ = BUILT[name]
    with pytest.raises(ConfigurationError) as raised:
        target(**{**good, option: value})
    assert f"[{value!r}]" not in str(raised.value)


def test_a_name_of_a_directory_is_one_role():
    """The name of a group of a directory is advised as one role, though it has commas."""
    with pytest.raises(ConfigurationError, match=r"write roles=\['CN=Admins,OU=Groups'\]"):
        Principal("ann", roles="CN=Admins,OU=Groups")


@pytest.mark.parametrize(
    ("name", "option"), [(name, option) for name, option in LISTS if option in OF_OBJECTS], ids=str
)
def test_text_is_never_advised_for_objects(name, option):
    """An option that takes objects names one of them, and not the text that it got."""
    target, good, _, _ = BUILT[name]
    with pytest.raises(ConfigurationError, match=r"write .*\(") as raised:
        target(**{**good, option: "github"})
    assert "['github']" not in str(raised.value)


@pytest.mark.parametrize("paths", ["", " ", [""], ["/a", ""], [" "]])
@pytest.mark.parametrize("option", ["public_paths", "protected_paths"])
def test_an_empty_variable_is_no_path(option, paths):
    """The error about an empty text names the variable, because `"".split(",")` is a list of one text."""
    target, good, _, _ = BUILT["Guard"]
    with pytest.raises(ConfigurationError, match=r"got ' ?'.* of an empty variable"):
        target(**{**good, option: paths})
