"""Issuers of several tenants: by a list, and by a function of the application."""

import asyncio

import pytest

from authguard import ConfigurationError, Credential, Guard, JWTVerifier, RemoteKeySet
from authguard._core.answer.decision import Allow, Deny
from authguard.drivers import run
from authguard.drivers.asynchronous import run as run_async
from authguard.errors import InvalidIssuerError, InvalidTokenError
from authguard.verifiers.issuer_check import ACCEPTED_SECONDS, REFUSED_SECONDS
from support import AUDIENCE, NOW, SECRET, bearer, claims, ec_key, judge, jwk, make_token

ENTRA = "https://login.example/{tenantid}/v2.0"
ONE, TWO = "8f2c0d5e-6c0f-4b57-9f3f-2d0b1a7a1c11", "72f988bf-86f1-41af-91ab-2d7cd011db47"
OTHER_SECRET = "Zr7Pq1Wm4Xc9Tn2Yv6Lk8Jh3Gf5DsBa0eUoIiE"


def jwt(issuer=ENTRA, tenants=(ONE, TWO), secret=SECRET, **options):
    return JWTVerifier(
        secret, algorithms=["HS256"], issuer=issuer, tenants=tenants, audience=AUDIENCE, **options
    )


def of(tenant):
    return ENTRA.replace("{tenantid}", tenant)


def verify(verifier, issuer, now=NOW, key=SECRET):
    token = make_token(claims(iss=issuer), key=key)
    return judge(verifier, Credential(token, "bearer"), now).principal


@pytest.mark.parametrize("tenant", [ONE, TWO])
def test_tokens_of_the_tenants_are_taken(tenant):
    """The principal of a tenant has the issuer of the token."""
    assert verify(jwt(), of(tenant)).issuer == of(tenant)


HOSTILE = [
    "",
    "common",
    "organizations",
    "{tenantid}",
    "*",
    ONE.upper(),
    ONE[:-1],
    f"{ONE}x",
    f" {ONE}",
    f"{ONE} ",
    f"{ONE}\n",
    f"{ONE}\0",
    f"{ONE}/",
    f"/{ONE}",
    f"{ONE}//",
    f"x/../{ONE}",
    f"{ONE}/v2.0/{TWO}",
    f"{ONE}|{TWO}",
    ONE.replace("-", "%2D"),
    ONE.replace("8", "%38"),
    ONE.replace("8", "\uff18"),
    ONE.replace("8", "\u0668"),
    ONE.replace("e", "\u0435"),
    ONE.replace("c", "c\u0327"),
    f"{ONE}%00",
    f"{ONE}%2f",
    f"{ONE}%2F..",
    "..",
    ".",
    f"{ONE}?a=b",
    f"{ONE}#",
    f"{ONE};a",
    f"@{ONE}",
    f"{ONE}\\",
    ".*",
    "[0-9a-f-]+",
    "%s",
    "{0}",
    f"{{{ONE}}}",
]


@pytest.mark.parametrize("tenant", HOSTILE, ids=ascii)
def test_another_tenant_is_refused(tenant):
    """A tenant that only resembles one of the list is refused: the text is not decoded or matched."""
    with pytest.raises(InvalidIssuerError):
        verify(jwt(), of(tenant))


@pytest.mark.parametrize(
    "issuer",
    [
        ...,
        None,
        "",
        7,
        True,
        [of(ONE)],
        {of(ONE): 1},
        of(ONE).upper(),
        f"{of(ONE)}/",
        f" {of(ONE)}",
        of(ONE)[:-1],
        of(ONE).replace("https", "http"),
        of(ONE).replace("login", "evil"),
        f"{of(ONE)}.evil",
        f"{of(ONE)}\n",
        of(ONE) + of(TWO),
        ONE,
        ENTRA,
        "https://login.example//v2.0",
    ],
    ids=str,
)
def test_what_is_no_issuer_of_a_tenant_is_refused(issuer):
    """The whole issuer is compared, and the pattern itself is no issuer."""
    with pytest.raises(InvalidTokenError):
        verify(jwt(), issuer)


