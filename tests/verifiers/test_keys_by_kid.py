"""Keys of an issuer at one URL for each kid, as of AWS."""

import base64
import json
from typing import Any

import pytest

from authguard import (
    ConfigurationError,
    Credential,
    InvalidTokenError,
    JWTVerifier,
    RemoteKeySet,
    VerificationUnavailableError,
)
from authguard._core.flow import Response
from authguard._core.remote.keys import RemoteKeys
from authguard._core.remote.keys_by_kid import MAX_KEPT, KeysByKid
from authguard._core.verifier import as_flow
from authguard.errors import InvalidSignatureError
from authguard.verifiers.discovery import IssuerKeySet
from remote.world import World, down, page
from support import AUDIENCE, ISSUER, NOW, b64, claims, ec_key, jwk, make_token, pem, rsa_key, sign

URL = "https://keys.example/{kid}"
KID = "3f1b0a4e-9c1d-4b7e-8a55-0e6c2d1f7a90"
DENIED = Response(403, {"content-type": "application/xml"}, b"<Error><Code>AccessDenied</Code></Error>")


def at(kid: str) -> str:
    """Return the URL of a key."""
    return f"https://keys.example/{kid}"


def as_pem(key: Any = None) -> Response:
    """Return a key in the form of AWS."""
    return Response(200, {"content-type": "binary/octet-stream"}, pem(key or ec_key()).encode())


def verifier(**options: Any) -> JWTVerifier:
    """Return a verifier of tokens whose keys have a URL each."""
    return JWTVerifier(
        RemoteKeySet(URL, **options),
        algorithms=["ES256"],
        issuer=ISSUER,
        audience=AUDIENCE,
        required_claims=(),
    )


def token(kid: str | None = KID, key: Any = None, algorithm: str = "ES256", **members: Any) -> str:
    """Return a token with a kid."""
    named = {} if kid is None else {"kid": kid}
    text: str = make_token(
        claims(exp=NOW + 10 * 86400), algorithm=algorithm, key=key or ec_key(), **named, **members
    )
    return text


@pytest.fixture
def world() -> World:
    """Return a server with one key."""
    world = World()
    world.pages[at(KID)] = as_pem()
    return world


def verify(world: World, by: JWTVerifier, text: str, now: float = NOW) -> Any:
    """Return the result of a verified token."""
    return world.run(as_flow(by.flow(Credential(text, "bearer"), now)))


def test_the_key_is_fetched_by_the_kid_of_the_token(world: World) -> None:
    """The key is fetched once while it is fresh, and is the key id of the principal."""
    by = verifier()
    for _ in range(3):
        verified = verify(world, by, token())
        assert (verified.principal.key_id, verified.until) == (KID, NOW + 300)
    assert [question.url for question in world.calls] == [at(KID)]


