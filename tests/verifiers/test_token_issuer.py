"""The tokens of a `TokenIssuer`, which its verifier accepts, and its options."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from authguard import (
    ConfigurationError,
    ExpiredTokenError,
    Guard,
    InvalidTokenError,
    JWTVerifier,
    MemoryRevocations,
    TokenIssuer,
)
from authguard.testing import issue_token
from support import AUDIENCE, ISSUER, NOW, SECRET, ec_key, ed25519_key, jwk, pem, rsa_key

TO = {"issuer": ISSUER, "audience": AUDIENCE}


def private_pem(key: Any) -> str:
    """Return a private key as PEM text."""
    text: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return text.decode()


def private_jwk(key: Any, algorithm: str, **members: Any) -> dict[str, Any]:
    """Return a private key as a JWK."""
    scheme: Any = jwt.get_algorithm_by_name(algorithm)
    made: dict[str, Any] = scheme.to_jwk(key, as_dict=True)
    made.pop("key_ops", None)
    return {**made, **members}


def make(key: Any = SECRET, **options: Any) -> TokenIssuer:
    """Return an issuer with a fixed time."""
    return TokenIssuer(key, **{**TO, "clock": lambda: NOW, **options})


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a token, not verified."""
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


BINARY = bytes.fromhex("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15f0a1")
KEYS: dict[str, tuple[Callable[[], Any], str]] = {
    "secret": (lambda: SECRET, "HS256"),
    "binary secret": (lambda: b"\xff{" + BINARY, "HS256"),
    "PEM": (lambda: private_pem(ec_key()), "ES256"),
    "PEM in bytes": (lambda: private_pem(ed25519_key()).encode(), "EdDSA"),
    "P-384": (lambda: private_pem(ec_key("P-384")), "ES384"),
    "RSA": (rsa_key, "RS256"),
    "object": (ec_key, "ES256"),
    "JWK": (lambda: private_jwk(ec_key(), "ES256"), "ES256"),
    "JWK as text": (lambda: json.dumps(private_jwk(rsa_key(), "RS256", alg="PS256", kid="a")), "PS256"),
    "secret JWK": (
        lambda: {"kty": "oct", "k": "azNKOXZReDJMN21aNHBSOHRXMXlCNm5DNXNEMGZHaEFxVWVJb1h6", "kid": "s"},
        "HS256",
    ),
}


@pytest.mark.parametrize("name", KEYS)
def test_every_kind_of_key(name: str) -> None:
    """The verifier of the issuer accepts its token for each kind of key, with the algorithm of the key."""
    make_key, algorithm = KEYS[name]
    tokens = make(make_key())
    assert tokens.algorithm == algorithm
    assert Guard(tokens.verifier()).verify(tokens.issue("ann"), now=NOW).subject == "ann"


def test_a_file(tmp_path: Path) -> None:
    """A key is read from a path, without the line break at the end of a secret."""
    (tmp_path / "secret").write_text(SECRET + "\n")
    (tmp_path / "key.pem").write_text(private_pem(ec_key()))
    for name in ("secret", "key.pem"):
        tokens = make(tmp_path / name)
        assert Guard(tokens.verifier()).verify(tokens.issue("ann"), now=NOW).subject == "ann"


def test_what_a_token_says() -> None:
    """A token has all registered claims, and the granted scopes and roles."""
    token = make(ttl=timedelta(minutes=5)).issue(
        "ann",
        scopes=["write", "read"],
        roles=["b", "a"],
        client_id="web",
        session="s1",
        claims={"tenant": "t"},
    )
    claims = claims_of(token)
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "at+jwt"}
    assert len(claims.pop("jti")) == 22
    assert claims == {
        "iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "iat": int(NOW), "exp": int(NOW) + 300,
        "scope": "read write", "roles": ["a", "b"], "client_id": "web", "sid": "s1", "tenant": "t",
    }  # fmt: skip


def test_what_the_guard_finds() -> None:
    """The principal has the scopes, the roles and the client of the token."""
    tokens = make(audience=[AUDIENCE, "https://other.example"])
    principal = Guard(tokens.verifier()).verify(
        tokens.issue("ann", scopes={"read"}, roles=["staff"], client_id="web"), now=NOW
    )
    assert (principal.scopes, principal.roles, principal.client_id) == ({"read"}, {"staff"}, "web")
    assert principal.expires_at == NOW + 900


