"""What a token is bound to, and how claims tell."""

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
    """No `cnf`, nothing to prove; a value or an inner member of that name is none."""
    assert BOTH.confirmation_of({}) == ()
    assert BOTH.confirmation_of(Claims('{"sub": "cnf", "act": {"cnf": {"jkt": "x"}}}')) == ()


@pytest.mark.parametrize("name", ["cnf", "c\\u006ef", "\\u0063\\u006E\\u0066"])
def test_cnf_is_seen_however_it_is_written(name):
    """JSON has many spellings of a name, and all of them bind."""
    claims = Claims(f'{{"{name}": {{"jkt": "x"}}}}')
    assert BOTH.confirmation_of(claims) == (("jkt", "x"),)


def test_dpop_is_checked_last():
    """It uses the proof up, so that all else must be right by then."""
    claims = {"cnf": {"jkt": "x", "x5t#S256": "y"}}
    assert BOTH.confirmation_of(claims) == (("x5t#S256", "y"), ("jkt", "x"))


@pytest.mark.parametrize("known", [Proofs([]), Proofs([MutualTLS()])], ids=["none", "another"])
def test_what_cannot_be_checked_is_refused(known):
    """A member that no proof is for."""
    with pytest.raises(InvalidTokenError):
        known.confirmation_of({"cnf": {"jkt": "x"}})


@given(st.dictionaries(st.text(), st.none() | st.text()))
def test_claims_know_their_names(members):
    """Quickly or slowly, the answer is that of the object, in both spellings of JSON."""
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
    """What cannot be meant raises, and says what to change."""
    with pytest.raises(ConfigurationError, match=says):
        Proofs(proofs)


def test_a_request_says_nothing_that_its_server_does_not():
    """A view of one's own has neither a peer nor a certificate."""
    request = FakeRequest("/a", root_path="/v1")
    assert (request.peer, request.certificate, request.external_path) == (None, None, "/v1/a")
