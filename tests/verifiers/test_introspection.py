"""Introspection: the request to the endpoint, the meaning of its answer, and outages."""

import base64
import re
from urllib.parse import parse_qs

import jwt as pyjwt
import pytest

from authguard import (
    ClientAuth,
    ConfigurationError,
    Credential,
    Guard,
    IntrospectionVerifier,
    InvalidTokenError,
    JWTVerifier,
    RemoteKeySet,
    VerificationUnavailableError,
)
from authguard._core.flow import FetchFailedError, Response
from authguard.errors import (
    ExpiredTokenError,
    InvalidAudienceError,
    InvalidIssuerError,
    InvalidSignatureError,
    MissingRequiredClaimError,
    UnprovenTokenError,
)
from remote.world import World, down, page
from support import AUDIENCE, ISSUER, NOW, SECRET, bearer, claims, ec_key, jwk, make_token, pem, rsa_key

URL = "https://issuer.example/introspect"
ACTIVE = {"active": True, "sub": "ann", "client_id": "app", "aud": AUDIENCE, "scope": "read write"}


def verifier(**options):
    client = {} if "auth" in options else {"client_id": "api", "client_secret": "s3cret"}
    return IntrospectionVerifier(URL, **{"audience": AUDIENCE, **client, **options})


def world(answer=None, **changes):
    made = World()
    document = {name: value for name, value in {**ACTIVE, **changes}.items() if value is not ...}
    made.pages[URL] = page(document) if answer is None else answer
    return made


def ask(where, by=None, token="opaque", method="bearer", now=NOW):
    return where.run((by or verifier()).flow(Credential(token, method), now))


def form(question):
    return {name: values[0] for name, values in parse_qs(question.body.decode()).items()}


def test_an_active_token_names_its_caller():
    """The principal has the claims of the answer."""
    principal = ask(world(iss=ISSUER, exp=NOW + 600, jti="7", roles=["admin"], username="Ann")).principal
    assert (principal.subject, principal.client_id, principal.issuer) == ("ann", "app", ISSUER)
    assert (principal.scopes, principal.roles) == ({"read", "write"}, {"admin"})
    assert (principal.token_id, principal.expires_at, principal.method) == ("7", NOW + 600, "bearer")
    assert principal.claims["username"] == "Ann"


def test_the_token_is_posted_in_a_form():
    """The token is in the form of a POST, and not in the URL (RFC 7662 section 2.1)."""
    where = world()
    ask(where, token="a+b/c=")
    (question,) = where.calls
    assert (question.method, question.url) == ("POST", URL)
    assert question.headers["content-type"] == "application/x-www-form-urlencoded"
    assert question.headers["accept"] == "application/json"
    assert form(question) == {"token": "a+b/c=", "token_type_hint": "access_token"}


@pytest.mark.parametrize(("hint", "sent"), [("api_key", "api_key"), (None, None)])
def test_the_hint_can_be_set(hint, sent):
    """The token type hint can be set and left out."""
    where = world()
    ask(where, verifier(token_type_hint=hint))
    assert form(where.calls[0]).get("token_type_hint") == sent


def basic(question):
    return base64.b64decode(question.headers["authorization"].removeprefix("Basic ")).decode()


@pytest.mark.parametrize(
    ("raw", "sent"),
    [(False, "my%20api%3A1:s%2Bcr%25t%20%C3%A9"), (True, "my api:s+cr%t é")],
    ids=["encoded", "raw"],
)
def test_client_secret_basic_is_form_urlencoded(raw, sent):
    """Client id and secret are form-urlencoded (RFC 6749 section 2.3.1), or raw for some servers."""
    where = world()
    name = "my api" if raw else "my api:1"
    ask(where, verifier(auth=ClientAuth.basic(name, "s+cr%t é", raw=raw)))
    assert basic(where.calls[0]) == sent


