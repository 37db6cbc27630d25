"""DPoP proofs: RFC 9449."""

from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from authguard import ConfigurationError, DPoP, VerificationUnavailableError
from authguard._core.jose.compact import base64url
from authguard._core.model import Credential
from authguard._core.proofs.dpop import thumbprint_of
from authguard.drivers import run
from authguard.errors import InvalidProofError, NonceRequiredError, RefusedError, UnprovenTokenError
from support import (
    NOW,
    FakeRequest,
    b64,
    ec_key,
    ed25519_key,
    jwk,
    make_proof,
    number,
    rsa_key,
    sign,
    thumbprint,
)

TOKEN = "a.b.c"
BOUND_TO = thumbprint(jwk(ec_key()))
NONCE_SECRET = "n0nce-secret-of-more-than-32-bytes-Qx7"

# RFC 9449 section 7.1, figures 12 and 13; the thumbprint is that of section 6.1, figure 8.
RFC_TOKEN = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
RFC_PROOF = (
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpD"
    "a0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6"
    "IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGx"
    "lLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk"
    "1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJ"
    "pLjA"
)
RFC_THUMBPRINT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
RFC_ISSUED = 1_562_262_618


def dpop(**options):
    return DPoP("https://api.example", **options)


def check(
    proof, own_proofs=None, *, now=NOW, path="/a", method="GET", bound_to=BOUND_TO, sent_by="dpop", **view
):
    proofs = [proof] if isinstance(proof, (str, bytes)) else proof
    request = FakeRequest(path, method=method, headers=[("DPoP", each) for each in proofs], **view)
    return run((own_proofs or dpop()).check(request, Credential(TOKEN, sent_by), bound_to, now))


def refused(*arguments, error=InvalidProofError, **options):
    with pytest.raises(error) as caught:
        check(*arguments, **options)
    return caught.value


def test_the_example_of_the_rfc():
    """The proof of RFC 9449 passes for its token and key at its time, and only once."""
    own_proofs = DPoP("https://resource.example.org")
    request = FakeRequest("/protectedresource", headers={"dpop": RFC_PROOF})
    arguments = (request, Credential(RFC_TOKEN, "dpop"), RFC_THUMBPRINT, RFC_ISSUED + 1)
    run(own_proofs.check(*arguments))
    with pytest.raises(InvalidProofError, match="used before"):
        run(own_proofs.check(*arguments))


def test_the_thumbprint_of_rfc_7638():
    """The RSA key of RFC 7638 section 3.1 has its thumbprint, although it has further members."""
    key = {
        "kty": "RSA",
        "n": (
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc"
            "_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQ"
            "R0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bF"
            "TWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
        ),
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
    }
    assert thumbprint_of(key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.mark.parametrize(
    "key", [{}, {"kty": "EC"}, {"kty": "oct", "k": "AA"}, {"kty": 1}, {"kty": []}], ids=str
)
def test_other_keys_have_no_thumbprint(key):
    """A key of another type, or without its members, has no thumbprint."""
    assert thumbprint_of(key) is None


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(ec_key(), "ES256"), (ec_key("P-384"), "ES384"), (ed25519_key(), "EdDSA"), (ed25519_key(), "Ed25519"),
     (rsa_key(), "PS256"), (rsa_key(), "RS256")],
    ids=["ES256", "ES384", "EdDSA", "Ed25519", "PS256", "RS256"],
)  # fmt: skip
def test_a_good_proof_passes(key, algorithm):
    """A valid proof passes with each kind of key."""
    own_proofs = dpop(algorithms=[algorithm])
    check(make_proof(TOKEN, key=key, algorithm=algorithm), own_proofs, bound_to=thumbprint(jwk(key)))


@pytest.mark.parametrize(
    "htu",
    ["https://API.example:443/a", "https://api.example/%61", "https://api.example/x/../a",
     "https://api.example/a?q=1"],
)  # fmt: skip
def test_spellings_of_the_uri_pass(htu):
    """A proof passes if its URI is equivalent by RFC 3986, or has a query."""
    check(make_proof(TOKEN, htu=htu))


def test_the_mount_point_is_part_of_the_uri():
    """The URI of a proof includes the mount point."""
    proof = make_proof(TOKEN, htu="https://api.example/v1/a")
    check(proof, root_path="/v1")


