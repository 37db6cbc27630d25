"""The option `subject_claims`, for tokens and for introspection answers."""

import pytest

from authguard import (
    ClientAuth,
    ConfigurationError,
    Credential,
    Guard,
    IntrospectionVerifier,
    JWTVerifier,
    MemoryRevocations,
)
from authguard.backchannel import BackChannelLogout
from authguard.errors import InvalidTokenError, MalformedTokenError, MissingRequiredClaimError
from remote.world import World, page
from support import AUDIENCE, ISSUER, NOW, SECRET, claims, judge, make_token, pem, rsa_key

URL = "https://issuer.example/introspect"


def by_jwt(**options):
    return JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE, **options)


def endpoint(**options):
    return IntrospectionVerifier(
        URL, auth=ClientAuth.post("api", "s3cret"), issuer=ISSUER, audience=AUDIENCE, **options
    )


def locally(body, **options):
    return judge(by_jwt(**options), Credential(make_token(body), "bearer"), NOW).principal


def asking(body, **options):
    world = World()
    world.pages[URL] = page({"active": True, **body})
    options = {"required_claims": ["exp", "sub"], **options}
    return world.run(endpoint(**options).flow(Credential("opaque", "bearer"), NOW)).principal


WAYS = {"JWTVerifier": locally, "introspection": asking}
EACH_WAY = pytest.mark.parametrize("way", WAYS)

NAMED = {
    "django-oauth-toolkit": (["username"], {"sub": ..., "username": "ann", "client_id": "web"}, "ann"),
    "a service token of Cloudflare": (
        ["sub", "common_name"],
        {"sub": "", "common_name": "a.access"},
        "a.access",
    ),
    "the least number": (["uid"], {"uid": 0}, "0"),
    "the greatest number": (["uid"], {"uid": 2**63 - 1}, "9223372036854775807"),
    "a user of Cloudflare": (["sub", "common_name"], {"sub": "u1", "common_name": "x"}, "u1"),
    "ADFS": (["upn", "appid"], {"sub": ..., "upn": "ann@corp.example", "appid": "app"}, "ann@corp.example"),
    "an application of ADFS": (["upn", "appid"], {"sub": ..., "appid": "app"}, "client:app"),
    "a client of Okta": (["uid", "cid"], {"sub": ..., "cid": "0oa1"}, "client:0oa1"),
    "the key of a Supabase project": (["sub", "role"], {"sub": ..., "role": "anon"}, "anon"),
    "Keycloak without sub": (["sub", "preferred_username"], {"sub": ..., "preferred_username": "ann"}, "ann"),
    "SimpleJWT, with a number": (["user_id"], {"sub": ..., "user_id": 7}, "7"),
    "a large number": (["user_id"], {"sub": ..., "user_id": 2**62}, str(2**62)),
    "below an object": (["user.id"], {"sub": ..., "user": {"id": "u1"}}, "u1"),
    "by a tuple": ([("a.b", "id")], {"sub": ..., "a.b": {"id": "u1"}}, "u1"),
    "a URL": (["https://x.example/id"], {"sub": "ann", "https://x.example/id": "u1"}, "u1"),
    "null before one": (["upn", "sub"], {"upn": None}, "ann"),
    "white space is a name": (["upn", "sub"], {"upn": " "}, " "),
}


@EACH_WAY
@pytest.mark.parametrize("case", NAMED)
def test_the_first_claim_that_is_there_names_the_subject(way, case):
    """The first claim that is not empty or null is the subject, and one that names a client has its mark."""
    names, changes, subject = NAMED[case]
    assert WAYS[way](claims(**changes), subject_claims=names).subject == subject


@EACH_WAY
@pytest.mark.parametrize("value", [True, 1.5, -1, 2**63, [], ["ann"], {}, {"id": "ann"}], ids=str)
def test_a_subject_of_another_type_is_refused(way, value):
    """A subject claim of another type is refused, and the next claim is not used."""
    with pytest.raises(MalformedTokenError) as caught:
        WAYS[way](claims(uid=value), subject_claims=["uid", "sub"])
    assert caught.value.claim == "uid"


@EACH_WAY
@pytest.mark.parametrize("changes", [{}, {"upn": ""}, {"upn": None}, {"client_id": "web"}], ids=str)
def test_without_any_of_them_the_token_is_refused(way, changes):
    """A token without any of the claims is refused, also with a `sub`, if `sub` is required."""
    with pytest.raises(MissingRequiredClaimError):
        WAYS[way](claims(**changes), subject_claims=["upn"])


@EACH_WAY
def test_a_client_stands_in_where_no_subject_is_required(way):
    """A client that replaces a missing subject has its mark, and a user of its name has none."""
    options = {"subject_claims": ["upn"], "required_claims": ["exp"]}
    assert WAYS[way](claims(sub=..., client_id="web"), **options).subject == "client:web"
    assert WAYS[way](claims(sub=..., upn="web", client_id="web"), **options).subject == "web"


@EACH_WAY
@pytest.mark.parametrize(
    ("names", "changes"),
    [
        (["upn"], {"upn": "client:billing"}),
        (["upn"], {"upn": "client:billing", "client_id": "web"}),
        (["upn", "appid"], {"upn": "client:billing", "appid": "web"}),
        (["username"], {"sub": ..., "username": "client:"}),
        (["uid"], {"uid": "client:web", "azp": "WEB"}),
    ],
    ids=str,
)
def test_no_user_passes_for_a_client(way, names, changes):
    """A subject that looks like that of a client is refused, unless the token is that client's."""
    with pytest.raises(InvalidTokenError, match="be mistaken for a client"):
        WAYS[way](claims(**changes), subject_claims=names)