def test_client_secret_post_goes_into_the_form():
    """Client id and secret are in the form, and no Authorization field is sent."""
    where = world()
    ask(where, verifier(auth=ClientAuth.post("api", "s3cret")))
    sent = form(where.calls[0])
    assert (sent["client_id"], sent["client_secret"]) == ("api", "s3cret")
    assert "authorization" not in where.calls[0].headers


def test_a_bearer_token_of_our_own():
    """The request is authenticated by a Bearer token (RFC 7662 section 2.1)."""
    where = world()
    ask(where, verifier(auth=ClientAuth.bearer("0urs")))
    assert where.calls[0].headers["authorization"] == "Bearer 0urs"


@pytest.mark.parametrize(("issuer", "audience"), [(None, URL), (ISSUER, ISSUER)])
def test_private_key_jwt_signs_an_assertion(issuer, audience):
    """Each assertion (RFC 7523) is for the issuer, or for the endpoint without one, with another `jti`."""
    where = world()
    auth = ClientAuth.private_key_jwt("api", ec_key(), algorithm="ES256", key_id="k1")
    by = verifier(auth=auth, issuer=issuer, cache_ttl=0)
    ask(where, by)
    ask(where, by)
    sent = [form(question) for question in where.calls]
    assert sent[0]["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    read = [
        pyjwt.decode(
            each["client_assertion"],
            ec_key().public_key(),
            ["ES256"],
            audience=audience,
            options={"verify_exp": False, "verify_iat": False},
        )
        for each in sent
    ]
    assert (read[0]["iss"], read[0]["sub"], read[0]["exp"]) == ("api", "api", NOW + 60)
    assert read[0]["jti"] != read[1]["jti"]
    assert pyjwt.get_unverified_header(sent[0]["client_assertion"])["kid"] == "k1"


@pytest.mark.parametrize("active", [False, "true", "True", 1, "1", None, ..., [True], {}], ids=repr)
def test_only_the_json_true_is_active(active):
    """A value of `active` other than true is a 401 (RFC 7662 section 2.2)."""
    with pytest.raises(InvalidTokenError):
        ask(world(active=active))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"exp": NOW - 31}, ExpiredTokenError),
        ({"nbf": NOW + 31}, ExpiredTokenError),
        ({"iat": NOW + 31}, ExpiredTokenError),
        ({"exp": "soon"}, InvalidTokenError),
        ({"exp": True}, InvalidTokenError),
        ({"aud": "https://other.example"}, InvalidAudienceError),
        ({"aud": ...}, InvalidAudienceError),
        ({"aud": [7]}, InvalidAudienceError),
        ({"iss": "https://other.example"}, InvalidIssuerError),
        ({"token_type": "refresh_token"}, InvalidTokenError),
        ({"token_type": "DPoP"}, InvalidTokenError),
        ({"token_use": "id"}, InvalidTokenError),
        ({"sub": 7}, InvalidTokenError),
        ({"sub": ""}, InvalidTokenError),
        ({"sub": ..., "client_id": ...}, MissingRequiredClaimError),
        ({"sub": ..., "username": "ann"}, MissingRequiredClaimError),
        ({"sub": "client:other"}, InvalidTokenError),
    ],
    ids=repr,
)
def test_an_active_answer_is_checked_again(changes, error):
    """Dates, issuer, audience, kind and subject of an active answer are checked."""
    with pytest.raises(error):
        ask(world(**changes), verifier(issuer=ISSUER))


@pytest.mark.parametrize("kind", ["Bearer", "DPoP"])
def test_a_guard_that_knows_no_proof_refuses_bound_tokens(kind):
    """The verifier returns the `cnf` of a bound token, and a guard without proofs refuses it."""
    by = verifier()
    where = world(cnf={"jkt": "x"}, token_type=kind)
    assert ask(where, by).principal.claims["cnf"] == {"jkt": "x"}
    denied = where.run(Guard(by).decide(bearer("opaque"), NOW))
    assert isinstance(denied.error, UnprovenTokenError)


