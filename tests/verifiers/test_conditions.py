"""The options `claims`, `header_claims` and `client_ids`: values that a token must have, of the same type."""

import pytest

from authguard import ClientAuth, ConfigurationError, Credential, IntrospectionVerifier, JWTVerifier
from authguard.errors import InvalidTokenError, MissingRequiredClaimError
from remote.world import World, page
from support import AUDIENCE, ISSUER, NOW, SECRET, b64, claims, judge, jwk, make_token, pem, rsa_key

URL = "https://issuer.example/introspect"
ALB = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/a/0"


def by_jwt(**options):
    options = {"issuer": ISSUER, "audience": AUDIENCE, **options}
    return JWTVerifier(SECRET, algorithms=["HS256"], **options)


def endpoint(**options):
    options = {"issuer": ISSUER, "audience": AUDIENCE, **options}
    return IntrospectionVerifier(URL, auth=ClientAuth.post("api", "s3cret"), **options)


def locally(body, **options):
    return judge(by_jwt(**options), Credential(make_token(body), "bearer"), NOW).principal


def asking(body, **options):
    world = World()
    world.pages[URL] = page({"active": True, **body})
    return world.run(endpoint(**options).flow(Credential("opaque", "bearer"), NOW)).principal


WAYS = {"JWTVerifier": locally, "introspection": asking}
EACH_WAY = pytest.mark.parametrize("way", WAYS)

#: The required value, the value of the token, and whether they are the same.
COMPARED = [
    ("acme", "acme", True),
    ("acme", "Acme", False),
    ("acme", "acme ", False),
    ("acme", "acm", False),
    ("acme", "acme\0", False),
    ("acme", ["acme"], False),
    ("acme", {"acme": True}, False),
    ("caf\u00e9", "caf\u00e9", True),
    ("caf\u00e9", "cafe\u0301", False),
    ("acme", "\u0430cme", False),
    (True, True, True),
    (True, 1, False),
    (True, "true", False),
    (True, 1.0, False),
    (False, 0, False),
    (False, None, False),
    (False, "", False),
    (1, 1, True),
    (1, True, False),
    (1, "1", False),
    (1, 1.0, False),
    ("1", 1, False),
    (1.5, 1.5, True),
    (1.0, 1, False),
    (0, False, False),
    (2**60, 2**60, True),
    (2**60, 2**60 + 1, False),
    (["a", "b"], "b", True),
    (["a", "b"], "c", False),
    (["a", "b"], ["a", "b"], False),
    (["a", "b"], ["a"], False),
    (("a", 1), 1, True),
    ({"a"}, "a", True),
    ([1], True, False),
    ("acme", None, False),
    ("acme", ..., False),
]


@EACH_WAY
@pytest.mark.parametrize(("required", "value", "same"), COMPARED, ids=repr)
def test_a_value_is_compared_with_its_type(way, required, value, same):
    """Values of two types differ, such as True and 1, and text is compared character by character."""
    if same:
        assert WAYS[way](claims(org=value), claims={"org": required}).subject == "ann"
        return
    with pytest.raises(InvalidTokenError) as caught:
        WAYS[way](claims(org=value), claims={"org": required})
    assert caught.value.claim == "org"


@EACH_WAY
def test_each_claim_has_to_hold(way):
    """A token must fulfil each required claim."""
    required = {"repository_owner": "acme", "ref_protected": "true"}
    good = {"repository_owner": "acme", "ref_protected": "true"}
    assert WAYS[way](claims(**good), claims=required).subject == "ann"
    for name in good:
        with pytest.raises(InvalidTokenError):
            WAYS[way](claims(**{**good, name: "other"}), claims=required)
        with pytest.raises(InvalidTokenError):
            WAYS[way](claims(**{**good, name: ...}), claims=required)


@EACH_WAY
def test_a_claim_may_be_below_an_object(way):
    """The name of a required claim may be a dotted path or a tuple."""
    body = claims(**{"firebase": {"sign_in_provider": "password"}, "a.b": "x"})
    for name in ("firebase.sign_in_provider", ("firebase", "sign_in_provider")):
        assert WAYS[way](body, claims={name: "password"}).subject == "ann"
        with pytest.raises(InvalidTokenError):
            WAYS[way](body, claims={name: "google.com"})
    assert WAYS[way](body, claims={"a.b": "x"}).subject == "ann"


@EACH_WAY
def test_the_subject_and_the_client_can_be_asked_for(way):
    """`sub` and `azp` can be required claims."""
    assert WAYS[way](claims(azp="web"), claims={"sub": "ann", "azp": "web"}).subject == "ann"
    with pytest.raises(InvalidTokenError):
        WAYS[way](claims(), claims={"sub": "eve"})


