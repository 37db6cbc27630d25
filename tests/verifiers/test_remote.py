"""JWTs with keys that are fetched: key sets by URL, and issuers with metadata."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from authguard import (
    ConfigurationError,
    Credential,
    HTTPOptions,
    InvalidTokenError,
    JWTVerifier,
    RemoteKeySet,
    VerificationUnavailableError,
)
from authguard._core.flow import Response, Shared
from authguard._core.remote.keys import Parse
from authguard.errors import InvalidIssuerError, InvalidSignatureError
from authguard.verifiers.discovery import IssuerKeySet
from remote.world import World, down, page
from support import AUDIENCE, ISSUER, NOW, SECRET, claims, ec_key, ed25519_key, jwk, make_token, rsa_key

URL = "https://issuer.example/jwks"
OIDC = f"{ISSUER}/.well-known/openid-configuration"
OAUTH = f"{ISSUER}/.well-known/oauth-authorization-server"


def key_set(*kids):
    return page({"keys": [jwk(ec_key(), kid=kid, alg="ES256") for kid in kids]})


def verifier(**options):
    return JWTVerifier(
        RemoteKeySet(URL, **options),
        algorithms=["ES256"],
        issuer=ISSUER,
        audience=AUDIENCE,
        required_claims=(),
    )


def token(kid="a", key=None, algorithm="ES256", **changes):
    return make_token(
        claims(exp=NOW + 10 * 86400, **changes), algorithm=algorithm, key=key or ec_key(), kid=kid
    )


@pytest.fixture
def world():
    world = World()
    world.pages[URL] = key_set("a")
    world.pages[OIDC] = page({"issuer": ISSUER, "jwks_uri": URL})
    return world


def verify(world, by, text, now=NOW):
    return world.run(by.flow(Credential(text, "bearer"), now))


def test_keys_are_fetched_for_the_first_token_only(world):
    """The keys are fetched for the first token, and not when the verifier is built."""
    by = verifier()
    assert world.calls == []
    assert [verify(world, by, token(sub=name)).principal.subject for name in ("ann", "bob")] == ["ann", "bob"]
    assert [question.url for question in world.calls] == [URL]


def test_an_answer_may_have_64_kibibytes(world):
    """The driver may read at most 64 KiB of an answer."""
    verify(world, verifier(), token())
    assert [question.max_bytes for question in world.calls] == [64 * 1024]


def test_a_principal_is_remembered_while_the_keys_are_fresh(world):
    """A principal is remembered while the keys are fresh, so that a withdrawn key is not used longer."""
    assert verify(world, verifier(), token()).until == NOW + 300


def test_cache_control_is_honoured(world):
    """The `max-age` of an answer is its time of freshness."""
    world.pages[URL] = page({"keys": [jwk(ec_key(), kid="a", alg="ES256")]}, cache_control="max-age=3600")
    by = verifier()
    verify(world, by, token())
    verify(world, by, token(), NOW + 3500)
    assert len(world.calls) == 1


def test_a_forged_signature_is_refused(world):
    """A token that the key of its kid does not verify is refused."""
    with pytest.raises(InvalidSignatureError, match="does not verify"):
        verify(world, verifier(), token(key=ec_key.__wrapped__()))


def test_200_tokens_with_a_rotated_key_cost_one_fetch(world):
    """Each of the tokens is accepted, also just after the last fetch."""
    by = verifier()
    verify(world, by, token())
    world.pages[URL] = key_set("a", "b")
    for number in range(200):
        assert verify(world, by, token("b", sub=str(number)), NOW + 0.1).principal.key_id == "b"
    assert len(world.calls) == 2


@pytest.mark.parametrize("names", [("a", "b"), (None, None)], ids=["with kid", "without kid"])
def test_a_token_without_kid_finds_the_successor_of_the_only_key(world, names):
    """A token without a kid by the new only key is accepted, and forged ones cost one fetch in 30 seconds."""
    by = verifier()

    def publish(key, name):
        named = {} if name is None else {"kid": name}
        world.pages[URL] = page({"keys": [jwk(key, alg="ES256", **named)]})

    def bare(key):
        return make_token(claims(), algorithm="ES256", key=key)

    publish(ec_key(), names[0])
    verify(world, by, bare(ec_key()))
    successor = ec_key.__wrapped__()
    publish(successor, names[1])
    assert verify(world, by, bare(successor)).principal.key_id == names[1]
    for _ in range(10):
        with pytest.raises(InvalidSignatureError):
            verify(world, by, bare(ec_key()))
    assert len(world.calls) == 3


def test_an_unknown_key_is_refused_after_a_fetch(world):
    """A token with a kid that the fetched keys do not have is refused."""
    by = verifier()
    for _ in range(5):
        with pytest.raises(InvalidSignatureError, match="no key"):
            verify(world, by, token("unknown"))
    assert len(world.calls) <= 2


@pytest.mark.parametrize("text", ["none", "HS256"])
def test_tokens_for_other_algorithms_cost_no_fetch(world, text):
    """A token of an algorithm that is not configured causes no fetch."""
    with pytest.raises(InvalidSignatureError):
        verify(world, verifier(), make_token(algorithm=text, header={"alg": text}, signed_with="HS256"))
    assert world.calls == []


@pytest.mark.parametrize(
    "answer",
    [
        down(),
        down("timeout"),
        down("tls"),
        down("too_large"),
        Response(500, {}, b""),
        Response(502, {"content-type": "text/html"}, b"<html>bad gateway</html>"),
        Response(302, {"location": "https://evil.example/jwks"}, b""),
        Response(200, {"content-type": "text/html"}, b"<html>hello</html>"),
        Response(200, {"content-type": "application/json"}, b"\x00garbage"),
        Response(200, {"content-type": "application/json"}, b'{"keys": [{'),
        page({"keys": []}),
        page({"keys": "x"}),
        page({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}),
        page([]),
        Response(304, {}, b""),
    ],
    ids=[
        "refused",
        "timeout",
        "tls",
        "too-large",
        "500",
        "502-html",
        "redirect",
        "html",
        "garbage",
        "half",
        "empty",
        "no-list",
        "secret",
        "no-object",
        "304",
    ],
)
def test_an_outage_is_not_the_callers_fault(world, answer):
    """An outage has a time to wait, and is in the health."""
    world.pages[URL] = answer
    by = verifier()
    with pytest.raises(VerificationUnavailableError) as raised:
        verify(world, by, token())
    assert raised.value.retry_after >= 1
    assert by.health(NOW)[0].state == "failing"


def test_nobody_asks_again_in_the_pause_after_a_failure(world):
    """After a failure the next requests are an outage without another fetch."""
    world.pages[URL] = down()
    by = verifier()
    for _ in range(5):
        with pytest.raises(VerificationUnavailableError):
            verify(world, by, token())
    assert len(world.calls) == 1


@pytest.mark.parametrize(
    ("status", "document"),
    [(500, {}), (200, []), (200, {"keys": []}), (200, {"issuer": "https://other.example"})],
    ids=["500", "no object", "no key", "another issuer"],
)
@pytest.mark.parametrize("keys", [RemoteKeySet(URL), IssuerKeySet(ISSUER)], ids=["keys", "issuer"])
def test_the_pause_begins_when_the_last_answer_has_come(world, keys, status, document):
    """The pause begins at the time of the answer, and not of the request."""
    slow = replace(page(document, status), took=2.0)
    world.pages = dict.fromkeys((URL, OIDC, OAUTH), slow)
    by = JWTVerifier(keys, algorithms=["ES256"], audience=AUDIENCE, issuer=ISSUER)
    with pytest.raises(VerificationUnavailableError):
        verify(world, by, token())
    calls_before = len(world.calls)
    with pytest.raises(VerificationUnavailableError):
        verify(world, by, token(), NOW + 2 * calls_before + 0.4)
    assert len(world.calls) == calls_before


@pytest.mark.slow
def test_known_keys_outlive_an_outage_of_24_hours(world):
    """Known keys are used for a day, and are then an outage."""
    by = verifier()
    verify(world, by, token())
    world.pages[URL] = down("timeout")
    for minute in range(24 * 60):
        assert verify(world, by, token(), NOW + 60 * minute).principal.subject == "ann"
    assert by.health(NOW + 86400)[0].state == "stale"
    with pytest.raises(VerificationUnavailableError):
        verify(world, by, token(), NOW + 86400 + 300)


def test_keys_come_back_after_an_outage(world):
    """The keys are fetched at the next attempt after an outage."""
    world.pages[URL] = down()
    by = verifier()
    with pytest.raises(VerificationUnavailableError):
        verify(world, by, token())
    world.pages[URL] = key_set("a")
    assert verify(world, by, token(), NOW + 1).principal.subject == "ann"
    assert by.health(NOW + 1)[0].state == "fresh"


def test_a_server_that_asks_for_a_pause_gets_it(world):
    """The `Retry-After` of the server is that of the outage."""
    world.pages[URL] = Response(429, {"retry-after": "20"}, b"")
    by = verifier()
    with pytest.raises(VerificationUnavailableError) as raised:
        verify(world, by, token())
    assert raised.value.retry_after == 20


def test_a_withdrawn_key_is_refused_within_the_ttl(world):
    """A withdrawn key is refused when the keys are fetched again."""
    by = verifier()
    verify(world, by, token("a"))
    world.pages[URL] = key_set("b")
    with pytest.raises(InvalidSignatureError):
        verify(world, by, token("a"), NOW + 300)


def test_state_is_never_shared(world):
    """Two verifiers with one `RemoteKeySet` each fetch the keys."""
    keys = RemoteKeySet(URL)
    for _ in range(2):
        by = JWTVerifier(keys, algorithms=["ES256"], issuer=ISSUER, audience=AUDIENCE)
        verify(world, by, token())
    assert len(world.calls) == 2


def test_our_name_and_fields_of_the_users_are_sent(world):
    """The requests have the configured fields, and the user agent of authguard unless it is configured."""
    by = verifier(http=HTTPOptions(headers={"X-Tenant": "1"}))
    assert dict(by.channels()[0].headers)["user-agent"].startswith("authguard/")
    assert dict(by.channels()[0].headers)["x-tenant"] == "1"
    by = verifier(http=HTTPOptions(headers={"User-Agent": "mine"}))
    assert dict(by.channels()[0].headers)["user-agent"] == "mine"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"ttl": 0}, "ttl"),
        ({"ttl": True}, "ttl"),
        ({"ttl": 90000}, "ttl"),
        ({"max_stale": -1}, "max_stale"),
        ({"max_stale": 8 * 86400}, "max_stale"),
        ({"url": "http://issuer.example/jwks"}, "plain http"),
    ],
)
def test_wrong_options_are_found_when_built(options, says):
    """Invalid options are errors with advice."""
    with pytest.raises(ConfigurationError, match=says):
        RemoteKeySet(**{"url": URL, **options})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"headers": {"X Y": "1"}}, "headers"),
        ({"headers": {"X": "1\r\nY: 2"}}, "headers"),
        ({"timeout": 0}, "timeout"),
        ({"connect_timeout": True}, "connect_timeout"),
        ({"timeout": 61}, "timeout"),
        ({"client": object()}, "client"),
        ({"client": SimpleNamespace(stream=print), "proxy": "http://proxy:1"}, "left out with client"),
        ({"client": SimpleNamespace(stream=print), "ca_bundle": "ca.pem"}, "left out with client"),
        ({"allow_private": "yes"}, r"allow_private must be True or False, got 'yes' \(str\)"),
        ({"allow_private": 1}, r"allow_private must be True or False, got 1 \(int\)"),
        ({"allow_private": None}, "allow_private must be True or False"),
        ({"origins": "https://a.example"}, r"origins must be a list.*write origins=\['https://a.example'\]"),
        ({"origins": None}, r"origins must be a list, got None"),
        ({"origins": 5}, "origins must be a list"),
        ({"origins": [5]}, "each of origins must be a URL"),
        ({"origins": ["a.example"]}, "each of origins must be a URL"),
        ({"origins": ["https://a.example/jwks"]}, "leave out the path and query"),
        ({"origins": ["https://a.example/"]}, "leave out the path and query"),
        ({"origins": ["https://a.example?x"]}, "leave out the path and query"),
        ({"origins": ["https://a.example?"]}, "leave out the path and query"),
        ({"origins": ["https://a.example#"]}, "fragment"),
        ({"origins": ["https://me:s3cret@a.example"]}, "user name"),
        ({"origins": ["http://a.example"]}, "plain http"),
        ({"origins": ["https://*.example"]}, "each of origins must be a URL"),
    ],
)
def test_wrong_http_options_are_found_when_built(options, says):
    """Invalid options of `HTTPOptions` are errors with advice."""
    with pytest.raises(ConfigurationError, match=says):
        HTTPOptions(**options)


def test_origins_may_be_any_iterable():
    """The origins may be any iterable, which is read once."""
    options = HTTPOptions(origins=(f"https://{name}.example:8443" for name in "ab"))
    assert options.origins == ("https://a.example:8443", "https://b.example:8443")
    assert HTTPOptions(origins={"http://keycloak:8080"}, plain_http=True).origins == ("http://keycloak:8080",)


def test_a_ca_bundle_that_cannot_be_read_is_found_when_built(tmp_path):
    """A missing CA bundle is refused when the verifier is built."""
    with pytest.raises(ConfigurationError, match="ca_bundle"):
        verifier(http=HTTPOptions(ca_bundle=tmp_path / "none.pem"))


def test_secrets_are_never_fetched():
    """HMAC with a remote key set is refused."""
    with pytest.raises(ConfigurationError, match="never fetched"):
        JWTVerifier(RemoteKeySet(URL), algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)


# Metadata of an issuer


def discovered(issuer=ISSUER, **options):
    return JWTVerifier.from_issuer(issuer, audience=AUDIENCE, **options)


def test_an_issuer_is_discovered_for_the_first_token(world):
    """The metadata and the keys are fetched for the first token, and used again."""
    by = discovered()
    assert world.calls == []
    for _ in range(2):
        assert verify(world, by, token()).principal.issuer == ISSUER
    assert [question.url for question in world.calls] == [OIDC, URL]


def test_oauth_metadata_is_found_where_there_is_no_openid_configuration(world):
    """The well-known part of OAuth metadata comes before the path of the issuer (RFC 8414)."""
    issuer = f"{ISSUER}/tenant"
    world.pages = {
        f"{ISSUER}/.well-known/oauth-authorization-server/tenant": page({"issuer": issuer, "jwks_uri": URL}),
        URL: key_set("a"),
    }
    assert verify(world, discovered(issuer), token(iss=issuer)).principal.issuer == issuer


def test_oauth_metadata_of_a_mounted_service_is_found(world):
    """OAuth metadata below the path of the issuer is requested last."""
    issuer = f"{ISSUER}/id"
    mounted = f"{issuer}/.well-known/oauth-authorization-server"
    world.pages = {mounted: page({"issuer": issuer, "jwks_uri": URL}), URL: key_set("a")}
    assert verify(world, discovered(issuer), token(iss=issuer)).principal.issuer == issuer
    assert [question.url for question in world.calls][-2:] == [mounted, URL]


def test_oauth_metadata_below_the_path_names_exactly_the_issuer(world):
    """OAuth metadata below the path that names the issuer of the host is refused."""
    issuer = f"{ISSUER}/id"
    mounted = f"{issuer}/.well-known/oauth-authorization-server"
    world.pages = {mounted: page({"issuer": ISSUER, "jwks_uri": URL}), URL: key_set("a")}
    with pytest.raises(VerificationUnavailableError, match=f"of issuer '{ISSUER}', not '{issuer}'"):
        verify(world, discovered(issuer), token(iss=issuer))
    assert URL not in [question.url for question in world.calls]


def test_openid_configuration_lies_below_the_path(world):
    """The well-known part of OpenID metadata comes after the path, without a trailing slash."""
    issuer = f"{ISSUER}/tenant/"
    world.pages[f"{ISSUER}/tenant/.well-known/openid-configuration"] = page(
        {"issuer": issuer, "jwks_uri": URL}
    )
    assert verify(world, discovered(issuer), token(iss=issuer)).principal.issuer == issuer


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (f"{ISSUER}/", f"write the issuer as '{ISSUER}/', as its tokens have it"),
        ("https://other.example", f"of issuer 'https://other.example', not '{ISSUER}'(; |$)"),
    ],
    ids=["slash", "another host"],
)
def test_metadata_of_another_issuer_is_unusable(world, given, reason):
    """Metadata of another issuer is an outage; if only a slash differs, its reason has the spelling."""
    world.pages[OIDC] = page({"issuer": given, "jwks_uri": URL})
    with pytest.raises(VerificationUnavailableError, match=reason):
        verify(world, discovered(), token())
    assert URL not in [question.url for question in world.calls]


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"issuer": ISSUER}, "no jwks_uri"),
        ({"issuer": ISSUER, "jwks_uri": "http://issuer.example/jwks"}, "plain http"),
        ({"issuer": ISSUER, "jwks_uri": 7}, "jwks_uri must be a URL"),
        ({"jwks_uri": URL}, "of issuer 'None'"),
        ({"issuer": ISSUER, "jwks_uri": "http://127.0.0.1:8000/jwks"}, "allow_private=True"),
        ({"issuer": ISSUER, "jwks_uri": "http://localhost/jwks"}, "allow_private=True"),
        ({"issuer": ISSUER, "jwks_uri": "https://169.254.169.254/jwks"}, "allow_private=True"),
        ({"issuer": ISSUER, "jwks_uri": "https://[::ffff:10.0.0.1]/jwks"}, "allow_private=True"),
    ],
)
def test_unusable_metadata_has_one_precise_error(world, metadata, says):
    """The error and the health have the reason."""
    world.pages[OIDC] = page(metadata)
    by = discovered()
    with pytest.raises(VerificationUnavailableError, match=says):
        verify(world, by, token())
    assert says in by.health(NOW)[0].reason


@pytest.mark.parametrize(
    "url",
    [
        "https://issuer.example:8443/jwks",
        "https://www.googleapis.com/oauth2/v3/certs",
        "https://8.8.8.8/jwks",
    ],
)
def test_an_issuer_may_name_its_own_host_and_public_ones(world, url):
    """A key set on the host of the issuer, or on a public one, is fetched."""
    world.pages[OIDC] = page({"issuer": ISSUER, "jwks_uri": url})
    world.pages[url] = key_set("a")
    assert verify(world, discovered(), token()).principal.issuer == ISSUER


@pytest.mark.parametrize(
    "url", ["https://10.96.0.1:6443/openid/v1/jwks", "https://localhost/jwks", "http://127.0.0.1:8000/jwks"]
)
def test_a_private_host_may_be_allowed(world, url):
    """A key set on a private host is fetched with `allow_private=True`, as for Kubernetes."""
    world.pages[OIDC] = page({"issuer": ISSUER, "jwks_uri": url})
    world.pages[url] = key_set("a")
    by = discovered(http=HTTPOptions(allow_private=True))
    assert verify(world, by, token()).principal.issuer == ISSUER


def test_an_issuer_may_name_plain_http_where_that_is_allowed(world):
    """A key set by plain http is fetched with `plain_http=True`."""
    url = "http://keys.example/jwks"
    world.pages[OIDC] = page({"issuer": ISSUER, "jwks_uri": url})
    world.pages[url] = key_set("a")
    by = discovered(http=HTTPOptions(plain_http=True))
    assert verify(world, by, token()).principal.issuer == ISSUER


@pytest.mark.parametrize(
    ("url", "origins", "sent"),
    [
        ("https://issuer.example:443/jwks", [], True),
        ("https://issuer.example:8443/jwks", [], False),
        ("https://keys.issuer.example/jwks", [], False),
        ("https://keys.example/jwks", [], False),
        ("https://keys.example/jwks", ["https://keys.example"], True),
        ("https://KEYS.example/jwks", ["https://keys.EXAMPLE:443"], True),
        ("https://keys.example:8443/jwks", ["https://keys.example"], False),
        ("https://keys.example.evil.example/jwks", ["https://keys.example"], False),
    ],
)
def test_fields_go_to_their_origins_alone(world, url, origins, sent):
    """The fields are sent to the origin of the issuer and the configured ones, by scheme, host and port."""
    world.pages[OIDC] = page({"issuer": ISSUER, "jwks_uri": url})
    world.pages[url] = key_set("a")
    http = HTTPOptions(headers={"X-Secret": "s3cret", "User-Agent": "mine"}, origins=origins)
    verify(world, discovered(http=http), token())
    metadata, keys = (question.channel.headers_for(question.url) for question in world.calls)
    assert metadata == {"user-agent": "mine", "x-secret": "s3cret"}
    if sent:
        assert keys == metadata
    else:
        assert list(keys) == ["user-agent"]
        assert keys["user-agent"].startswith("authguard/")


@pytest.mark.parametrize("issuer", ["https://10.96.0.1:6443", "http://localhost:8080/realms/a"])
def test_an_issuer_in_a_private_network_names_its_own_host(world, issuer):
    """An issuer on a private host may have its key set on this host."""
    world.pages[f"{issuer}/.well-known/openid-configuration"] = page(
        {"issuer": issuer, "jwks_uri": f"{issuer}/jwks"}
    )
    world.pages[f"{issuer}/jwks"] = key_set("a")
    assert verify(world, discovered(issuer), token(iss=issuer)).principal.issuer == issuer


def test_metadata_that_turns_bad_leaves_the_last_good_one(world):
    """Metadata that name a private host later are not used, and the previous ones are."""
    by = discovered()
    verify(world, by, token())
    world.pages[OIDC] = page({"issuer": ISSUER, "jwks_uri": "https://10.0.0.1/jwks"})
    assert verify(world, by, token(), NOW + 3 * 3600).principal.subject == "ann"
    assert {question.url for question in world.calls} == {OIDC, OAUTH, URL}


def test_an_issuer_that_is_down_is_asked_once(world):
    """A timeout of the first metadata URL is an outage, since the others are on the same server."""
    world.pages[OIDC] = down("timeout")
    with pytest.raises(VerificationUnavailableError):
        verify(world, discovered(), token())
    assert len(world.calls) == 1


@pytest.mark.parametrize(
    ("algorithm", "key"), [("ES256", ec_key), ("RS256", rsa_key), ("PS512", rsa_key), ("EdDSA", ed25519_key)]
)
def test_algorithms_are_those_of_the_keys(world, algorithm, key):
    """The `alg` of a key in the set is the algorithm that it verifies."""
    world.pages[URL] = page({"keys": [jwk(key(), kid="a", alg=algorithm)]})
    assert verify(world, discovered(), token(key=key(), algorithm=algorithm)).principal.key_id == "a"


def test_a_key_without_alg_is_for_what_the_metadata_names(world):
    """A key without `alg` verifies the algorithms of the metadata."""
    named = {"id_token_signing_alg_values_supported": ["RS256", "HS256"]}
    world.pages[OIDC] = page({"issuer": ISSUER, "jwks_uri": URL, **named})
    world.pages[URL] = page({"keys": [jwk(rsa_key(), kid="a")]})
    assert verify(world, discovered(), token(key=rsa_key(), algorithm="RS256")).principal.key_id == "a"
    with pytest.raises(InvalidTokenError):
        verify(world, discovered(), token(key=rsa_key(), algorithm="RS512"))


def test_algorithms_may_be_named(world):
    """Configured algorithms are the only accepted ones."""
    world.pages[URL] = page({"keys": [jwk(ec_key(), kid="a", alg="ES256"), jwk(rsa_key(), kid="b")]})
    by = discovered(algorithms=["RS256"])
    assert verify(world, by, token("b", rsa_key(), "RS256")).principal.key_id == "b"
    with pytest.raises(InvalidSignatureError):
        verify(world, by, token("a"))


def test_hmac_is_never_derived(world):
    """A secret in a fetched key set verifies no token, and HMAC cannot be configured."""
    world.pages[URL] = page({"keys": [{"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "a"}]})
    with pytest.raises(InvalidTokenError):
        verify(world, discovered(), make_token(claims(), key=SECRET, kid="a"))
    with pytest.raises(ConfigurationError, match="never fetched"):
        discovered(algorithms=["HS256"])


def test_the_last_good_metadata_outlives_an_outage(world):
    """The last valid metadata are used in an outage, while the keys are fetched again."""
    by = discovered()
    verify(world, by, token())
    del world.pages[OIDC]
    assert verify(world, by, token(), NOW + 3 * 3600).principal.subject == "ann"
    assert by.health(NOW + 3 * 3600)[0].state == "fresh"


def test_a_key_set_that_has_moved_is_found(world):
    """The metadata are fetched again after a failed fetch of the keys, and have the new URL."""
    by = discovered()
    verify(world, by, token())
    moved = f"{URL}/new"
    world.pages = {OIDC: page({"issuer": ISSUER, "jwks_uri": moved}), moved: key_set("a", "b")}
    verify(world, by, token(), NOW + 300)
    assert verify(world, by, token("b"), NOW + 302).principal.key_id == "b"


@pytest.mark.parametrize(
    ("issuer", "says"),
    [
        ("http://issuer.example", "plain http"),
        ("https://issuer.example?tenant=1", "query"),
        ("https://issuer.example#x", "fragment"),
        ("issuer.example", "must be a URL"),
        ("https://issuer.example/.well-known/openid-configuration", "write 'https://issuer.example'"),
        ("https://issuer.example/t/.well-known/openid-configuration", "write 'https://issuer.example/t'"),
        (
            "https://issuer.example/.well-known/oauth-authorization-server/t",
            "write 'https://issuer.example/t'",
        ),
        ("https://issuer.example/.well-known/jwks.json", r"for a key set, RemoteKeySet\(url\)"),
    ],
)
def test_an_issuer_that_cannot_be_one_is_found_when_built(issuer, says):
    """An issuer with a query, a fragment or a well-known path is refused (RFC 8414 section 2)."""
    with pytest.raises(ConfigurationError, match=says):
        discovered(issuer)


def test_the_url_of_the_metadata_is_no_issuer_of_local_keys_either():
    """A metadata URL as the issuer of local keys is refused, since no token has it as its `iss`."""
    url = "https://issuer.example/.well-known/openid-configuration"
    with pytest.raises(ConfigurationError, match="write 'https://issuer.example'"):
        JWTVerifier(SECRET, algorithms=["HS256"], issuer=url, audience=AUDIENCE)


def test_several_issuers_stand_side_by_side(world):
    """A token of an unknown issuer is refused without a fetch."""
    (both,) = JWTVerifier.together([discovered(), discovered("https://other.example")])
    with pytest.raises(InvalidIssuerError):
        verify(world, both, token(iss="https://third.example"))
    assert world.calls == []
    assert verify(world, both, token()).principal.issuer == ISSUER
    assert [health.state for health in both.health(NOW)] == ["fresh", "unused"]
    assert len(both.channels()) == 2


JKU = {
    "the same": (URL, True),
    "another path": (URL + "/", False),
    "another host": ("https://evil.example/jwks", False),
}


@pytest.mark.parametrize("case", JKU)
@pytest.mark.parametrize("by", ["url", "discovery"])
def test_a_jku_may_only_name_the_key_set_that_is_used(world, case, by):
    """A `jku` may be the URL of the used key set, is otherwise refused, and is never fetched."""
    url, accepted = JKU[case]
    jwt_verifier = verifier() if by == "url" else discovered()
    text = make_token(claims(exp=NOW + 600), algorithm="ES256", key=ec_key(), kid="a", jku=url)
    if accepted:
        assert verify(world, jwt_verifier, text).principal.subject == "ann"
    else:
        with pytest.raises(InvalidTokenError):
            verify(world, jwt_verifier, text)
    assert "https://evil.example/jwks" not in [fetch.url for fetch in world.calls]


@pytest.mark.parametrize("kid", ["b", None], ids=["a kid", "no kid"])
def test_a_fetch_that_was_begun_before_the_key_was_there_is_followed_by_another(world, kid):
    """A token that waits for a fetch from before the key's publication is verified after another fetch."""
    by = verifier()
    verify(world, by, token())
    successor = ec_key.__wrapped__()
    text = token(kid or "b", successor) if kid else make_token(claims(), algorithm="ES256", key=successor)
    flow = by.flow(Credential(text, "bearer"), NOW + 2)
    question = next(flow)
    # The answer to an earlier fetch has no such key, which was published in between.
    by._source._state.succeeded(
        {"keys": [jwk(ec_key(), kid="a", alg="ES256")]}, Parse(frozenset({"ES256"})), 300, NOW + 1
    )
    by._source._state.attempts += 1
    world.pages[URL] = page({"keys": [jwk(successor, kid="b", alg="ES256")]})
    assert isinstance(question, Shared)
    question = flow.send(None)
    assert isinstance(question, Shared)
    world.run(question.make())
    with pytest.raises(StopIteration) as ended:
        flow.send(None)
    assert ended.value.value.principal.key_id == "b"


@pytest.mark.parametrize(
    ("url", "issuer"),
    [
        ("https://a.example/.well-known/openid-configuration", "https://a.example"),
        ("https://a.example/realms/b/.well-known/openid-configuration", "https://a.example/realms/b"),
        ("https://a.example/.well-known/oauth-authorization-server/b", "https://a.example/b"),
    ],
)
def test_the_url_of_the_metadata_is_no_url_of_a_key_set(url, issuer):
    """The error for the URL of an issuer's metadata names `from_issuer`, and the issuer to write."""
    with pytest.raises(
        ConfigurationError, match=rf"write JWTVerifier\.from_issuer\('{issuer}', audience=…\)"
    ):
        RemoteKeySet(url)


def test_a_key_set_may_be_below_well_known():
    """The usual places of key sets are accepted."""
    assert RemoteKeySet("https://a.example/.well-known/jwks.json").url.endswith("jwks.json")