def test_several_origins_may_be_named():
    """A proof passes for each of several origins."""
    own_proofs = DPoP(["https://api.example", "https://www.example"])
    check(make_proof(TOKEN), own_proofs)
    check(make_proof(TOKEN, htu="https://www.example/a"), own_proofs)


def test_a_handshake_is_a_get():
    """A proof for GET passes for a websocket handshake."""
    check(make_proof(TOKEN), method="WEBSOCKET")


CLAIMS = {
    "no jti": {"jti": ...},
    "an empty jti": {"jti": ""},
    "a jti that is no text": {"jti": 7},
    "a jti too long": {"jti": "x" * 513},
    "another method": {"htm": "POST"},
    "the method in lower case": {"htm": "get"},
    "no method": {"htm": ...},
    "another path": {"htu": "https://api.example/b"},
    "the path in another case": {"htu": "https://api.example/A"},
    "a path below": {"htu": "https://api.example/a/b"},
    "another host": {"htu": "https://evil.example/a"},
    "plain http": {"htu": "http://api.example/a"},
    "another port": {"htu": "https://api.example:8443/a"},
    "a user in the URI": {"htu": "https://api.example@evil.example/a"},
    "no URI": {"htu": ...},
    "a URI that is none": {"htu": "/a"},
    "a URI that is no text": {"htu": ["https://api.example/a"]},
    "no iat": {"iat": ...},
    "an old iat": {"iat": NOW - 30.5},
    "an early iat": {"iat": NOW + 30.5},
    "an iat of text": {"iat": str(NOW)},
    "an iat that is true": {"iat": True},
    "an exp that is over": {"exp": NOW - 31},
    "an nbf to come": {"nbf": NOW + 31},
    "an nbf that is true": {"nbf": True},
    "an exp of text": {"exp": "never"},
    "an iat too large for a float": {"iat": 10**400},
    "an iat far below zero": {"iat": -(10**400)},
    "an exp far below zero": {"exp": -(10**400)},
    "an nbf too large for a float": {"nbf": 10**4000},
    "an iat that is a large float": {"iat": 1e308},
    "no ath": {"ath": ...},
    "the ath of another token": {"ath": b64(b"x" * 32)},
    "an ath that is no text": {"ath": 1},
    "an ath that is not ASCII": {"ath": "\xe9"},
}


@pytest.mark.parametrize("changes", CLAIMS.values(), ids=CLAIMS)
def test_a_claim_that_is_wrong(changes):
    """A proof with one wrong claim is refused."""
    refused(make_proof(TOKEN, **changes))


PRIVATE = {**jwk(ec_key()), "d": "AA"}
HEADERS = {
    "no typ": {"typ": ...},
    "a typ of tokens": {"typ": "at+jwt"},
    "a typ that is no text": {"typ": 1},
    "no alg": {"alg": ...},
    "none": {"alg": "none"},
    "a secret's algorithm": {"alg": "HS256"},
    "an algorithm that is not listed": {"alg": "ES384"},
    "an alg that is no text": {"alg": ["ES256"]},
    "an algorithm for another key": {"alg": "PS256"},
    "no jwk": {"jwk": ...},
    "a jwk that is no object": {"jwk": "x"},
    "a private jwk": {"jwk": PRIVATE},
    "a secret in the jwk": {"jwk": {**jwk(ec_key()), "k": "AA"}},
    "a jwk for another algorithm": {"jwk": {**jwk(ec_key()), "alg": "ES384"}},
    "a jwk for encryption": {"jwk": {**jwk(ec_key()), "use": "enc"}},
    "another jwk": {"jwk": jwk(ed25519_key())},
    "crit": {"crit": ["exp"]},
    "b64": {"b64": False},
}


@pytest.mark.parametrize("changes", HEADERS.values(), ids=HEADERS)
def test_a_header_that_is_wrong(changes):
    """A proof with one wrong member of the header is refused."""
    refused(make_proof(TOKEN, header=changes))


def test_a_point_that_is_not_on_the_curve():
    """A key that is not a point of the curve is refused, even if the token is bound to it."""
    key = {**jwk(ec_key()), "y": b64(b"\x01" * 32)}
    refused(make_proof(TOKEN, header={"jwk": key}), bound_to=thumbprint(key))


