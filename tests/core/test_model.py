"""The classes of credentials, claims and principals."""

import dataclasses

import pytest

from authguard import ANONYMOUS, Credential, Principal, Quota
from authguard._core.model import ANONYMOUS_AUTH, Auth, Claims, make_principal


def test_a_credential_does_not_show_its_value():
    """The repr of a credential does not show its value."""
    assert "topsecret" not in repr(Credential("topsecret", "bearer"))


def test_claims_are_read_from_their_text():
    """A claim is found by its name."""
    assert Claims('{"a": [1], "b": 2}')["a"] == [1]


def test_claims_raise_key_error():
    """A missing claim raises KeyError."""
    with pytest.raises(KeyError):
        Claims("{}")["a"]


def test_claims_are_a_mapping():
    """Claims have the names, the length and the membership of a mapping."""
    claims = Claims('{"a": 1, "b": 2}')
    assert (list(claims), len(claims), "a" in claims, claims.get("c")) == (["a", "b"], 2, True, None)


def test_claims_cannot_be_changed_by_who_reads_them():
    """A list of the claims that a reader changes does not change the claims."""
    claims = Claims('{"a": [1]}')
    claims["a"].append(2)
    assert claims["a"] == [1]


def test_claims_show_names_and_no_values():
    """The repr of claims shows their names alone."""
    assert repr(Claims('{"email": "ann@example.com"}')) == "Claims(email)"


def test_a_principal_does_not_show_its_claims():
    """The repr of a principal does not show its claims."""
    assert "ann@example.com" not in repr(Principal("ann", claims={"email": "ann@example.com"}))


def test_a_principal_is_authenticated():
    """A principal with a subject is authenticated."""
    assert Principal("ann").is_authenticated
    assert Principal("ann")


def test_anonymous_is_not_authenticated():
    """The anonymous principal is not authenticated."""
    assert not ANONYMOUS.is_authenticated
    assert not ANONYMOUS, "`if current_user:` would be true for everybody"


@pytest.mark.parametrize("name", ["display_name", "identity"])
def test_a_principal_has_the_names_that_starlette_uses(name):
    """A principal has both names that Starlette uses for the subject."""
    assert getattr(Principal("ann"), name) == "ann"


def test_a_principal_cannot_be_changed():
    """A principal is frozen, because requests share it."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Principal("ann").subject = "bob"


def test_principals_can_be_hashed_in_spite_of_their_claims():
    """Claims count neither for equality nor for the hash."""
    assert len({Principal("ann", claims={"a": 1}), Principal("ann", claims={"a": 2})}) == 1


def test_auth_adds_authenticated():
    """Auth adds the scope of Starlette, and leaves the scopes of the principal unchanged."""
    auth = Auth(Principal("ann", scopes=frozenset({"read"})), "Cookie")
    assert (auth.scopes, auth.principal.scopes, auth.vary) == ({"read", "authenticated"}, {"read"}, "Cookie")


def test_auth_of_nobody_has_no_scopes():
    """The auth of an anonymous caller has no scopes."""
    assert ANONYMOUS_AUTH.scopes == frozenset()


def test_a_principal_made_at_once_is_one_made_by_its_constructor():
    """`make_principal` returns the same as the constructor, and its result is frozen."""
    values = {
        "subject": "ann", "scopes": frozenset({"read"}), "roles": frozenset({"boss"}),
        "claims": Claims("{}"),
        "issuer": "i", "client_id": "c", "token_id": "t", "key_id": "k", "expires_at": 5.0,
        "method": "cookie", "tier": "free", "quotas": (Quota(1, 60),),
    }  # fmt: skip
    made, built = make_principal(**values), Principal(**values)
    assert (made, hash(made), repr(made)) == (built, hash(built), repr(built))
    assert dataclasses.replace(made, subject="bob") == dataclasses.replace(built, subject="bob")
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.subject = "eve"