def test_a_tenant_may_be_percent_encoded_as_it_stands_in_the_issuer():
    """A percent-encoded tenant is compared as it is, and its decoded name is another tenant."""
    verifier = jwt("https://sso.example/realms/{tenantid}", ["my%20realm"])
    assert verify(verifier, "https://sso.example/realms/my%20realm").subject == "ann"
    for other in ("my realm", "my+realm", "my%2520realm", "MY%20realm"):
        with pytest.raises(InvalidIssuerError):
            verify(verifier, f"https://sso.example/realms/{other}")


def test_a_tenant_may_be_in_the_host():
    """The tenant may be in the host of the issuer."""
    verifier = jwt("https://{tenantid}.idp.example/", ["acme"])
    assert verify(verifier, "https://acme.idp.example/").subject == "ann"
    with pytest.raises(InvalidIssuerError):
        verify(verifier, "https://acme.evil.example/")


@pytest.mark.parametrize(
    "tenant",
    [
        "",
        ".",
        "..",
        "a/b",
        "a\\b",
        "a b",
        "*",
        "{tenantid}",
        "a?b",
        "a#b",
        "a@b",
        "a:b",
        "%",
        "%2",
        "%zz",
        "caf\xe9",
        "a\n",
        "a\0",
        "[a-z]",
        "x" * 256,
        5,
        None,
        b"a",
    ],
    ids=ascii,
)
def test_what_is_no_tenant_is_refused(tenant):
    """A tenant with other characters, such as those of a pattern, is refused."""
    with pytest.raises(ConfigurationError, match="each of tenants must"):
        jwt(tenants=[tenant])


@pytest.mark.parametrize(
    ("issuer", "tenants", "says"),
    [
        (ENTRA, None, "tenants must be given"),
        (ENTRA, [], "between 1 and"),
        (ENTRA, ["a"] * 10_001, "between 1 and"),
        (ENTRA, ONE, "tenants must be a list"),
        ("https://login.example/{tenant}/v2.0", [ONE], "{tenantid} in it once"),
        ("https://login.example/{tid}/v2.0", [ONE], "{tenantid} in it once"),
        ("https://login.example/{TENANTID}/v2.0", [ONE], "{tenantid} in it once"),
        ("https://login.example/*/v2.0", [ONE], "{tenantid} in it once"),
        ("https://login.example/*/v2.0", None, "{tenantid} in it once"),
        ("https://login.example/{tenantid}/{tenantid}", [ONE], "{tenantid} in it once"),
        ("https://login.example/{tenantid}/*", [ONE], "{tenantid} in it once"),
        ("https://login.example/{{tenantid}}", [ONE], "{tenantid} in it once"),
        ("https://login.example/v2.0", [ONE], "an issuer that has {tenantid}"),
        (None, [ONE], "an issuer that has {tenantid}"),
        (len, [ONE], "an issuer that has {tenantid}"),
        (str, None, "issuer must be text"),
    ],
    ids=str,
)
def test_issuers_that_contradict_their_tenants_are_refused(issuer, tenants, says):
    """An issuer and tenants that contradict each other are an error with advice."""
    with pytest.raises(ConfigurationError, match=says):
        jwt(issuer, tenants)


@pytest.mark.parametrize("issuer", [ENTRA, len, None, 5])
def test_metadata_are_of_one_issuer(issuer):
    """`from_issuer` refuses several tenants, and the error advises a `RemoteKeySet`."""
    with pytest.raises(ConfigurationError, match="RemoteKeySet"):
        JWTVerifier.from_issuer(issuer, audience=AUDIENCE)


def test_tenants_stand_beside_other_verifiers():
    """Each token is verified by the verifier of its issuer, and not by the key of another one."""
    other = jwt("https://other.example", None, OTHER_SECRET)
    for verifiers in ([jwt(), other], [other, jwt()]):
        guard = Guard(*verifiers)
        for issuer, secret, allowed in [
            (of(ONE), SECRET, True),
            (of(TWO), SECRET, True),
            ("https://other.example", OTHER_SECRET, True),
            (of(ONE), OTHER_SECRET, False),
            ("https://other.example", SECRET, False),
            (of("x"), SECRET, False),
        ]:
            token = make_token(claims(iss=issuer), key=secret)
            assert isinstance(run(guard.decide(bearer(token), NOW)), Allow if allowed else Deny)