def test_an_exp_too_large_for_a_float_is_far_away():
    """A proof with an `exp` that is too large for a float passes."""
    check(make_proof(TOKEN, exp=10**400))


@pytest.mark.parametrize(
    ("bits", "exponent"),
    [(2048, 2**64 + 1), (2048, 2**2047 + 1), (3072, 2**256 + 1), (3072, 2**3071 + 1),
     (8200, 65_537), (16_384, 65_537)],
)  # fmt: skip
def test_an_rsa_key_that_takes_too_long_to_use_is_refused(bits, exponent):
    """A proof with a large RSA key is refused by the size of its numbers, because its use takes too long."""
    key = {"kty": "RSA", "n": number(2**bits - 159), "e": number(exponent)}
    proof = make_proof(TOKEN, header={"jwk": key, "alg": "PS256"})
    assert "too large" in refused(proof, bound_to=thumbprint(key)).reason


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
@pytest.mark.parametrize("exponent", [65_537, 2**32 + 1, 2**64 - 59])
def test_an_rsa_key_of_a_usual_size_is_not_too_large(bits, exponent):
    """A proof with an RSA key of a usual size is not refused as too large."""
    key = {"kty": "RSA", "n": number(2**bits - 159), "e": number(exponent)}
    proof = make_proof(TOKEN, header={"jwk": key, "alg": "PS256"})
    assert "too large" not in refused(proof, bound_to=thumbprint(key)).reason


def test_a_proof_that_another_key_has_signed():
    """A proof that was signed with another key than that of its header is refused."""
    refused(make_proof(TOKEN, signed_with=ec.generate_private_key(ec.SECP256R1())))


def test_the_key_of_somebody_else():
    """A valid proof is refused if the token is bound to another key."""
    other = ec.generate_private_key(ec.SECP256R1())
    own_proofs, proof = dpop(), make_proof(TOKEN, key=other)
    check(proof, own_proofs, bound_to=thumbprint(jwk(other)))
    refused(make_proof(TOKEN, key=other), own_proofs)


def test_a_token_for_dpop_is_sent_by_dpop():
    """A bound token that came as Bearer, cookie or API key is refused, even with a proof."""
    for method in ("bearer", "cookie", "api_key"):
        error = refused(make_proof(TOKEN), sent_by=method, error=UnprovenTokenError)
        assert error.challenge_scheme == "DPoP"


GOOD = make_proof(TOKEN)
FIELDS = {
    "none": [],
    "two empty ones": ["", ""],
    "two of the same": [GOOD, GOOD],
    "a bad one beside a good one": [GOOD, "x"],
    "joined": [f"{GOOD},{GOOD}"],
    "empty": [""],
    "one part": ["x"],
    "two parts": ["a.b"],
    "garbage": ["a.b.c"],
    "four parts": [f"{GOOD}.d"],
    "padding": [f"{GOOD}="],
    "cut short": [GOOD[:-1]],
    "a header that is no JSON": [f"{b64(b'{')}.{b64(b'{}')}.{b64(b'x')}"],
    "a header that is no object": [f"{b64(b'[]')}.{b64(b'{}')}.{b64(b'x')}"],
    "too long": [make_proof(TOKEN, padding="x" * 9000)],
    "not ASCII": [b"\xe9.a.b"],
}


@pytest.mark.parametrize("proofs", FIELDS.values(), ids=FIELDS)
def test_exactly_one_proof(proofs):
    """A request must have exactly one proof, in one field."""
    refused(proofs)


def test_claims_that_are_no_object():
    """A proof whose signed claims are no JSON object is refused."""
    head, _, _ = make_proof(TOKEN).split(".")
    signed = f"{head}.{b64(b'[]')}"
    refused(f"{signed}.{b64(sign(signed.encode(), 'ES256', ec_key()))}")


@pytest.mark.parametrize("date", ['"exp": 1e999', '"nbf": -1e999'])
def test_a_date_that_is_infinite_is_none(date):
    """A date that is infinite as a float is refused."""
    head, payload, _ = make_proof(TOKEN).split(".")
    claims = base64url(payload.encode()).decode().replace("{", f"{{{date}, ", 1)
    signed = f"{head}.{b64(claims.encode())}"
    assert "an invalid date" in refused(f"{signed}.{b64(sign(signed.encode(), 'ES256', ec_key()))}").reason