def test_what_is_asked_cannot_be_changed_later():
    """The verifier copies the mapping of required claims."""
    required = {"org": ["acme"]}
    verifier = by_jwt(claims=required)
    required["org"].append("evil")
    required.clear()
    with pytest.raises(InvalidTokenError):
        judge(verifier, Credential(make_token(claims(org="evil")), "bearer"), NOW)


BAD = [
    {},
    {"org": None},
    {"org": ""},
    {"org": []},
    {"org": [None]},
    {"org": [[1]]},
    {"org": {"a": 1}},
    {"org": float("nan")},
    {"org": len},
    {"org": b"acme"},
    {"org": [""]},
    {"": "x"},
    {5: "x"},
    {None: "x"},
    {(): "x"},
    {("a", 5): "x"},
    {"iss": ISSUER},
    {"aud": AUDIENCE},
    {"exp": 5},
    {"nbf": 5},
    {"iat": 5},
    {f"c{number}": 1 for number in range(101)},
    {"org": [str(number) for number in range(101)]},
]


@pytest.mark.parametrize("values", BAD, ids=lambda values: str(values)[:30])
def test_what_cannot_be_asked_of_claims_is_refused(values):
    """A missing or empty value, a value of another type, and a claim with its own option are refused."""
    for build in (by_jwt, endpoint):
        with pytest.raises(ConfigurationError, match=r"claims.* must"):
            build(claims=values)


def rsa_verifier(**options):
    return JWTVerifier(pem(rsa_key()), algorithms=["RS256"], issuer=ISSUER, audience=AUDIENCE, **options)


def test_a_header_parameter_is_compared():
    """A header parameter, such as the load balancer that has signed, is compared with its type."""
    verifier = by_jwt(header_claims={"signer": ALB, "version": 1})
    good = make_token(signer=ALB, version=1)
    assert judge(verifier, Credential(good, "bearer"), NOW).principal.subject == "ann"
    others = [
        {},
        {"signer": ALB},
        {"signer": None, "version": 1},
        {"signer": f"{ALB}0", "version": 1},
        {"signer": [ALB], "version": 1},
        {"signer": ALB, "version": True},
        {"signer": ALB, "version": "1"},
    ]
    for header in others:
        with pytest.raises(InvalidTokenError, match="header parameter"):
            judge(verifier, Credential(make_token(**header), "bearer"), NOW)


def test_a_claim_does_not_stand_in_for_a_header_parameter():
    """A claim does not count as a header parameter, and a header parameter not as a claim."""
    with pytest.raises(InvalidTokenError):
        judge(
            by_jwt(header_claims={"signer": ALB}), Credential(make_token(claims(signer=ALB)), "bearer"), NOW
        )
    with pytest.raises(InvalidTokenError):
        judge(by_jwt(claims={"signer": ALB}), Credential(make_token(signer=ALB), "bearer"), NOW)


def test_a_header_is_compared_after_the_signature():
    """The signature is verified before the header is compared."""
    verifier = by_jwt(header_claims={"signer": ALB})
    with pytest.raises(InvalidTokenError, match="signature"):
        judge(verifier, Credential(make_token(key=SECRET[::-1], signer="x"), "bearer"), NOW)


def test_a_header_is_compared_with_fetched_keys_too():
    """Header parameters are compared with remote keys as well."""
    from authguard import RemoteKeySet

    world = World()
    world.pages["https://issuer.example/jwks"] = page({"keys": [jwk(rsa_key(), kid="a", alg="RS256")]})
    verifier = JWTVerifier(
        RemoteKeySet("https://issuer.example/jwks"),
        algorithms=["RS256"],
        issuer=ISSUER,
        audience=AUDIENCE,
        header_claims={"signer": ALB},
    )
    good = make_token(algorithm="RS256", key=rsa_key(), kid="a", signer=ALB)
    bad = make_token(algorithm="RS256", key=rsa_key(), kid="a", signer="other")
    assert world.run(verifier.flow(Credential(good, "bearer"), NOW)).principal.subject == "ann"
    with pytest.raises(InvalidTokenError, match="header parameter signer"):
        world.run(verifier.flow(Credential(bad, "bearer"), NOW))


def test_a_key_set_in_the_header_is_still_refused():
    """A `jku` is refused also if header parameters are compared."""
    verifier = by_jwt(header_claims={"signer": ALB})
    with pytest.raises(InvalidTokenError, match="jku"):
        judge(verifier, Credential(make_token(signer=ALB, jku=URL), "bearer"), NOW)


