"""Keys that an issuer publishes one by one, each at a URL with its kid, as AWS does."""

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
from authguard._core.verifier import as_flow
from authguard.errors import InvalidSignatureError
from authguard.verifiers.discovery import IssuerKeySet
from remote.world import World, down, page
from support import AUDIENCE, ISSUER, NOW, b64, claims, ec_key, jwk, make_token, pem, rsa_key, sign

URL = "https://keys.example/{kid}"
KID = "3f1b0a4e-9c1d-4b7e-8a55-0e6c2d1f7a90"
DENIED = Response(403, {"content-type": "application/xml"}, b"<Error><Code>AccessDenied</Code></Error>")


def at(kid: str) -> str:
    """The URL of a key."""
    return f"https://keys.example/{kid}"


def as_pem(key: Any = None) -> Response:
    """A key as AWS sends it."""
    return Response(200, {"content-type": "binary/octet-stream"}, pem(key or ec_key()).encode())


def verifier(**options: Any) -> JWTVerifier:
    """A verifier of tokens whose keys have a URL each."""
    return JWTVerifier(
        RemoteKeySet(URL, **options),
        algorithms=["ES256"],
        issuer=ISSUER,
        audience=AUDIENCE,
        required_claims=(),
    )


def token(kid: str | None = KID, key: Any = None, algorithm: str = "ES256", **members: Any) -> str:
    """A token that names its key."""
    named = {} if kid is None else {"kid": kid}
    text: str = make_token(
        claims(exp=NOW + 10 * 86400), algorithm=algorithm, key=key or ec_key(), **named, **members
    )
    return text


@pytest.fixture
def world() -> World:
    """A server that has one key."""
    world = World()
    world.pages[at(KID)] = as_pem()
    return world


def verify(world: World, by: JWTVerifier, text: str, now: float = NOW) -> Any:
    """What comes of a token."""
    return world.run(as_flow(by.flow(Credential(text, "bearer"), now)))


def test_the_key_is_fetched_by_the_kid_of_the_token(world: World) -> None:
    """Once, for as long as it is fresh; the principal names it."""
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
    """One reader reads all documents."""
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
    """503, and health says why."""
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
    """It has said so, and is not asked again for 30 seconds."""
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
    """Its alphabet is checked before it goes into one."""
    with pytest.raises(InvalidTokenError):
        verify(world, verifier(), token(kid))
    assert world.calls == []


@pytest.mark.parametrize("kid", ["a", "A-z_0.9", "a.b.c", "a" * 128])
def test_the_kids_of_issuers_are_asked_for(world: World, kid: str) -> None:
    """Letters, digits, hyphens, underscores and single dots."""
    world.pages[at(kid)] = as_pem()
    assert verify(world, verifier(), token(kid)).principal.key_id == kid


def test_a_flood_of_unknown_kids_costs_three_fetches_and_then_one_in_30_seconds(world: World) -> None:
    """A known key is used all the while; of an unknown one it cannot be told, which is a 503."""
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
    """However many keys the issuer has; what it has not is in a memory of fixed size."""
    by = verifier(ttl=86400)
    world.pages.update({at(f"k{number}"): as_pem() for number in range(200)})
    for number in range(200):
        verify(world, by, token(f"k{number}"), NOW + number)
    keys = by._source._keys  # type: ignore[union-attr]
    assert len(keys._kept) <= 64
    assert len(keys._pending) <= 16


def test_keys_that_exist_cost_no_budget(world: World) -> None:
    """A hundred of them are fetched at once."""
    by = verifier()
    world.pages.update({at(f"k{number}"): as_pem() for number in range(100)})
    for number in range(100):
        assert verify(world, by, token(f"k{number}")).principal.key_id == f"k{number}"


def test_requests_that_are_given_up_leave_nothing_behind(world: World) -> None:
    """The next ones fetch their key."""
    by = verifier()
    for number in range(40):
        flow = by.flow(Credential(token(f"x{number}"), "bearer"), NOW + 31 * number)
        next(flow)  # type: ignore[arg-type]
        flow.close()  # type: ignore[union-attr]
    assert len(by._source._keys._pending) <= 16  # type: ignore[union-attr]
    assert verify(world, by, token(), NOW + 3000).principal.key_id == KID


def test_a_withdrawn_key_is_refused_within_the_ttl(world: World) -> None:
    """When it is asked for again."""
    by = verifier()
    verify(world, by, token())
    world.pages[at(KID)] = DENIED
    assert verify(world, by, token(), NOW + 269).principal.key_id == KID
    for second in (300, 301, 310):
        with pytest.raises(InvalidSignatureError):
            verify(world, by, token(), NOW + second)


def test_a_key_may_come_back(world: World) -> None:
    """One that was withdrawn by mistake is taken again, after 30 seconds."""
    by = verifier()
    verify(world, by, token())
    world.pages[at(KID)] = DENIED
    with pytest.raises(InvalidSignatureError):
        verify(world, by, token(), NOW + 300)
    world.pages[at(KID)] = as_pem()
    assert verify(world, by, token(), NOW + 331).principal.key_id == KID