def test_a_sub_that_is_required_is_not_made_up():
    """The client does not replace a `sub` that is required."""
    with pytest.raises(MissingRequiredClaimError):
        ask(world(sub=...), verifier(required_claims=["sub"]))


@pytest.mark.parametrize(
    "changes", [{"aud": [AUDIENCE, "x"]}, {"iss": ...}, {"exp": None, "token_type": "Bearer"}]
)
def test_what_is_optional_may_be_missing(changes):
    """Optional claims of the answer may be missing or null."""
    assert ask(world(**changes), verifier(issuer=ISSUER)).principal.issuer == ISSUER


def test_without_an_audience_only_answers_without_one_are_taken():
    """A verifier without an audience accepts only answers without one."""
    assert ask(world(aud=...), verifier(audience=None)).principal.subject == "ann"
    with pytest.raises(InvalidAudienceError):
        ask(world(), verifier(audience=None))


def test_a_client_of_its_own_cannot_be_mistaken_for_a_user():
    """A client's token has the subject `client:` and its id, which differs from a user of that name."""
    client = ask(world(sub=..., client_id="ann")).principal
    assert (client.subject, client.client_id) == ("client:ann", "ann")
    assert ask(world(sub="ann")).principal.subject == "ann"
    assert ask(world(sub="client:app")).principal.subject == "client:app"


def test_required_claims_are_required():
    """An answer without a required claim is refused."""
    with pytest.raises(MissingRequiredClaimError):
        ask(world(), verifier(required_claims=["exp"]))


@pytest.mark.parametrize(
    ("options", "changes", "until"),
    [
        ({}, {}, 30),
        ({"cache_ttl": 120}, {}, 120),
        ({"cache_ttl": 120}, {"exp": NOW + 60}, 60),
        ({"cache_ttl": 0}, {}, 0),
    ],
)
def test_an_answer_is_remembered_for_the_ttl_and_not_beyond_exp(options, changes, until):
    """An answer is remembered for `cache_ttl`, or until `exp` if that is earlier."""
    assert ask(world(**changes), verifier(**options)).until == NOW + until


def test_inactive_is_remembered_for_ten_seconds():
    """An inactive answer is remembered for ten seconds, for its verifier and its token."""
    where, by = world(active=False), verifier()
    for now in (NOW, NOW + 9):
        with pytest.raises(InvalidTokenError):
            ask(where, by, now=now)
    assert len(where.calls) == 1
    for other, token, now in ((by, "opaque", NOW + 10), (by, "another", NOW), (verifier(), "opaque", NOW)):
        with pytest.raises(InvalidTokenError):
            ask(where, other, token, now=now)
    assert len(where.calls) == 4


def test_without_a_cache_each_request_asks():
    """With `cache_ttl=0` an inactive answer is not remembered."""
    where, by = world(active=False), verifier(cache_ttl=0)
    for _ in range(3):
        with pytest.raises(InvalidTokenError):
            ask(where, by)
    assert len(where.calls) == 3


OUTAGES = {
    "refused": down(),
    "timeout": down("timeout"),
    "tls": down("tls"),
    "broken": down("broken"),
    "large": down("too_large"),
    "500": Response(500, {}, b""),
    "502 html": Response(502, {"content-type": "text/html"}, b"<html>"),
    "503": Response(503, {}, b""),
    "400": page({"error": "invalid_request"}, 400),
    "401": page({"error": "invalid_client"}, 401),
    "403": Response(403, {}, b""),
    "404": Response(404, {}, b""),
    "redirect": Response(307, {"location": "https://evil.example/"}, b""),
    "204": Response(204, {}, b""),
    "html": Response(200, {"content-type": "text/html"}, b"<html>"),
    "garbage": Response(200, {"content-type": "application/json"}, b"\x00"),
    "list": Response(200, {"content-type": "application/json"}, b"[true]"),
    "twice": Response(200, {"content-type": "application/json"}, b'{"active":false,"active":true}'),
}


