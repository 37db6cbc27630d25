"""Claims that mark a token of another kind, and similar claims of an application."""

import pytest

from authguard import Credential, Guard, JWTVerifier, Rule
from authguard._core.answer.decision import Allow, Deny
from authguard._core.jose.token_kind import KIND_CLAIMS, OTHER_KINDS
from authguard.drivers import run
from authguard.errors import Cause, InvalidAudienceError, InvalidTokenError
from support import AUDIENCE, ISSUER, NOW, SECRET, bearer, claims, judge, make_token


def verifier(**options):
    options = {"issuer": ISSUER, "audience": AUDIENCE, **options}
    return JWTVerifier(SECRET, algorithms=["HS256"], **options)


def verify(payload, **options):
    return judge(verifier(**options), Credential(make_token(payload), "bearer"), NOW).principal


@pytest.mark.parametrize("name", KIND_CLAIMS)
@pytest.mark.parametrize("kind", sorted(OTHER_KINDS))
def test_each_word_marks_another_kind(name, kind):
    """Each word for another kind is refused in each claim that issuers use for the kind."""
    with pytest.raises(InvalidTokenError) as caught:
        verify(claims(**{name: kind}))
    assert (caught.value.cause, caught.value.claim) == (Cause.KIND, name)


SPELLINGS = [
    "Refresh",
    "REFRESH",
    "refresh_token",
    "refresh-token",
    "refreshToken",
    "Refresh Token",
    "refresh.token",
    "application/refresh+jwt",
    "ID",
    "id_token",
    "id-token",
    "IDToken",
    "logout+jwt",
    "application/logout+jwt",
    "secevent+jwt",
    "Serialized-ID",
    "password-reset",
    "password reset token",
    "Offline",
    "verify-email",
    "RESET_PASSWORD_TOKEN",
    " refresh ",
    "reset-credentials",
    "refresh/token",
    "urn:ietf:params:oauth:token-type:refresh_token",
    "urn:ietf:params:oauth:token-type:id_token",
    "URN:IETF:params:oauth:token-type:Refresh_Token",
    "urn:example:id",
    f"urn:example:{'x' * 500}:refresh-token",
    ["id"],
    ["refresh"],
    ["access", "refresh_token"],
    ["urn:ietf:params:oauth:token-type:id_token"],
    [5, None, ["x"], "offline"],
]


@pytest.mark.parametrize("kind", SPELLINGS, ids=str)
def test_a_word_is_known_in_every_spelling(kind):
    """A word for another kind is refused in any case, and with any separators."""
    with pytest.raises(InvalidTokenError):
        verify(claims(typ=kind))


OWN = [
    {"type": "identity"},
    {"type": "email"},
    {"type": "password"},
    {"type": "ids"},
    {"type": "valid"},
    {"type": "staten island"},
    {"type": "refreshments"},
    {"type": "employee_id"},
    {"type": "set"},
    {"type": "x" * 5000},
    {"type": "refresh" * 100},
    {"typ": "user"},
    {"typ": "Bearer"},
    {"token_type": "user"},
    {"token_type": "access_token"},
    {"token_use": "access"},
    {"token_use": ""},
    {"token_type": 5},
    {"token_type": None},
    {"typ": ["user"]},
    {"type": []},
    {"type": [5, None, ["refresh"], {"a": "id"}]},
    {"token_use": ["access"]},
    {"token_use": "urn:ietf:params:oauth:token-type:access_token"},
    {"type": "urn:ietf:params:oauth:token-type:jwt"},
    {"type": "urn:refresh:user"},
    {"type": "urn:"},
    {"type": "user:refresh"},
    {"type": {"a": 1}},
    {"type": True},
    {"events": [1, 2]},
    {"events": "conference"},
    {"events": 5},
    {"events": None},
    {"at_hash": None},
    {"auth_time": "2026-11-29T09:00:00Z"},
    {"auth_time": None},
    {"auth_time": True},
    {"auth_time": -1},
    {"auth_time": [1]},
    {"nbf": None},
    {"iat": None},
    {"jti": None},
    {"client_id": None},
    {"azp": None},
]