def test_a_key_is_fetched_again_before_it_is_due(world: World) -> None:
    """In the background; so it stays fresh for as long as the issuer has it."""
    by = verifier()
    for second in (0, 269, 271, 540, 800):
        assert verify(world, by, token(), NOW + second).principal.key_id == KID
        assert by.health(NOW + second)[0].state == "fresh"
    assert len(world.calls) == 3


def test_a_known_key_outlives_an_outage(world: World) -> None:
    """For a day; then it is 503."""
    by = verifier()
    verify(world, by, token())
    world.pages[at(KID)] = down("timeout")
    for hour in range(24):
        assert verify(world, by, token(), NOW + 3600 * hour).principal.key_id == KID
    assert by.health(NOW + 86400)[0].state == "stale"
    with pytest.raises(VerificationUnavailableError):
        verify(world, by, token(), NOW + 300 + 86400)


def test_an_outage_costs_unknown_kids_one_fetch(world: World) -> None:
    """The server is one for all of them: the others are answered at once."""
    by = verifier()
    for number in range(50):
        world.pages[at(f"x{number}")] = down("timeout")
        with pytest.raises(VerificationUnavailableError):
            verify(world, by, token(f"x{number}"))
    assert len(world.calls) == 1


def test_a_forged_signature_is_refused(world: World) -> None:
    """By the key that it names; and a token for another algorithm costs no fetch."""
    by = verifier()
    with pytest.raises(InvalidSignatureError, match="does not verify"):
        verify(world, by, token(key=ec_key.__wrapped__()))
    for algorithm in ("RS256", "HS256"):
        key = rsa_key() if algorithm == "RS256" else pem(ec_key())
        with pytest.raises(InvalidSignatureError):
            verify(world, by, token("other", key, algorithm))
    assert len(world.calls) == 1


def test_health_begins_unused_and_says_what_is_fresh(world: World) -> None:
    """One entry for the issuer, by the URL with its place for the kid."""
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
    """The kid stands once, behind the host."""
    with pytest.raises(ConfigurationError):
        RemoteKeySet(url)


@pytest.mark.parametrize(
    "url",
    ["https://keys.example/a/{kid}.pem", "https://keys.example?kid={kid}", "http://127.0.0.1:8000/{kid}"],
)
def test_the_kid_may_stand_in_path_or_query(url: str, world: World) -> None:
    """With text before and after it."""
    world.pages[url.replace("{kid}", KID)] = as_pem()
    by = JWTVerifier(RemoteKeySet(url), algorithms=["ES256"], issuer=ISSUER, audience=AUDIENCE)
    assert verify(world, by, token()).principal.key_id == KID


def test_an_issuer_is_no_template() -> None:
    """Its metadata name one key set."""
    assert IssuerKeySet("https://issuer.example/{kid}").url == "https://issuer.example/{kid}"


# Padding


def padded(key: Any, sub: str = "ann", kid: str = KID, issuer: str = ISSUER) -> str:
    """A token as AWS load balancers write it: each part with padding."""
    header = {"typ": "JWT", "kid": kid, "alg": "ES256", "signer": "arn", "client": "c", "exp": int(NOW + 120)}
    body = claims(sub=sub, iss=issuer, exp=NOW + 120)
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in (header, body)]
    signed = ".".join(parts)
    return f"{signed}.{base64.urlsafe_b64encode(sign(signed.encode(), 'ES256', key)).decode()}"


def by_key(*, issuer: str = ISSUER, **options: Any) -> JWTVerifier:
    """A verifier with the key at hand."""
    return JWTVerifier(pem(ec_key()), algorithms=["ES256"], issuer=issuer, audience=AUDIENCE, **options)


SUBJECTS = ["ann", "anna", "annal", "annali"]


@pytest.mark.parametrize("sub", SUBJECTS)
def test_padding_is_taken_where_it_is_allowed(world: World, sub: str) -> None:
    """And the signature is over the parts as they were sent."""
    text = padded(ec_key(), sub)
    assert verify(world, by_key(padding=True), text).principal.subject == sub
    with pytest.raises(InvalidTokenError):
        verify(world, by_key(), text)


def test_tokens_without_padding_are_taken_too(world: World) -> None:
    """As they are of every other issuer."""
    assert verify(world, by_key(padding=True), token()).principal.subject == "ann"


@pytest.mark.parametrize("sub", SUBJECTS)
@pytest.mark.parametrize("change", ["one more", "one less", "four more", "in the middle", "before a dot"])
def test_a_token_has_one_spelling(world: World, sub: str, change: str) -> None:
    """With another number of `=` it is another token."""
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
    """Beside others, in one guard; whichever came first."""
    other = "https://other.example"
    (both,) = JWTVerifier.together([by_key(padding=True), by_key(issuer=other)])
    first = both.flow(Credential(padded(ec_key()), "bearer"), NOW)
    assert first.principal.issuer == ISSUER  # type: ignore[union-attr]
    with pytest.raises(InvalidTokenError):
        both.flow(Credential(padded(ec_key(), issuer=other), "bearer"), NOW)
    (neither,) = JWTVerifier.together([by_key(), by_key(issuer=other)])
    with pytest.raises(InvalidTokenError):
        neither.flow(Credential(padded(ec_key()), "bearer"), NOW)