@pytest.mark.parametrize("answer", OUTAGES.values(), ids=OUTAGES.keys())
def test_an_outage_is_not_the_callers_fault(answer):
    """An outage has a time to wait, is in the health, and is not remembered."""
    where, by = world(answer), verifier()
    with pytest.raises(VerificationUnavailableError) as raised:
        ask(where, by)
    assert raised.value.retry_after >= 1
    assert by.health(NOW)[0].state == "failing"
    where.pages[URL] = page(ACTIVE)
    assert ask(where, by, now=NOW + 60).principal.subject == "ann"
    assert by.health(NOW + 60)[0].state == "fresh"


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (401, r": check the credentials of this application, client_id and client_secret, or auth="),
        (403, r": check the credentials of this application"),
        (404, ": check the URL of the endpoint"),
        (405, ": check the URL of the endpoint"),
        (500, "$"),
    ],
)
def test_the_reason_of_an_outage_names_the_option_to_check(status, remedy):
    """The reason in the log and the health names the option to check."""
    where, by = world(Response(status, {}, b"")), verifier()
    with pytest.raises(VerificationUnavailableError) as raised:
        ask(where, by)
    expected = f"the status of its answer is {status}{remedy}"
    assert re.search(expected, raised.value.reason) and re.search(expected, by.health(NOW)[0].reason)


def test_the_health_counts_the_failures_in_a_row():
    """The number of failures is 0 before the first request and after a valid answer."""
    where, by = world(down()), verifier()
    counted = [by.health(NOW)[0].failures]
    for second in range(3):
        with pytest.raises(VerificationUnavailableError):
            ask(where, by, now=NOW + 10 * second)
        counted.append(by.health(NOW)[0].failures)
    where.pages[URL] = page(ACTIVE)
    ask(where, by, now=NOW + 100)
    assert [*counted, by.health(NOW)[0].failures] == [0, 1, 2, 3, 0]


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_passed_on(status):
    """The `Retry-After` of a 429 or 503 is that of the outage."""
    with pytest.raises(VerificationUnavailableError) as raised:
        ask(world(Response(status, {"retry-after": "17"}, b"")))
    assert raised.value.retry_after == 17


def test_nobody_asks_while_the_endpoint_wants_a_pause():
    """The endpoint is not asked again within its `Retry-After`."""
    where, by = world(Response(429, {"retry-after": "17"}, b"")), verifier()
    for token in "abc":
        with pytest.raises(VerificationUnavailableError):
            ask(where, by, token, now=NOW + 1)
    assert len(where.calls) == 1


def test_a_429_that_does_not_say_means_five_seconds():
    """A 429 without `Retry-After` is an outage of five seconds."""
    with pytest.raises(VerificationUnavailableError) as raised:
        ask(world(Response(429, {}, b"")))
    assert raised.value.retry_after == 5


@pytest.mark.parametrize(("kind", "calls"), [("connect", 2), ("broken", 2), ("timeout", 1), ("tls", 1)])
def test_what_was_not_answered_is_asked_once_more(kind, calls):
    """A failed connection or a broken one is tried once more, and a timeout or TLS error is not."""
    where = world(down(kind))
    with pytest.raises(VerificationUnavailableError):
        ask(where)
    assert len(where.calls) == calls


def test_requests_that_time_out_together_cost_one_pause():
    """After 64 simultaneous requests without an answer, the next one is sent after a second."""
    by = verifier()
    flows = [by.flow(Credential(str(number), "bearer"), NOW) for number in range(64)]
    for flow in flows:
        assert next(flow).url == URL
    for flow in flows:
        with pytest.raises(VerificationUnavailableError):
            flow.throw(FetchFailedError("timeout", "no answer", 5.0))
    assert ask(world(), by, now=NOW + 6.1).principal.subject == "ann"