def test_two_verifiers_of_one_tenant_are_refused():
    """Two verifiers with a common tenant are refused, also if one names only this tenant."""
    for second in (jwt(secret=OTHER_SECRET), jwt(of(TWO), None, OTHER_SECRET)):
        with pytest.raises(ConfigurationError, match="got two for HS256"):
            Guard(jwt(), second)
    assert Guard(jwt(tenants=[ONE]), jwt(tenants=[TWO], secret=OTHER_SECRET))


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset])
def test_a_list_of_issuers_is_refused(kind):
    """A list of issuers is an error that advises a verifier for each."""
    with pytest.raises(ConfigurationError, match="write a JWTVerifier for each"):
        jwt(kind([of(ONE), of(TWO)]), None)


class Function:
    """A function for issuers that records its calls."""

    def __init__(self, *accepted):
        self.accepted = set(accepted)
        self.calls = []

    def __call__(self, issuer):
        self.calls.append(issuer)
        return issuer in self.accepted


def test_a_function_accepts_issuers():
    """The function gets the issuer, and its answer is remembered for some seconds."""
    function = Function(of(ONE))
    verifier = jwt(function, None)
    assert verify(verifier, of(ONE)).issuer == of(ONE)
    assert verify(verifier, of(ONE), NOW + ACCEPTED_SECONDS - 1).issuer == of(ONE)
    with pytest.raises(InvalidIssuerError):
        verify(verifier, of(TWO))
    with pytest.raises(InvalidIssuerError):
        verify(verifier, of(TWO), NOW + REFUSED_SECONDS - 1)
    assert function.calls == [of(ONE), of(TWO)]


def test_an_issuer_that_is_no_longer_accepted_is_refused():
    """A remembered token of an issuer that is no longer accepted is refused after half a minute."""
    function = Function(of(ONE))
    guard = Guard(jwt(function, None))
    request = bearer(make_token(claims(iss=of(ONE), exp=NOW + 900)))
    assert isinstance(run(guard.decide(request, NOW)), Allow)
    function.accepted.clear()
    assert isinstance(run(guard.decide(request, NOW + ACCEPTED_SECONDS - 1)), Allow)
    assert isinstance(run(guard.decide(request, NOW + ACCEPTED_SECONDS)), Deny)


def test_an_issuer_that_is_accepted_later_is_taken():
    """An issuer that was refused is accepted after ten seconds."""
    function = Function()
    guard = Guard(jwt(function, None))
    request = bearer(make_token(claims(iss=of(ONE))))
    assert isinstance(run(guard.decide(request, NOW)), Deny)
    function.accepted.add(of(ONE))
    assert isinstance(run(guard.decide(request, NOW + REFUSED_SECONDS)), Allow)


def test_answers_of_a_clock_that_was_set_back_do_not_count():
    """An answer of the function is not used if the clock was set back."""
    function = Function(of(ONE))
    verifier = jwt(function, None)
    verify(verifier, of(ONE), NOW + 500)
    verify(verifier, of(ONE), NOW)
    assert len(function.calls) == 2


@pytest.mark.parametrize(
    "payload",
    [
        claims(iss=...),
        claims(iss=None),
        claims(iss=""),
        claims(iss=7),
        claims(iss=[of(ONE)]),
        claims(iss="x" * 3000),
        claims(iss=of(ONE), exp=NOW - 100),
        claims(iss=of(ONE), aud="x"),
    ],
    ids=["absent", "null", "empty", "number", "list", "long", "expired", "audience"],
)
def test_a_function_is_asked_about_good_tokens_alone(payload):
    """The function is not called for a token without an issuer, or with another invalid claim."""
    function = Function(of(ONE))
    with pytest.raises(InvalidTokenError):
        judge(jwt(function, None), Credential(make_token(payload), "bearer"), NOW)
    assert function.calls == []