@given(st.binary(max_size=300) | st.text(st.characters(codec="ascii"), max_size=300).map(str.encode))
def test_no_field_makes_another_error(field):
    """Any bytes in the field are refused with an InvalidProofError."""
    refused(field)


values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9)
members = st.sampled_from(["kty", "crv", "x", "y", "n", "e", "d"])
anything = values | st.lists(values, max_size=3) | st.dictionaries(members, values, max_size=4)


@given(
    st.dictionaries(st.sampled_from(["typ", "alg", "jwk", "kid", "x5c"]), anything, min_size=1),
    st.sampled_from(["header", "claims"]),
)
def test_no_members_make_another_error(members, where):
    """Members of any types are refused with an InvalidProofError."""
    claims = {"jti": ..., "iat": members.get("kid"), "htu": members.get("typ"), "ath": members.get("alg")}
    try:
        check(make_proof(TOKEN, header=members) if where == "header" else make_proof(TOKEN, **claims))
    except RefusedError as error:
        assert isinstance(error, InvalidProofError)
    else:
        # only members that are ignored have been added
        assert where == "header" and set(members) <= {"kid", "x5c"}


def test_a_proof_is_used_once():
    """A proof that was used before is refused, also for the same request."""
    own_proofs, proof = dpop(), make_proof(TOKEN)
    check(proof, own_proofs)
    assert "used before" in refused(proof, own_proofs).reason
    assert "used before" in refused(proof, own_proofs, now=NOW + 30).reason
    assert "iat" in refused(proof, own_proofs, now=NOW + 31).reason


def test_the_key_of_a_client_is_read_once():
    """The key of a client is parsed once, because its next proof has the same header."""
    one, proof = dpop(), make_proof(TOKEN)
    head = proof.partition(".")[0].encode()
    check(proof, one)
    read = one._keys.get(head)
    check(make_proof(TOKEN), one)
    assert one._keys.get(head) is read


def test_two_keys_may_have_one_jti():
    """Two keys may use the same `jti`."""
    own_proofs, other = dpop(), ec.generate_private_key(ec.SECP256R1())
    check(make_proof(TOKEN, jti="x", key=other), own_proofs, bound_to=thumbprint(jwk(other)))
    check(make_proof(TOKEN, jti="x"), own_proofs)


def test_a_bad_proof_is_not_used_up():
    """The `jti` of a refused proof can be used again."""
    own_proofs = dpop()
    refused(make_proof(TOKEN, jti="x", htm="POST"), own_proofs)
    refused(make_proof(TOKEN, jti="x", ath="no"), own_proofs)
    check(make_proof(TOKEN, jti="x"), own_proofs)


def test_a_busy_key_is_told_to_wait():
    """A key with too many proofs gets a 503, because its token is valid."""
    own_proofs = dpop(proofs_per_key=2)
    check(make_proof(TOKEN), own_proofs)
    check(make_proof(TOKEN), own_proofs)
    assert refused(make_proof(TOKEN), own_proofs, error=VerificationUnavailableError).retry_after == 1


def test_a_nonce_is_asked_for():
    """A proof without a nonce gets a nonce, and the same `jti` passes with that nonce."""
    own_proofs = dpop(nonce_secret=NONCE_SECRET)
    nonce = refused(make_proof(TOKEN, jti="x"), own_proofs, error=NonceRequiredError).nonce
    check(make_proof(TOKEN, jti="x", nonce=nonce), own_proofs)


@pytest.mark.parametrize("nonce", ["", "x", "\xe9", 7, None, True])
def test_a_nonce_that_is_not_ours(nonce):
    """A nonce that the server has not issued is refused, and the answer has a new one."""
    refused(make_proof(TOKEN, nonce=nonce), dpop(nonce_secret=NONCE_SECRET), error=NonceRequiredError)