def test_a_dead_endpoint_costs_one_timeout_and_then_nothing():
    """After one timeout the circuit is open, and the following requests are not sent."""
    where, by = world(down("timeout")), verifier()
    for number in range(100):
        with pytest.raises(VerificationUnavailableError):
            ask(where, by, str(number), now=NOW + number / 1000)
    assert len(where.calls) == 1


def test_refused_connections_open_the_circuit_too():
    """The circuit is open after three requests with refused connections."""
    where, by = world(down("connect")), verifier()
    for number in range(100):
        with pytest.raises(VerificationUnavailableError):
            ask(where, by, str(number))
    assert len(where.calls) == 3 * 2


def test_a_token_that_the_endpoint_cannot_digest_does_not_open_the_circuit():
    """Errors for one token do not open the circuit for the other tokens."""
    poison = Response(500, {}, b"")
    where, by = world(lambda question: poison if b"poison" in question.body else page(ACTIVE)), verifier()
    for _ in range(20):
        with pytest.raises(VerificationUnavailableError):
            ask(where, by, "poison")
    assert ask(where, by, "good").principal.subject == "ann"


def test_jwts_are_verified_before_anybody_is_asked():
    """A forged JWT is refused without a question, and a valid one is introspected and keeps its claims."""
    local = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    by = verifier(jwt=local, cache_ttl=30)
    where = world(iss=ISSUER, client_id=...)
    with pytest.raises(InvalidSignatureError):
        ask(where, by, make_token(key=SECRET[::-1]))
    assert where.calls == []
    principal = ask(where, by, make_token(claims(scope="from the token")))
    assert (principal.principal.scopes, principal.until) == ({"from", "the", "token"}, NOW + 30)
    with pytest.raises(InvalidTokenError):
        ask(world(active=False), by, make_token(claims(jti="revoked")))


@pytest.mark.parametrize(
    "changes", [{"sub": "bob"}, {"client_id": "other"}, {"jti": "other"}, {"cnf": {"jkt": "x"}}], ids=repr
)
def test_the_endpoint_must_speak_of_the_same_token(changes):
    """An answer with another subject, client, `jti` or `cnf` than the token is refused."""
    local = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    with pytest.raises(InvalidTokenError, match="another"):
        ask(world(**changes), verifier(jwt=local), make_token(claims(client_id="app", jti="7")))


@pytest.mark.parametrize(
    ("token", "answer"),
    [({"client_id": "app", "jti": "7"}, {}), ({}, {"client_id": "app", "jti": "7"})],
    ids=str,
)
def test_what_only_one_of_both_says_is_no_contradiction(token, answer):
    """A claim that only the token or only the answer has is no contradiction."""
    local = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    where = world(**{"client_id": ..., "jti": ..., **answer})
    assert (
        ask(where, verifier(jwt=local), make_token(claims(**{"jti": ..., **token}))).principal.subject
        == "ann"
    )


def test_opaque_tokens_are_asked_about_beside_jwts():
    """An opaque token is introspected also if JWTs are verified locally."""
    local = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    assert ask(world(), verifier(jwt=local)).principal.subject == "ann"


@pytest.mark.parametrize(
    ("options", "method", "accepted"),
    [
        ({}, "bearer", True),
        ({}, "cookie", True),
        ({}, "api_key", False),
        ({"header": "X-API-Key"}, "api_key", True),
        ({"header": "X-API-Key"}, "bearer", False),
        ({"prefixes": ["sk_live_"]}, "api_key", True),
    ],
)
def test_it_is_for_tokens_or_for_api_keys(options, method, accepted):
    """A verifier with a field or a prefix for keys accepts API keys, and one without accepts tokens."""
    assert verifier(**options).accepts(Credential("x", method)) is accepted


