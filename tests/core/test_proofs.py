"""The confirmations that a token is bound to, as its claims name them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authguard import ConfigurationError, DPoP, MutualTLS
from authguard._core.model import Claims
from authguard._core.proofs.proof import Proofs
from authguard.errors import InvalidTokenError
from support import FakeRequest

BOTH = Proofs([DPoP("https://api.example"), MutualTLS()])


def test_a_plain_token_is_bound_to_nothing():
    """A token without `cnf`, or with an inner member of that name, is bound to nothing."""
    assert BOTH.confirmation_of({}) == ()
    assert BOTH.confirmation_of(Claims('{"sub": "cnf", "act": {"cnf": {"jkt": "x"}}}')) == ()


@pytest.mark.parametrize("name", ["cnf", "c\\u006ef", "\\u0063\\u006E\\u0066"])
def test_cnf_is_seen_however_it_is_written(name):
    """`cnf` is read in each spelling that JSON has for it."""
    claims = Claims(f'{{"{name}": {{"jkt": "x"}}}}')
    assert BOTH.confirmation_of(claims) == (("jkt", "x"),)


def test_dpop_is_checked_last():
    """The DPoP proof is checked last, because the check uses the proof up."""
    claims = {"cnf": {"jkt": "x", "x5t#S256": "y"}}
    assert BOTH.confirmation_of(claims) == (("x5t#S256", "y"), ("jkt", "x"))


@pytest.mark.parametrize("known", [Proofs([]), Proofs([MutualTLS()])], ids=["none", "another"])
def test_what_cannot_be_checked_is_refused(known):
    """A token with a confirmation that no proof is for is refused."""
    with pytest.raises(InvalidTokenError):
        known.confirmation_of({"cnf": {"jkt": "x"}})


@given(st.dictionaries(st.text(), st.none() | st.text()))
def test_claims_know_their_names(members):
    """Claims know their names in both spellings of JSON."""
    for escaped in (True, False):
        claims = Claims(json.dumps(members, ensure_ascii=escaped))
        assert all(name in claims for name in members)
        assert all((name in claims) == (name in members) for name in ("", "cnf", '"', "\\", "\n", "ü", 1))


@pytest.mark.parametrize(
    ("proofs", "says"),
    [([MutualTLS(), MutualTLS()], "two MutualTLS"), (["dpop"], "must be DPoP"), ([DPoP], "must be DPoP")],
    ids=range(3),
)
def test_a_mistake_is_named_when_it_is_built(proofs, says):
    """Two proofs of one kind, or a value that is no proof, are refused."""
    with pytest.raises(ConfigurationError, match=says):
        Proofs(proofs)


def test_a_request_says_nothing_that_its_server_does_not():
    """A view without its own members has neither an address nor a certificate."""
    request = FakeRequest("/a", root_path="/v1")
    assert (request.peer, request.certificate, request.external_path) == (None, None, "/v1/a")