BAD_HEADERS = [
    {},
    {"alg": "HS256"},
    {"typ": "JWT"},
    {"crit": "x"},
    {"b64": False},
    {"jwk": "x"},
    {"x5u": "x"},
    {"cty": "JWT"},
    {"signer": None},
    {"signer": ""},
    {"signer": {}},
    {"": "x"},
    {("a", "b"): "x"},
    {5: "x"},
]


@pytest.mark.parametrize("values", BAD_HEADERS, ids=str)
def test_what_cannot_be_asked_of_a_header_is_refused(values):
    """A header parameter with an option of its own, or that no token may have, is refused."""
    with pytest.raises(ConfigurationError, match=r"header_claims.* must"):
        by_jwt(header_claims=values)


NO_AUDIENCE = {"audience": None}
CLIENTS = [
    ({"client_id": "web"}, "web"),
    ({"azp": "web"}, "web"),
    ({"client_id": "web", "azp": "app"}, "web"),
    ({"client_id": None, "azp": "web"}, "web"),
    ({"cid": "web"}, "web"),
    ({"appid": "web"}, "web"),
    ({"client_id": "web", "cid": "other"}, "web"),
    ({"azp": "web", "appid": 7}, "web"),
    ({"cid": None, "appid": "app"}, "app"),
]


@EACH_WAY
@pytest.mark.parametrize(("changes", "client"), CLIENTS, ids=str)
def test_a_client_of_the_list_is_taken(way, changes, client):
    """A client of the list is accepted by each claim that names it, and is the principal's `client_id`."""
    body = claims(aud=..., **changes)
    assert WAYS[way](body, client_ids=["web", "app"], **NO_AUDIENCE).client_id == client


@EACH_WAY
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"client_id": "evil"},
        {"azp": "evil"},
        {"client_id": "web", "azp": "evil"},
        {"client_id": ""},
        {"client_id": "evil", "azp": "web"},
        {"client_id": "evil", "cid": "web"},
        {"cid": "evil"},
        {"cid": "web", "appid": "evil"},
        {"cid": 7},
        {"cid": ["web"]},
        {"appid": {"web": 1}},
        {"cid": True},
        {"client_id": "WEB"},
        {"client_id": "web "},
        {"client_id": None},
        {"client": "web"},
        {"aud": "web"},
    ],
    ids=str,
)
def test_a_client_beside_the_list_is_refused(way, changes):
    """Each claim that names a client must name one of the list."""
    with pytest.raises(InvalidTokenError):
        WAYS[way](claims(**{"aud": ..., **changes}), client_ids=["web", "app"], **NO_AUDIENCE)


def test_a_client_alone_may_be_given_as_text():
    """One client may be given as text."""
    assert locally(claims(azp="web"), client_ids="web").client_id == "web"
    with pytest.raises(InvalidTokenError):
        locally(claims(azp="we"), client_ids="web")


def test_a_client_of_the_list_is_the_subject_of_its_own_token():
    """A client without a `sub` is the subject, with its mark, by each claim that names it."""
    options = {"client_ids": ["web"], "required_claims": ["exp"]}
    assert locally(claims(sub=..., cid="web"), **options).subject == "client:web"
    with pytest.raises(MissingRequiredClaimError):
        locally(claims(sub=..., cid="web"), required_claims=["exp"])


@pytest.mark.parametrize(
    "clients", [[], "", [""], [5], [None], {"web": 1}, 5, True, ["a"] * 10_001], ids=lambda c: str(c)[:9]
)
def test_what_is_no_list_of_clients_is_refused(clients):
    """The verifier refuses an empty list, empty text, other types and too many clients."""
    for build in (by_jwt, endpoint):
        with pytest.raises(ConfigurationError, match=r"client_ids .*must"):
            build(client_ids=clients)


def test_a_header_with_a_repeated_member_is_refused():
    """A header with a repeated parameter is refused, so that all readers find the same signer."""
    head = b64(f'{{"alg":"HS256","signer":"{ALB}","signer":"x"}}'.encode())
    from support import make_token_of_parts

    token = make_token_of_parts(head, make_token().split(".")[1])
    with pytest.raises(InvalidTokenError):
        judge(by_jwt(header_claims={"signer": ALB}), Credential(token, "bearer"), NOW)


def test_as_many_as_are_allowed_are_taken():
    """The largest allowed numbers of claims, values and clients are accepted."""
    values = {f"c{number}": number for number in range(100)}
    assert locally(claims(**values), claims=values).subject == "ann"
    assert locally(claims(org="99"), claims={"org": [str(number) for number in range(100)]}).subject == "ann"
    clients = [str(number) for number in range(10_000)]
    assert locally(claims(azp="9999"), client_ids=clients).client_id == "9999"