def test_api_keys_may_be_of_any_kind():
    """An answer for an API key may have any token type."""
    by = verifier(header="X-API-Key", token_type_hint="api_key")
    principal = ask(world(token_type="api_key"), by, "sk_live_1", "api_key").principal
    assert (principal.subject, principal.method) == ("ann", "api_key")


# Signed answers (RFC 9701)


def signed(inner=None, *, key=None, typ="token-introspection+jwt", **changes):
    body = {
        "iss": ISSUER,
        "aud": "api",
        "iat": NOW,
        "token_introspection": ACTIVE if inner is None else inner,
    }
    body = {name: value for name, value in {**body, **changes}.items() if value is not ...}
    token = make_token(body, algorithm="RS256", key=key or rsa_key(), typ=typ, kid="a")
    return Response(200, {"content-type": "application/token-introspection+jwt"}, token.encode())


def for_signed(keys=None):
    return verifier(issuer=ISSUER, answer_keys=keys or pem(rsa_key()))


def test_a_signed_answer_is_verified():
    """A signed answer is requested, and only its `token_introspection` counts."""
    where = world(signed(sub="mallory", exp=NOW - 999))
    assert ask(where, for_signed()).principal.subject == "ann"
    assert where.calls[0].headers["accept"] == "application/token-introspection+jwt"


@pytest.mark.parametrize("iat", [NOW - 90, NOW + 90])
def test_a_signed_answer_is_good_for_a_minute_and_the_leeway(iat):
    """A signed answer is valid for a minute and the leeway, before and after its `iat`."""
    assert ask(world(signed(iat=iat)), for_signed()).principal.subject == "ann"


def test_the_keys_of_signed_answers_may_be_fetched():
    """The keys of signed answers may be fetched from a URL."""
    where = world(signed())
    keys = "https://issuer.example/jwks"
    by = for_signed(RemoteKeySet(keys))
    with pytest.raises(VerificationUnavailableError):
        ask(where, by)
    where.pages[keys] = page({"keys": [jwk(rsa_key(), kid="a", alg="RS256")]})
    assert ask(where, by, now=NOW + 2).principal.subject == "ann"
    assert [health.name for health in by.health(NOW)] == [URL, keys]
    assert len(by.channels()) == 2


@pytest.mark.parametrize(
    ("issuer", "is_taken"),
    [(ISSUER, True), ("https://login.example/{tenantid}/v2.0", True), ("https://other.example", False)],
)
def test_a_key_of_one_issuer_signs_for_it_alone(issuer, is_taken):
    """A key of a set that names an issuer verifies only answers of this issuer."""
    keys = {"keys": [{**jwk(rsa_key(), kid="a", alg="RS256"), "issuer": issuer}]}
    if is_taken:
        assert ask(world(signed()), for_signed(keys)).principal.subject == "ann"
        return
    with pytest.raises(VerificationUnavailableError):
        ask(world(signed()), for_signed(keys))


def test_a_signed_answer_may_say_inactive():
    """An inactive signed answer is a 401."""
    with pytest.raises(InvalidTokenError):
        ask(world(signed({"active": False})), for_signed())


@pytest.mark.parametrize(
    "answer",
    [
        page(ACTIVE),
        signed(key=rsa_key.__wrapped__()),
        signed(typ="at+jwt"),
        signed(iss="https://other.example"),
        signed(aud="other"),
        signed(aud=...),
        signed(iat=NOW - 91),
        signed(iat=NOW + 91),
        signed(iat=...),
        signed(iat=True),
        signed(token_introspection="x"),
        signed(token_introspection=...),
        Response(200, {"content-type": "application/token-introspection+jwt"}, b"garbage"),
    ],
    ids=[
        "unsigned",
        "forged",
        "type",
        "issuer",
        "audience",
        "no-audience",
        "old",
        "later",
        "no-date",
        "bool-date",
        "text",
        "nothing",
        "garbage",
    ],
)
def test_a_signed_answer_that_is_not_good_is_no_answer(answer):
    """An invalid signed answer is an outage, since the caller did not cause it."""
    with pytest.raises(VerificationUnavailableError):
        ask(world(answer), for_signed())