FORMS: dict[str, Any] = {
    "PEM": as_pem(),
    "a JWK": page(jwk(ec_key())),
    "a JWK that names itself": page(jwk(ec_key(), kid=KID)),
    "a set": page({"keys": [jwk(rsa_key(), kid="other", alg="RS256"), jwk(ec_key(), kid=KID)]}),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_key_may_have_several_forms(world: World, form: str) -> None:
    """A key may be PEM, a JWK, or a member of a set."""
    world.pages[at(KID)] = FORMS[form]
    assert verify(world, verifier(), token()).principal.key_id == KID


NO_KEY: dict[str, Any] = {
    "garbage": Response(200, {}, b"hello"),
    "a page": Response(200, {"content-type": "text/html"}, pem(ec_key()).encode()),
    "a key of another kid": page(jwk(ec_key(), kid="other")),
    "a key for another algorithm": as_pem(rsa_key()),
    "two keys": Response(200, {}, (pem(ec_key()) + pem(ec_key.__wrapped__())).encode()),
    "a secret": page({"kty": "oct", "k": b64(b"x" * 32), "kid": KID}),
    "an empty set": page({"keys": []}),
    "an outage": down("timeout"),
    "a proxy that refuses": Response(403, {"content-type": "text/html"}, b"<html>blocked</html>"),
    "an error": Response(500, {}, b""),
    "a redirect": Response(302, {"location": "https://evil.example/"}, b""),
}


@pytest.mark.parametrize("case", NO_KEY)
def test_an_answer_that_is_no_key_is_not_the_callers_fault(world: World, case: str) -> None:
    """An answer that is no key is a 503, and the health has the reason."""
    world.pages[at(KID)] = NO_KEY[case]
    by = verifier()
    with pytest.raises(VerificationUnavailableError) as raised:
        verify(world, by, token())
    assert raised.value.retry_after >= 1
    (health,) = by.health(NOW)
    assert (health.name, health.state) == (URL, "failing")
    assert health.reason


@pytest.mark.parametrize(
    "answer", [Response(404, {}, b""), Response(410, {}, b""), DENIED], ids=["404", "410", "S3"]
)
def test_a_key_that_the_issuer_does_not_have_is_refused(world: World, answer: Response) -> None:
    """A key that the issuer does not have is refused, and not fetched again for 30 seconds."""
    world.pages[at("unknown")] = answer
    by = verifier()
    for second in (0, 1, 29):
        with pytest.raises(InvalidSignatureError, match="no key"):
            verify(world, by, token("unknown"), NOW + second)
    assert len(world.calls) == 1
    world.pages[at("unknown")] = as_pem()
    assert verify(world, by, token("unknown"), NOW + 31).principal.key_id == "unknown"


BAD_KIDS = [
    None, "", ".", "..", "../secret", "a/b", "a/../b", "..%2f", "%2e%2e", "a\\b", "a?x=1", "a#b", "a;b",
    "a b", "a\n", "a\r\nx: y", "a@evil.example", ":80", "//evil.example", "a..b", ".a", "a.", "ä",
    "a" * 129, "{kid}", "a\0", "a=", "a+b", "a&b",
]  # fmt: skip


@pytest.mark.parametrize("kid", BAD_KIDS, ids=repr)
def test_a_kid_that_could_change_the_url_asks_for_nothing(world: World, kid: str | None) -> None:
    """A kid with other characters than those of the allowed alphabet is refused without a request."""
    with pytest.raises(InvalidTokenError):
        verify(world, verifier(), token(kid))
    assert world.calls == []


@pytest.mark.parametrize("kid", ["a", "A-z_0.9", "a.b.c", "a" * 128])
def test_the_kids_of_issuers_are_asked_for(world: World, kid: str) -> None:
    """A kid of letters, digits, hyphens, underscores and single dots is fetched."""
    world.pages[at(kid)] = as_pem()
    assert verify(world, verifier(), token(kid)).principal.key_id == kid


def test_a_flood_of_unknown_kids_costs_three_fetches_and_then_one_in_30_seconds(world: World) -> None:
    """Known keys are used during the flood, and an unknown kid without a fetch is a 503."""
    by = verifier(ttl=86400)
    verify(world, by, token())
    unavailable = 0
    known = token()
    for second in range(120):
        assert verify(world, by, known, NOW + second).principal.key_id == KID
        for number in range(8):
            try:
                verify(world, by, token(f"x{second}-{number}"), NOW + second)
            except InvalidSignatureError:
                pass
            except VerificationUnavailableError as error:
                assert 1 <= error.retry_after <= 30
                unavailable += 1
    assert len(world.calls) - 1 <= 3 + 120 / 30
    assert unavailable > 900


def test_memory_stays_bounded(world: World) -> None:
    """The number of kept and pending keys is limited."""
    by = verifier(ttl=86400)
    world.pages.update({at(f"k{number}"): as_pem() for number in range(200)})
    for number in range(200):
        verify(world, by, token(f"k{number}"), NOW + number)
    keys = by._source._keys  # type: ignore[union-attr]
    assert len(keys._kept) <= 64
    assert len(keys._pending) <= 16


def test_a_key_may_come_while_another_thread_drops_the_oldest() -> None:
    """A key that another thread adds during the search for the oldest one causes no error."""
    keys = KeysByKid(URL, 300, 86_400, lambda: 0.0)

    class Slow(RemoteKeys):
        @property
        def fetched_at(self) -> float:
            keys._kept.setdefault("other", self)
            return 0.0

    for number in range(MAX_KEPT + 1):
        keys.has_come(Slow("", 300, 86_400, lambda: 0.0, key_id=str(number)))
    assert str(MAX_KEPT) in keys._kept


def test_keys_that_exist_cost_no_budget(world: World) -> None:
    """A hundred existing keys are fetched at once."""
    by = verifier()
    world.pages.update({at(f"k{number}"): as_pem() for number in range(100)})
    for number in range(100):
        assert verify(world, by, token(f"k{number}")).principal.key_id == f"k{number}"


def test_requests_that_are_given_up_leave_nothing_behind(world: World) -> None:
    """Requests that are cancelled leave a limited number of pending keys, and the next key is fetched."""
    by = verifier()
    for number in range(40):
        flow = by.flow(Credential(token(f"x{number}"), "bearer"), NOW + 31 * number)
        next(flow)  # type: ignore[arg-type]
        flow.close()  # type: ignore[union-attr]
    assert len(by._source._keys._pending) <= 16  # type: ignore[union-attr]
    assert verify(world, by, token(), NOW + 3000).principal.key_id == KID


def test_a_withdrawn_key_is_refused_within_the_ttl(world: World) -> None:
    """A withdrawn key is refused when its `ttl` is over."""
    by = verifier()
    verify(world, by, token())
    world.pages[at(KID)] = DENIED
    assert verify(world, by, token(), NOW + 269).principal.key_id == KID
    for second in (300, 301, 310):
        with pytest.raises(InvalidSignatureError):
            verify(world, by, token(), NOW + second)


def test_a_key_may_come_back(world: World) -> None:
    """A key that was withdrawn by mistake is accepted again after 30 seconds."""
    by = verifier()
    verify(world, by, token())
    world.pages[at(KID)] = DENIED
    with pytest.raises(InvalidSignatureError):
        verify(world, by, token(), NOW + 300)
    world.pages[at(KID)] = as_pem()
    assert verify(world, by, token(), NOW + 331).principal.key_id == KID


def test_a_key_is_fetched_again_before_it_is_due(world: World) -> None:
    """A key is fetched again in the background before it is stale."""
    by = verifier()
    for second in (0, 269, 271, 540, 800):
        assert verify(world, by, token(), NOW + second).principal.key_id == KID
        assert by.health(NOW + second)[0].state == "fresh"
    assert len(world.calls) == 3


def test_a_known_key_outlives_an_outage(world: World) -> None:
    """A known key is used for a day of an outage, and is then a 503."""
    by = verifier()
    verify(world, by, token())
    world.pages[at(KID)] = down("timeout")
    for hour in range(24):
        assert verify(world, by, token(), NOW + 3600 * hour).principal.key_id == KID
    assert by.health(NOW + 86400)[0].state == "stale"
    with pytest.raises(VerificationUnavailableError):
        verify(world, by, token(), NOW + 300 + 86400)


def test_an_outage_costs_unknown_kids_one_fetch(world: World) -> None:
    """During an outage of the server, one request is made for all unknown kids."""
    by = verifier()
    for number in range(50):
        world.pages[at(f"x{number}")] = down("timeout")
        with pytest.raises(VerificationUnavailableError):
            verify(world, by, token(f"x{number}"))
    assert len(world.calls) == 1


def test_a_forged_signature_is_refused(world: World) -> None:
    """A token that the key of its kid does not verify is refused; other algorithms cost no fetch."""
    by = verifier()
    with pytest.raises(InvalidSignatureError, match="does not verify"):
        verify(world, by, token(key=ec_key.__wrapped__()))
    for algorithm in ("RS256", "HS256"):
        key = rsa_key() if algorithm == "RS256" else pem(ec_key())
        with pytest.raises(InvalidSignatureError):
            verify(world, by, token("other", key, algorithm))
    assert len(world.calls) == 1


def test_health_begins_unused_and_says_what_is_fresh(world: World) -> None:
    """The health has one entry for all keys, with the URL template as its name."""
    by = verifier()
    assert [(health.name, health.state) for health in by.health(NOW)] == [(URL, "unused")]
    verify(world, by, token())
    assert [(health.name, health.state) for health in by.health(NOW)] == [(URL, "fresh")]


@pytest.mark.parametrize(
    "url",
    [
        "https://{kid}.example/",
        "https://keys.example{kid}",
        "https://keys.example/{kid}/{kid}",
        "https://keys.example/{key}",
        "https://keys.example/{}",
        "https://keys.example/{kid",
        "https://keys.example/{kid}?a={b}",
        "https://{kid}@keys.example/{kid}",
        "http://keys.example/{kid}",
        "https://keys.example/#{kid}",
    ],
)
def test_a_template_that_cannot_be_meant_is_found_when_built(url: str) -> None:
    """A URL must have one placeholder for the kid, after the host."""
    with pytest.raises(ConfigurationError):
        RemoteKeySet(url)


@pytest.mark.parametrize(
    "url",
    ["https://keys.example/a/{kid}.pem", "https://keys.example?kid={kid}", "http://127.0.0.1:8000/{kid}"],
)
def test_the_kid_may_stand_in_path_or_query(url: str, world: World) -> None:
    """The kid may be in the path or in the query, with text around it."""
    world.pages[url.replace("{kid}", KID)] = as_pem()
    by = JWTVerifier(RemoteKeySet(url), algorithms=["ES256"], issuer=ISSUER, audience=AUDIENCE)
    assert verify(world, by, token()).principal.key_id == KID


def test_an_issuer_is_no_template() -> None:
    """The URL of an issuer is no template, since its metadata name one key set."""
    assert IssuerKeySet("https://issuer.example/{kid}").url == "https://issuer.example/{kid}"


# Padding


def padded(key: Any, sub: str = "ann", kid: str = KID, issuer: str = ISSUER) -> str:
    """Return a token with padding in each part, as of AWS load balancers."""
    header = {"typ": "JWT", "kid": kid, "alg": "ES256", "signer": "arn", "client": "c", "exp": int(NOW + 120)}
    body = claims(sub=sub, iss=issuer, exp=NOW + 120)
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in (header, body)]
    signed = ".".join(parts)
    return f"{signed}.{base64.urlsafe_b64encode(sign(signed.encode(), 'ES256', key)).decode()}"