def test_a_function_is_not_asked_about_forged_tokens():
    """The function is not called for a token with a wrong signature."""
    function = Function(of(ONE))
    with pytest.raises(InvalidTokenError):
        verify(jwt(function, None), of(ONE), key=OTHER_SECRET)
    assert function.calls == []


def test_a_function_may_be_async():
    """The function may be async."""

    async def accepts(issuer):
        await asyncio.sleep(0)
        return issuer == of(ONE)

    verifier = jwt(accepts, None)

    def decide(issuer):
        token = make_token(claims(iss=issuer))
        return asyncio.run(run_async(verifier.flow(Credential(token, "bearer"), NOW)))

    assert decide(of(ONE)).principal.issuer == of(ONE)
    with pytest.raises(InvalidIssuerError):
        decide(of(TWO))


@pytest.mark.parametrize("answer", [2, "", None, "yes", [True]])
def test_a_function_that_answers_otherwise_is_our_fault(answer):
    """A return value other than True or False is a 500."""
    denied = run(Guard(jwt(lambda issuer: answer, None)).decide(bearer(make_token(claims(iss=of(ONE)))), NOW))
    assert isinstance(denied, Deny)
    assert denied.refusal.status == 500


def test_a_function_that_is_down_is_an_outage():
    """A `ConnectionError` of the function is a 503, and is not remembered."""
    down = [ConnectionError("x"), None]

    def accepts(issuer):
        if (error := down.pop(0)) is not None:
            raise error
        return True

    guard = Guard(jwt(accepts, None))
    request = bearer(make_token(claims(iss=of(ONE))))
    denied = run(guard.decide(request, NOW))
    assert isinstance(denied, Deny)
    assert denied.refusal.status == 503
    assert isinstance(run(guard.decide(request, NOW)), Allow)


def test_a_function_is_for_issuers_that_no_other_verifier_names():
    """The function is for issuers without a verifier of their own."""
    function = Function(of(ONE), "https://other.example")
    other = jwt("https://other.example", None, OTHER_SECRET)
    for verifiers in ([jwt(function, None), other], [other, jwt(function, None)]):
        guard = Guard(*verifiers)
        for issuer, secret, allowed in [
            (of(ONE), SECRET, True),
            ("https://other.example", OTHER_SECRET, True),
            (of(TWO), SECRET, False),
            ("https://other.example", SECRET, False),
            (of(ONE), OTHER_SECRET, False),
            (None, SECRET, False),
        ]:
            token = make_token(claims(iss=issuer), key=secret)
            assert isinstance(run(guard.decide(bearer(token), NOW)), Allow if allowed else Deny)
    assert "https://other.example" not in function.calls


def test_a_function_is_not_asked_about_the_issuer_of_another_verifier():
    """The function is not called for the issuer of another verifier, also for another algorithm."""
    function = Function("https://other.example")
    other = jwt("https://other.example", None, OTHER_SECRET)
    long = SECRET + OTHER_SECRET
    anyone = JWTVerifier(long, algorithms=["HS384"], issuer=function, audience=AUDIENCE)
    for verifiers in ([anyone, other], [other, anyone]):
        token = make_token(claims(iss="https://other.example"), key=long, algorithm="HS384")
        assert isinstance(run(Guard(*verifiers).decide(bearer(token), NOW)), Deny)
    assert function.calls == []


def test_two_functions_for_one_algorithm_are_refused():
    """Two verifiers with a function for one algorithm are refused."""
    with pytest.raises(ConfigurationError, match="a function of one JWTVerifier"):
        Guard(jwt(len, None), jwt(len, None, OTHER_SECRET))


def test_a_verifier_shows_its_issuers():
    """The representation of a verifier has the pattern, or the name of the function."""
    assert "{tenantid}" in repr(jwt())
    assert "Function" in repr(jwt(Function(), None))
    keys = RemoteKeySet("https://login.example/common/discovery/v2.0/keys")
    assert JWTVerifier(keys, algorithms=["RS256"], issuer=ENTRA, tenants=[ONE], audience=AUDIENCE)


