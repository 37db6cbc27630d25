"""The names of claims, which are case-sensitive, and the claims that the application requires."""

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
    """A required claim whose name has another case is missing."""
    with pytest.raises(InvalidTokenError):
        verify(claims(**{name: ..., change(name): claims()[name]}))


def test_claims_of_another_case_change_nothing():
    """Claims in another case beside the valid ones are unknown claims without an effect."""
    others = {"EXP": 1, "NBF": NOW + 999, "Sub": "eve", "ISS": "x", "Aud": "x", "Token_Use": "refresh"}
    principal = verify(claims(**others, SCOPE="admin", Roles=["admin"]))
    assert (principal.subject, principal.scopes, principal.roles) == ("ann", set(), set())
    assert principal.claims["Sub"] == "eve"


@pytest.mark.parametrize("missing", PROFILE)
@pytest.mark.parametrize("value", [..., None], ids=["absent", "null"])
def test_each_claim_of_the_profile_can_be_required(missing, value):
    """A token without a required claim of the profile is refused, with the error of a claim."""
    with pytest.raises(MissingRequiredClaimError):
        verify(claims(**{"client_id": "app", "jti": "t1", missing: value}), required_claims=PROFILE)


def test_a_token_with_all_claims_of_the_profile_is_taken():
    """A token with all claims of the profile is accepted."""
    assert verify(claims(client_id="app", jti="t1"), required_claims=PROFILE).subject == "ann"


def test_a_claim_of_the_application_can_be_required():
    """Any claim can be required, and a claim with a false value is present."""
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
    """A claim of the whole name comes before a path below objects, and a token without it has no tier."""
    assert verify(claims(**given), tier_claim=tier_claim).tier == tier


@pytest.mark.parametrize("tier", [1, True, "", ["pro"], {"name": "pro"}])
def test_a_tier_of_another_type_is_refused(tier):
    """A tier that is not text is refused, since a caller without a tier may have no quota."""
    with pytest.raises(InvalidTokenError):
        verify(claims(tier=tier), tier_claim="tier")


@pytest.mark.parametrize("sid", [5.5, True, ["s1"], {"id": "s1"}])
def test_a_session_that_no_revocation_can_name_is_refused(sid):
    """A `sid` that is neither text nor a whole number is refused, since its session could not be ended."""
    with pytest.raises(InvalidTokenError):
        verify(claims(sid=sid))


@pytest.mark.parametrize("sid", ["s1", "", 5, None], ids=repr)
def test_other_sessions_are_taken(sid):
    """A `sid` that is text or a whole number is accepted, and so is an empty one, which names no session."""
    assert verify(claims(sid=sid)).claims["sid"] == sid