def test_nothing_is_said_of_nothing() -> None:
    """A token without scopes and roles has no claims for them."""
    assert set(claims_of(make().issue("ann"))) == {"iss", "aud", "sub", "iat", "exp", "jti"}


def test_each_token_has_a_name_of_its_own() -> None:
    """Each token has a `jti` of its own, by which it can be revoked."""
    tokens, revocations = make(), MemoryRevocations(clock=lambda: NOW)
    guard = Guard(tokens.verifier(), revocations=revocations)
    first, second = tokens.issue("ann"), tokens.issue("ann")
    principal = guard.verify(first, now=NOW)
    assert principal.token_id is not None
    revocations.revoke(token_id=principal.token_id, issuer=ISSUER, until=NOW + 900)
    with pytest.raises(InvalidTokenError):
        guard.verify(first, now=NOW)
    assert guard.verify(second, now=NOW).subject == "ann"


def test_a_session_is_revoked_as_a_whole() -> None:
    """The revocation of a `sid` applies to all tokens of the session."""
    tokens, revocations = make(), MemoryRevocations(clock=lambda: NOW)
    guard = Guard(tokens.verifier(), revocations=revocations)
    texts = [tokens.issue("ann", session="one"), tokens.issue("ann", session="one")]
    other = tokens.issue("ann", session="two")
    revocations.revoke(session="one", issuer=ISSUER, until=NOW + 900)
    for text in texts:
        with pytest.raises(InvalidTokenError):
            guard.verify(text, now=NOW)
    assert guard.verify(other, now=NOW).subject == "ann"


def test_a_token_expires() -> None:
    """A token expires after the `ttl` of the issuer, or after its own."""
    tokens = make(ttl=60)
    guard = Guard(tokens.verifier(leeway=0))
    for text, seconds in (
        (tokens.issue("ann"), 60),
        (tokens.issue("ann", ttl=10), 10),
        (make(ttl=1).issue("ann"), 1),
    ):
        assert guard.verify(text, now=NOW + seconds - 1).subject == "ann"
        with pytest.raises(ExpiredTokenError):
            guard.verify(text, now=NOW + seconds)


def test_the_public_key_is_for_verifiers_elsewhere() -> None:
    """The published key has no private part, and has the kid of the tokens."""
    for key, options, kid in (
        (private_jwk(ec_key(), "ES256", kid="mine"), {}, "mine"),
        (ec_key(), {"key_id": "other"}, "other"),
        (ec_key(), {}, None),
    ):
        tokens = make(key, **options)
        public = json.loads(json.dumps(tokens.public_keys))
        (member,) = public["keys"]
        assert "d" not in member
        assert (member["use"], member["alg"]) == ("sig", "ES256")
        token = tokens.issue("ann")
        assert jwt.get_unverified_header(token)["kid"] == member["kid"]
        assert member["kid"] == kid if kid else len(member["kid"]) == 43
        elsewhere = JWTVerifier(public, algorithms=["ES256"], **TO)
        assert Guard(elsewhere).verify(token, now=NOW).key_id == member["kid"]


def test_a_secret_has_no_public_key() -> None:
    """The error for a secret says that only a private key has a public part."""
    with pytest.raises(ConfigurationError, match="key must be private to have a public part, got a secret"):
        _ = make().public_keys


@pytest.mark.parametrize("name", ["issuer", "audience", "algorithms", "token_types"])
def test_its_verifier_expects_what_it_issues(name: str) -> None:
    """An option that would remove a check of the verifier is refused."""
    tokens = TokenIssuer(SECRET, issuer=ISSUER, audience=AUDIENCE)
    with pytest.raises(ConfigurationError, match=f"{name} must be left out, because the TokenIssuer sets it"):
        tokens.verifier(**{name: None})


def test_other_tokens_of_the_same_key_are_none() -> None:
    """The verifier refuses another type of token by the same key."""
    guard = Guard(make().verifier())
    with pytest.raises(InvalidTokenError):
        guard.verify(issue_token(SECRET, now=NOW, iss=ISSUER, aud=AUDIENCE), now=NOW)