@EACH_WAY
@pytest.mark.parametrize("name", ["client_id", "azp", "cid", "appid"])
@pytest.mark.parametrize("spelled", [str, lambda name: (name,)], ids=["name", "tuple"])
def test_no_client_passes_for_a_user(way, name, spelled):
    """A claim of the client as the subject claim makes a client's subject, as a name and as a tuple."""
    body = claims(**{"sub": ..., name: "ann"})
    assert WAYS[way](body, subject_claims=[spelled(name)]).subject == "client:ann"


@pytest.mark.parametrize("kind", [set, frozenset])
def test_the_order_of_the_claims_is_the_same_in_each_process(kind):
    """A set is refused, since its order may change with the process."""
    with pytest.raises(ConfigurationError, match=r'write subject_claims=\["sub", "username"\]'):
        by_jwt(subject_claims=kind(["upn", "sub"]))


@EACH_WAY
def test_the_user_of_a_token_is_not_taken_for_its_client(way):
    """A token with a `username` that is no subject claim is not the client's own."""
    options = {"subject_claims": ["upn"], "required_claims": ["exp"]}
    with pytest.raises(MissingRequiredClaimError):
        WAYS[way](claims(sub=..., client_id="web", username="ann"), **options)


@EACH_WAY
def test_an_empty_username_is_no_user_where_it_is_asked_for(way):
    """A token with an empty `username` as its subject claim is the client's own."""
    options = {"subject_claims": ["username"], "required_claims": ["exp"]}
    assert WAYS[way](claims(sub=..., client_id="web", username=""), **options).subject == "client:web"


@EACH_WAY
def test_naming_sub_alone_changes_nothing(way):
    """An empty `sub` is refused as without the option."""
    with pytest.raises(MalformedTokenError):
        WAYS[way](claims(sub=""), subject_claims=["sub"])


@pytest.mark.parametrize(
    "names",
    [
        [],
        "sub",
        {"sub": 1},
        [""],
        [5],
        [None],
        [()],
        [("a", "")],
        [("a", 5)],
        ["a" * 1025],
        [["a", "b"]],
        ["a." * 32 + "b"],
        [("a",) * 33],
        ["a"] * 101,
    ],
    ids=lambda names: str(names)[:20],
)
def test_what_names_no_claims_is_refused(names):
    """Invalid names of claims are refused when the verifier is built."""
    for build in (by_jwt, endpoint):
        with pytest.raises(ConfigurationError, match=r"subject_claims .*must"):
            build(subject_claims=names)


def both(answer, token, **options):
    world = World()
    world.pages[URL] = page({"active": True, **answer})
    verifier = endpoint(jwt=by_jwt(subject_claims=["upn"]), **options)
    return world.run(verifier.flow(Credential(make_token(token), "bearer"), NOW)).principal


def test_the_endpoint_has_to_name_the_subject_of_the_token():
    """An answer with another subject is refused, and one with the client only is accepted."""
    token = claims(sub=..., upn="ann")
    assert both(claims(sub=..., upn="ann"), token, subject_claims=["upn"]).subject == "ann"
    assert both(claims(sub=..., client_id="web"), token, subject_claims=["upn"]).subject == "ann"
    for answer in (claims(upn="eve"), claims(upn="client:web", client_id="web")):
        with pytest.raises(InvalidTokenError, match="another subject"):
            both(answer, token, subject_claims=["upn"])


def logouts(revocations, issuer=ISSUER):
    return BackChannelLogout(
        pem(rsa_key()),
        algorithms=["RS256"],
        issuer=issuer,
        audience="app",
        revocations=revocations,
        replays=lambda digest, until: True,
    )


@pytest.mark.parametrize("names", [["upn"], ["sub", "upn"]])
def test_a_logout_has_to_reach_the_subjects(names):
    """A guard with other subjects than `sub` refuses a logout endpoint of the same issuer."""
    revocations = MemoryRevocations()
    options = {"revocations": revocations, "backchannel_logout": logouts(revocations)}
    for verifier in (by_jwt(subject_claims=names), endpoint(subject_claims=names)):
        with pytest.raises(ConfigurationError, match="subject_claims of .* must be left out"):
            Guard(verifier, **options)
    assert Guard(by_jwt(subject_claims=["sub"]), **options)
    other = logouts(revocations, "https://other.example")
    assert Guard(by_jwt(subject_claims=names), revocations=revocations, backchannel_logout=other)


def test_an_endpoint_of_any_issuer_may_be_that_of_the_logout():
    """A guard with an introspection verifier without an issuer refuses a logout endpoint."""
    revocations = MemoryRevocations()
    anybody = IntrospectionVerifier(URL, auth=ClientAuth.post("api", "x"), subject_claims=["username"])
    with pytest.raises(ConfigurationError, match="subject_claims"):
        Guard(anybody, revocations=revocations, backchannel_logout=logouts(revocations))


@pytest.mark.parametrize("issuer", ["https://login.example/{tenantid}/v2.0", "https://*.example"])
def test_an_endpoint_is_of_one_issuer(issuer):
    """An introspection verifier refuses a pattern as its issuer."""
    with pytest.raises(ConfigurationError, match="issuer must be one issuer"):
        IntrospectionVerifier(URL, auth=ClientAuth.post("api", "x"), issuer=issuer)