def test_a_signed_answer_that_nobody_asked_for_is_no_answer():
    """A signed answer without keys to verify it is an outage."""
    with pytest.raises(VerificationUnavailableError):
        ask(world(signed()))


def test_no_secret_shows_itself():
    """Representations and errors contain no secret of the client."""
    auths = [
        ClientAuth.basic("api", "s3cret"),
        ClientAuth.post("api", "s3cret"),
        ClientAuth.bearer("s3cret"),
        ClientAuth.private_key_jwt("api", ec_key(), algorithm="ES256"),
    ]
    for auth in auths:
        by = verifier(auth=auth)
        assert "s3cret" not in repr(auth) + repr(by) + repr(vars(by))
        with pytest.raises(VerificationUnavailableError) as raised:
            ask(world(down()), by, "opaque-s3cret")
        assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"client_secret": None}, "client_id and client_secret"),
        ({"client_id": ""}, "client_id must be"),
        ({"auth": ClientAuth.bearer("x"), "client_id": "api"}, "auth must be left out"),
        ({"auth": "basic"}, "auth must be ClientAuth"),
        ({"audience": []}, "audience must name at least one"),
        ({"audience": ""}, "audience must be text"),
        ({"cache_ttl": -1}, "cache_ttl"),
        ({"cache_ttl": True}, "cache_ttl"),
        ({"leeway": 301}, "leeway"),
        ({"prefixes": "sk_"}, "prefixes must be a list"),
        ({"scope_claims": "scope"}, "scope_claims must be a list"),
        ({"answer_keys": SECRET}, "issuer and client_id must be given"),
        ({"answer_keys": SECRET, "issuer": ISSUER}, "must be PEM or JSON"),
    ],
    ids=lambda part: str(part)[:40],
)
def test_wrong_options_are_found_when_built(options, says):
    """Invalid options are errors with advice."""
    client = (
        {}
        if options.get("auth") == "basic" or "auth" in options
        else {"client_id": "api", "client_secret": "s"}
    )
    with pytest.raises(ConfigurationError, match=says):
        IntrospectionVerifier(URL, **{**client, **options})


@pytest.mark.parametrize(
    "make",
    [
        lambda: ClientAuth.basic("a:b", "s", raw=True),
        lambda: ClientAuth.basic("api", ""),
        lambda: ClientAuth.post("api", "s\r\n"),
        lambda: ClientAuth.private_key_jwt("api", ec_key(), algorithm="HS256"),
        lambda: ClientAuth.private_key_jwt("api", rsa_key(), algorithm="ES256"),
        lambda: ClientAuth.private_key_jwt("api", pem(ec_key()), algorithm="ES256"),
        lambda: ClientAuth.private_key_jwt("api", "garbage", algorithm="ES256"),
        lambda: IntrospectionVerifier("http://issuer.example/", client_id="a", client_secret="b"),
    ],
    ids=["colon", "empty", "line-break", "hmac", "wrong-type", "public", "garbage", "http"],
)
def test_what_cannot_authenticate_us_is_found_when_built(make):
    """Invalid credentials of the client are refused when the verifier is built."""
    with pytest.raises(ConfigurationError):
        make()


@pytest.mark.parametrize("algorithms", [["ES256"], ("ES256",), [], 5])
def test_algorithms_of_answers_need_the_keys(algorithms):
    """`answer_algorithms` without `answer_keys` is refused, since it would have no effect."""
    with pytest.raises(ConfigurationError, match="answer_algorithms must be left out without answer_keys"):
        IntrospectionVerifier(
            "https://a.example", client_id="a", client_secret="b", answer_algorithms=algorithms
        )