def by_key(*, issuer: str = ISSUER, **options: Any) -> JWTVerifier:
    """Return a verifier with a local key."""
    return JWTVerifier(pem(ec_key()), algorithms=["ES256"], issuer=issuer, audience=AUDIENCE, **options)


SUBJECTS = ["ann", "anna", "annal", "annali"]


@pytest.mark.parametrize("sub", SUBJECTS)
def test_padding_is_taken_where_it_is_allowed(world: World, sub: str) -> None:
    """A token with padding is accepted with `padding=True`, and its signature is over the padded parts."""
    text = padded(ec_key(), sub)
    assert verify(world, by_key(padding=True), text).principal.subject == sub
    with pytest.raises(InvalidTokenError):
        verify(world, by_key(), text)


def test_tokens_without_padding_are_taken_too(world: World) -> None:
    """A token without padding is accepted with `padding=True`."""
    assert verify(world, by_key(padding=True), token()).principal.subject == "ann"


@pytest.mark.parametrize("sub", SUBJECTS)
@pytest.mark.parametrize("change", ["one more", "one less", "four more", "in the middle", "before a dot"])
def test_a_token_has_one_spelling(world: World, sub: str, change: str) -> None:
    """A token with another number of `=` is refused."""
    text = padded(ec_key(), sub)
    changed = {
        "one more": text + "=",
        "one less": text[:-1],
        "four more": text + "====",
        "in the middle": text[:5] + "=" + text[5:],
        "before a dot": text.replace(".", "=.", 1),
    }[change]
    with pytest.raises(InvalidTokenError):
        verify(world, by_key(padding=True), changed)


def test_padding_is_allowed_to_one_issuer_alone(world: World) -> None:
    """Padding is accepted from its issuer, and not from another one of the same guard."""
    other = "https://other.example"
    (both,) = JWTVerifier.together([by_key(padding=True), by_key(issuer=other)])
    first = both.flow(Credential(padded(ec_key()), "bearer"), NOW)
    assert first.principal.issuer == ISSUER  # type: ignore[union-attr]
    with pytest.raises(InvalidTokenError):
        both.flow(Credential(padded(ec_key(), issuer=other), "bearer"), NOW)
    (neither,) = JWTVerifier.together([by_key(), by_key(issuer=other)])
    with pytest.raises(InvalidTokenError):
        neither.flow(Credential(padded(ec_key()), "bearer"), NOW)