@pytest.mark.parametrize("changes", OWN, ids=lambda changes: str(changes)[:40])
def test_claims_of_an_application_refuse_nothing(changes):
    """A similar word, and null, are no mark of another kind."""
    principal = verify(claims(**changes))
    assert (principal.subject, principal.client_id, principal.token_id) == ("ann", None, None)


def test_null_in_the_place_of_the_client_leaves_the_other_claim():
    """A `client_id` of null is ignored, and `azp` is used."""
    assert verify(claims(client_id=None, azp="web")).client_id == "web"


def test_null_in_the_place_of_a_date_is_as_good_as_none():
    """An `exp` of null is a missing claim."""
    assert verify(claims(exp=None), required_claims=["sub"]).expires_at is None
    with pytest.raises(InvalidTokenError):
        verify(claims(exp=None))


@pytest.mark.parametrize("value", ["DPoP", "dpop", "DPOP"])
def test_a_token_that_needs_a_proof_has_to_say_to_which_key(value):
    """A token of the type DPoP without a `cnf` is refused."""
    with pytest.raises(InvalidTokenError):
        verify(claims(token_type=value))


@pytest.mark.parametrize(
    "auth_time", ["2026-11-29T09:00:00Z", str(NOW - 5), None, True, [NOW], {}, -1, 10**30]
)
def test_a_sign_in_without_a_date_is_none_of_a_moment_ago(auth_time):
    """A token with an invalid `auth_time` is accepted, and refused by a rule with `max_age`."""
    guard = Guard(verifier(), protected_paths=["/", Rule("/recent", max_age=300)])
    token = make_token(claims(auth_time=auth_time))
    assert isinstance(run(guard.decide(bearer(token), NOW)), Allow)
    denied = run(guard.decide(bearer(token, "/recent"), NOW))
    assert isinstance(denied, Deny)
    assert denied.refusal.status == 401


@pytest.mark.parametrize("audience", [..., None, []])
def test_an_empty_list_is_no_audience(audience):
    """A token with an empty audience is accepted without a configured audience, and refused with one."""
    assert verify(claims(aud=audience), audience=None).subject == "ann"
    with pytest.raises(InvalidAudienceError):
        verify(claims(aud=audience))


@pytest.mark.parametrize("audience", ["", [""], [[]], {}, 0, False, ["x"], [None]])
def test_what_is_no_empty_list_is_an_audience(audience):
    """Any other value of `aud` is an audience."""
    with pytest.raises(InvalidAudienceError):
        verify(claims(aud=audience), audience=None)


ID_TOKENS = [
    {"token_use": "id", "at_hash": "x"},
    {"typ": "ID", "c_hash": "x", "s_hash": "x"},
    {"typ": "Serialized-ID"},
    {"type": "id_token"},
    {"at_hash": "x", "nonce": "n"},
]


@pytest.mark.parametrize("changes", ID_TOKENS, ids=str)
def test_id_tokens_are_taken_where_they_are_asked_for(changes):
    """An ID token is accepted with `id_tokens=True`, beside access tokens, and refused otherwise."""
    assert verify(claims(**changes), id_tokens=True).subject == "ann"
    assert verify(claims(), id_tokens=True).subject == "ann"
    with pytest.raises(InvalidTokenError):
        verify(claims(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"token_use": "refresh"},
        {"typ": "logout+jwt"},
        {"events": {}},
        {"type": "reset"},
        {"token_type": "DPoP"},
    ],
    ids=str,
)
def test_others_are_refused_where_id_tokens_are_taken(changes):
    """Other kinds of tokens are refused with `id_tokens=True`."""
    with pytest.raises(InvalidTokenError):
        verify(claims(**changes), id_tokens=True)


def test_a_claim_that_is_asked_for_is_no_mark():
    """A required value of `token_use` is no mark of another kind, and the other claims are checked."""
    wanted = {"claims": {"token_use": "id"}}
    assert verify(claims(token_use="id"), **wanted).subject == "ann"
    for changes in ({}, {"token_use": "access"}, {"token_use": "id", "typ": "refresh"}):
        with pytest.raises(InvalidTokenError):
            verify(claims(**changes), **wanted)
    with pytest.raises(InvalidTokenError):
        verify(claims(token_use="id", at_hash="x"), **wanted)
    assert verify(claims(token_use="id", at_hash="x"), id_tokens=True, **wanted).subject == "ann"