def test_a_nonce_is_for_one_key():
    """A nonce that was issued for another key is refused."""
    own_proofs = dpop(nonce_secret=NONCE_SECRET)
    other = ec.generate_private_key(ec.SECP256R1())
    bound_to = thumbprint(jwk(other))
    nonce = refused(
        make_proof(TOKEN, key=other), own_proofs, bound_to=bound_to, error=NonceRequiredError
    ).nonce
    refused(make_proof(TOKEN, nonce=nonce), own_proofs, error=NonceRequiredError)


def test_a_nonce_grows_old():
    """A nonce is valid for 150 to 450 seconds, in all processes with the secret."""
    nonce = refused(make_proof(TOKEN), dpop(nonce_secret=NONCE_SECRET), error=NonceRequiredError).nonce
    other = dpop(nonce_secret=NONCE_SECRET.encode())
    for later in (0, 149, -149):
        check(make_proof(TOKEN, nonce=nonce, iat=NOW + later), other, now=NOW + later)
    late = make_proof(TOKEN, nonce=nonce, iat=NOW + 451)
    refused(late, other, now=NOW + 451, error=NonceRequiredError)


def test_a_proof_that_is_bad_gets_no_nonce():
    """An invalid proof gets no nonce."""
    error = refused(make_proof(TOKEN, htm="POST"), dpop(nonce_secret=NONCE_SECRET))
    assert not isinstance(error, NonceRequiredError)


def test_a_shared_store_is_asked():
    """A shared store gets a digest of the proof, and the seconds to keep it."""
    kept = {}

    def replays(digest, seconds):
        return digest not in kept and not kept.update({digest: seconds})

    own_proofs, proof = dpop(replays=replays), make_proof(TOKEN, jti="secret", iat=NOW - 10)
    check(proof, own_proofs)
    refused(proof, own_proofs)
    (digest,) = kept
    assert (len(digest), kept[digest]) == (64, 21)


def test_a_shared_store_may_be_async():
    """A shared store may be a coroutine function."""

    async def replays(digest, seconds):
        return True

    check(make_proof(TOKEN), dpop(replays=replays))


@pytest.mark.parametrize("answer", [False, 0, None])
def test_a_proof_that_the_store_knows_is_refused(answer):
    """A proof that the store knows is refused."""
    refused(make_proof(TOKEN), dpop(replays=lambda digest, seconds: answer))


@pytest.mark.parametrize("answer", [2, "OK", "", b"1", {"is_new": False}], ids=repr)
def test_a_store_says_yes_or_no(answer):
    """An answer of the store that is neither true nor false is a TypeError, and the proof does not pass."""
    with pytest.raises(TypeError, match=f"^replays must return True or False, got {type(answer).__name__}$"):
        check(make_proof(TOKEN), dpop(replays=lambda digest, seconds: answer))


def test_a_secret_of_nonces_needs_32_bytes():
    """A secret for nonces may be 32 random bytes."""
    assert dpop(nonce_secret=sha256(b"a seed").digest())


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: DPoP([]), "must name at least one"),
        (lambda: DPoP("api.example"), "must be (scheme and host|text)"),
        (lambda: DPoP([None]), "must be (scheme and host|text)"),
        (lambda: DPoP("https://api.example/v1"), "must end with the host"),
        (lambda: DPoP("https://api.example?x"), "must end with the host"),
        (lambda: DPoP("http://api.example"), "must be https"),
        (lambda: dpop(algorithms=["HS256"]), "never for a secret"),
        (lambda: dpop(algorithms="ES256"), "must be a list"),
        (lambda: dpop(algorithms=["none"]), "unsafe"),
        (lambda: dpop(window=0), "window"),
        (lambda: dpop(window=301), "window"),
        (lambda: dpop(window=True), "window"),
        (lambda: dpop(proofs_per_key=0), "proofs_per_key"),
        (lambda: dpop(nonce_secret=sha256(b"a seed").digest()[:31]), "32 random bytes"),
        (lambda: dpop(nonce_secret=7), "32 random bytes"),
    ],
    ids=range(15),
)
def test_a_mistake_is_named_when_it_is_built(build, says):
    """Options that contradict each other or are out of range are refused, with the correction."""
    with pytest.raises(ConfigurationError, match=says):
        build()


def test_it_shows_no_secret():
    """The repr shows the origins and not the secret."""
    shown = repr(dpop(nonce_secret=NONCE_SECRET))
    assert "https://api.example" in shown
    assert NONCE_SECRET not in shown