def test_as_many_tenants_as_are_allowed_are_taken():
    """The largest allowed number of tenants and the longest name are accepted."""
    tenants = [f"t{number}" for number in range(9_999)] + ["x" * 255]
    for tenant in ("t0", "t9998", "x" * 255):
        assert verify(jwt(tenants=tenants), of(tenant)).issuer == of(tenant)


def test_a_function_and_any_issuer_are_not_told_apart():
    """A verifier with a function and one without an issuer are refused together."""
    unnamed, function = jwt(None, None, OTHER_SECRET), jwt(len, None)
    for verifiers in ([unnamed, function], [function, unnamed]):
        with pytest.raises(ConfigurationError, match="issuer must be None or a function of one JWTVerifier"):
            Guard(*verifiers)


def test_answers_count_for_as_long_as_the_documentation_says():
    """An accepted issuer is remembered for half a minute, and a refused one for ten seconds."""
    assert (ACCEPTED_SECONDS, REFUSED_SECONDS) == (30, 10)


def _with_key_issuer(key_issuer):
    """Return a verifier of several tenants whose one key has a member `issuer`."""
    key = jwk(ec_key(), kid="a", alg="ES256", **({} if key_issuer is None else {"issuer": key_issuer}))
    return JWTVerifier(
        {"keys": [key]}, algorithms=["ES256"], issuer=ENTRA, tenants=[ONE, TWO], audience=AUDIENCE
    )


def _verify_by_key(verifier, issuer):
    token = make_token(claims(iss=issuer), key=ec_key(), algorithm="ES256", kid="a")
    return judge(verifier, Credential(token, "bearer"), NOW).principal


@pytest.mark.parametrize(
    "key_issuer",
    [
        None,
        ENTRA,
        "https://sts.windows.net/{tenantid}/",
        of(ONE),
        f"https://login.microsoftonline.com/{ONE}/v2.0",
        5,
        "none",
    ],
)
def test_a_key_signs_for_its_issuer(key_issuer):
    """A key with a pattern verifies each tenant, and a member that is no URL has no effect."""
    assert _verify_by_key(_with_key_issuer(key_issuer), of(ONE)).issuer == of(ONE)


@pytest.mark.parametrize(
    "key_issuer",
    [
        of(TWO),
        "https://login.example/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
        "https://other.example",
        "https://",
    ],
)
def test_a_key_of_another_issuer_is_refused(key_issuer):
    """The key of another tenant in the same set verifies no token of this one."""
    with pytest.raises(InvalidIssuerError):
        _verify_by_key(_with_key_issuer(key_issuer), of(ONE))


@pytest.mark.parametrize(
    "issuer", [f"https://sts.windows.net/{ONE}/", f"https://{ONE}.ciamlogin.com/{ONE}/v2.0"]
)
def test_a_tenant_may_have_another_form_of_its_issuer(issuer):
    """A key with an issuer of version 2.0 verifies a token with the issuer of version 1.0 of its tenant."""
    key = jwk(ec_key(), kid="a", alg="ES256", issuer=f"https://login.microsoftonline.com/{ONE}/v2.0")
    verifier = JWTVerifier({"keys": [key]}, algorithms=["ES256"], issuer=issuer, audience=AUDIENCE)
    assert _verify_by_key(verifier, issuer).issuer == issuer


def test_the_host_does_not_name_the_tenant():
    """The tenant is in the path of an issuer, and a tenant in the host is not compared."""
    issuer = f"https://{ONE}/{TWO}/v2.0"
    key = jwk(ec_key(), kid="a", alg="ES256", issuer=of(ONE))
    verifier = JWTVerifier({"keys": [key]}, algorithms=["ES256"], issuer=issuer, audience=AUDIENCE)
    with pytest.raises(InvalidIssuerError):
        _verify_by_key(verifier, issuer)