def test_a_clients_own_token() -> None:
    """The subject of a client's own token is marked, and is refused for another client."""
    tokens = make()
    text = tokens.issue("client:billing", client_id="billing")
    assert Guard(tokens.verifier()).verify(text, now=NOW).subject == "client:billing"
    with pytest.raises(ConfigurationError, match="must not begin with 'client:'"):
        tokens.issue("client:billing", client_id="other")


REGISTERED = ["iss", "aud", "sub", "exp", "nbf", "iat", "jti", "scope", "roles", "client_id", "azp", "sid"]


@pytest.mark.parametrize("name", REGISTERED)
def test_claims_cannot_overwrite_others(name: str) -> None:
    """A claim that has an argument of its own, or that the issuer sets, is refused."""
    with pytest.raises(
        ConfigurationError,
        match=f"claims must not contain a claim that has its own argument, got {name}: write",
    ):
        make().issue("ann", claims={name: "x"})


@pytest.mark.parametrize("name", ["token_use", "token_type", "typ", "type", "nonce", "events", "at_hash"])
def test_claims_of_other_kinds_of_tokens(name: str) -> None:
    """A claim that marks another kind of token is refused."""
    with pytest.raises(
        ConfigurationError,
        match=f"claims must not mark another kind of token, which a guard refuses, got {name}",
    ):
        make().issue("ann", claims={name: "refresh"})


@pytest.mark.slow
@given(
    st.dictionaries(
        st.text(min_size=1),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=8,
        ),
        max_size=4,
    ),
    st.text(min_size=1, max_size=20),
)
def test_what_is_issued_is_accepted(claims: dict[str, Any], subject: str) -> None:
    """A token with any claims and subject that the issuer accepts has the same ones in its principal."""
    tokens = make()
    try:
        text = tokens.issue(subject, claims=claims)
    except ConfigurationError:
        return
    principal = Guard(tokens.verifier()).verify(text, now=NOW)
    assert principal.subject == subject
    assert {name: principal.claims[name] for name in claims} == claims


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"subject": ""}, "subject must be text that is not empty"),
        ({"subject": None}, "subject must be text"),
        ({"subject": 5}, r"subject must be text, got 5 \(int\): write str\(user\.id\)"),
        ({"scopes": "read write"}, r"write scopes=\['read', 'write'\]"),
        ({"scopes": ["read write"]}, "scopes must be names"),
        ({"scopes": ["read,write"]}, r"write scopes=\['read', 'write'\]"),
        ({"roles": ["editor,admin"]}, r"write roles=\['editor', 'admin'\]"),
        ({"scopes": ['"']}, "scopes must be names"),
        ({"roles": "admin"}, r"write roles=\['admin'\]"),
        ({"roles": [5]}, "roles must be names"),
        ({"client_id": ""}, "client_id must be text"),
        ({"session": 5}, "session must be text"),
        ({"claims": [("a", 1)]}, "claims must be a mapping"),
        ({"claims": {5: 1}}, "each name of claims must be text"),
        ({"claims": {"a": {1}}}, "claims must be values of JSON"),
        ({"subject": "\ud800"}, "claims must be values of JSON"),
        ({"claims": {"a": float("nan")}}, "claims must be values of JSON"),
        ({"claims": {"a": "x" * 20_000}}, "claims must leave a token of at most 16384 characters"),
        ({"ttl": 0}, "ttl must be a whole number of seconds between 1 and 86400"),
        ({"ttl": "60"}, "ttl must be a whole number of seconds"),
        ({"ttl": timedelta(days=30)}, "ttl must be a whole number of seconds between 1 and 86400"),
    ],
)
def test_wrong_options_of_a_token(options: dict[str, Any], words: str) -> None:
    """Invalid options of a token are errors with advice."""
    with pytest.raises(ConfigurationError, match=words):
        make().issue(**{"subject": "ann", **options})


def _encrypted() -> bytes:
    encryption = serialization.BestAvailableEncryption(b"M4RKER")
    return ec_key().private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


