"""The names of claims: in their own case, and those that the application asks for."""

import pytest

from authguard import Credential, InvalidTokenError, JWTVerifier
from authguard.errors import MissingRequiredClaimError
from support import AUDIENCE, ISSUER, NOW, SECRET, claims, judge, make_token

PROFILE = ("iss", "exp", "aud", "sub", "client_id", "iat", "jti")  # RFC 9068 section 2.2


def verify(payload, **options):
    verifier = JWTVerifier(
        SECRET, algorithms=["HS256"], **{"issuer": ISSUER, "audience": AUDIENCE, **options}
    )
    return judge(verifier, Credential(make_token(payload), "bearer"), NOW).principal


@pytest.mark.parametrize("name", ["exp", "sub", "iss", "aud"])
@pytest.mark.parametrize("change", [str.upper, str.title], ids=["upper", "title"])
def test_a_claim_of_another_case_is_another_claim(name, change):
    """A claim that is asked for is missing where its name is written otherwise."""
    with pytest.raises(InvalidTokenError):
        verify(claims(**{name: ..., change(name): claims()[name]}))


def test_claims_of_another_case_change_nothing():
    """Beside the good ones they are unknown claims: they refuse nothing and grant nothing."""
    others = {"EXP": 1, "NBF": NOW + 999, "Sub": "eve", "ISS": "x", "Aud": "x", "Token_Use": "refresh"}
    principal = verify(claims(**others, SCOPE="admin", Roles=["admin"]))
    assert (principal.subject, principal.scopes, principal.roles) == ("ann", set(), set())
    assert principal.claims["Sub"] == "eve"


@pytest.mark.parametrize("missing", PROFILE)
@pytest.mark.parametrize("value", [..., None], ids=["absent", "null"])
def test_each_claim_of_the_profile_can_be_required(missing, value):
    """A token without one of the claims that are asked for is refused, and the error is that of a claim."""
    with pytest.raises(MissingRequiredClaimError):
        verify(claims(**{"client_id": "app", "jti": "t1", missing: value}), required_claims=PROFILE)


def test_a_token_with_all_claims_of_the_profile_is_taken():
    """With all of them it names its subject."""
    assert verify(claims(client_id="app", jti="t1"), required_claims=PROFILE).subject == "ann"


def test_a_claim_of_the_application_can_be_required():
    """Any name can be asked for; a value that is false is there."""
    asking = {"required_claims": ["exp", "sub", "tenant"]}
    assert verify(claims(tenant=0), **asking).subject == "ann"
    with pytest.raises(MissingRequiredClaimError):
        verify(claims(Tenant="a"), **asking)


@pytest.mark.parametrize(
    ("tier_claim", "given", "tier"),
    [
        ("tier", {"tier": "pro"}, "pro"),
        ("plan.tier", {"plan": {"tier": "pro"}}, "pro"),
        ("plan.tier", {"plan.tier": "free", "plan": {"tier": "pro"}}, "free"),
        ("tier", {"tier": None}, None),
        ("tier", {}, None),
        ("plan.tier", {"plan": "pro"}, None),
    ],
)
def test_the_tier_is_in_a_claim(tier_claim, given, tier):
    """The claim of this very name comes first, then the path below objects; without one there is no tier."""
    assert verify(claims(**given), tier_claim=tier_claim).tier == tier


@pytest.mark.parametrize("tier", [1, True, "", ["pro"], {"name": "pro"}])
def test_a_tier_of_another_type_is_refused(tier):
    """It is not taken for a caller without a tier, who may have no quota."""
    with pytest.raises(InvalidTokenError):
        verify(claims(tier=tier), tier_claim="tier")