WRONG_KEYS: dict[str, tuple[Any, str]] = {
    "short": ("M4RKER-sh0rt", "key must be at least 32 random bytes"),
    "guessable": ("M4RKER" * 10, "can be guessed"),
    "path": ("/run/secrets/M4RKER/of-the-app", "a path"),
    "name of a file": ("keys/M4RKER-ed25519-of-billing-eu-1.pem", "a path"),
    "name of a variable": ("SECRET_OF_THE_APPLICATION_X9", "a variable"),
    "public PEM": (lambda: pem(ec_key()), "must be private, got a public key"),
    "public JWK": (lambda: jwk(ec_key()), "must be private, got a public key"),
    "public object": (lambda: ec_key().public_key(), "must be private, got a public key"),
    "set": ({"keys": []}, "got a set of keys"),
    "encrypted": (_encrypted, "must not be encrypted"),
    "broken PEM": ("-----BEGIN PRIVATE KEY-----\nM4RKER\n-----END PRIVATE KEY-----", "without a readable"),
    "literal line breaks": (lambda: private_pem(ec_key()).replace("\n", "\\n"), "line breaks"),
    "no JSON": ('{"M4RKER', "must be JSON if it starts with a brace"),
    "bad kty": ({"kty": "nope", "d": "M4RKER"}, "kty of the key must be"),
    "bad point": ({"kty": "EC", "crv": "P-256", "d": "M4RKER", "x": "AA", "y": "AA"}, "without a readable"),
    "bad alg": (lambda: private_jwk(ec_key(), "ES256", alg="none"), "alg of the key must be among"),
    "for encryption": (lambda: private_jwk(ec_key(), "ES256", use="enc"), "must be for signatures"),
    "for verifying": (lambda: private_jwk(ec_key(), "ES256", key_ops=["verify"]), "must be for signing"),
    "no list": (lambda: private_jwk(ec_key(), "ES256", key_ops="sign"), "must be for signing"),
    "secret for encryption": ({"kty": "oct", "k": "M4RKER", "use": "enc"}, "must be for signatures"),
    "None": (None, "got NoneType: is the variable set that it is read from?"),
    "number": (5, "key must be a secret, PEM text"),
    "list": ([SECRET], "key must be a secret, PEM text"),
    "missing file": (Path("/nowhere/M4RKER-less"), "key must be in a readable file"),
    "small RSA": (lambda: rsa.generate_private_key(65537, 1024), "between 2048 and 16384 bits"),
    "another curve": (lambda: ec.generate_private_key(ec.SECP256K1()), "key must be RSA, EC or Ed25519"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_KEYS)
def test_wrong_keys(name: str) -> None:
    """An invalid key is refused, and the error does not contain it."""
    key, words = WRONG_KEYS[name]
    with pytest.raises(ConfigurationError, match=words) as raised:
        make(key() if callable(key) else key)
    assert "M4RKER" not in str(raised.value) or name == "missing file"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"algorithm": "ES256"}, "key must be a private key for ES256, got other text"),
        ({"algorithm": "HS512"}, "at least 64 random bytes for HS512"),
        ({"algorithm": "none"}, "algorithm must be among"),
        ({"algorithm": 5}, "algorithm must be text"),
        ({"issuer": None}, "issuer must be text"),
        ({"issuer": ""}, "issuer must be text"),
        ({"audience": None}, "audience must be a list"),
        ({"audience": []}, "audience must name at least one"),
        ({"ttl": 86_401}, "ttl must be"),
        ({"ttl": 1.5}, "ttl must be"),
        ({"ttl": True}, "ttl must be"),
        ({"key_id": ""}, "key_id must be text"),
        ({"clock": 5}, "clock must be a function"),
    ],
)
def test_wrong_options(options: dict[str, Any], words: str) -> None:
    """Invalid options of the issuer are errors."""
    with pytest.raises(ConfigurationError, match=words):
        make(**options)


def test_an_algorithm_for_another_key() -> None:
    """An RSA algorithm with an EC key is refused, and both names of EdDSA are accepted."""
    with pytest.raises(ConfigurationError, match="algorithms must name one"):
        make(ec_key(), algorithm="RS256")
    assert make(ed25519_key(), algorithm="Ed25519").algorithm == "EdDSA"


def test_it_does_not_show_its_key() -> None:
    """The representations of the issuer and its attributes do not contain the key."""
    tokens = make()
    assert SECRET not in repr(tokens) + repr(vars(tokens))
    assert repr(tokens) == f"TokenIssuer(issuer={ISSUER!r}, algorithm='HS256', ttl=900)"
