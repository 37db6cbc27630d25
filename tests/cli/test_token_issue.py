"""`token issue` with a key, and `keys generate`: a guard accepts their tokens and keys."""

import json
import time

import pytest
from cryptography.hazmat.primitives import serialization

from authguard import Credential, JWTVerifier
from authguard._core.policy.rules import Requirement
from authguard.errors import ExpiredTokenError
from cli.support import AUDIENCE, ISSUER, SECRET, invoke, run
from support import ec_key, ed25519_key, judge, jwk, pem, rsa_key

ALGORITHMS = ("RS256", "ES256", "EdDSA")


def private_pem(key):
    """Return a private key as PEM text."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def write(path, text):
    """Write a file; return its path as text."""
    path.write_text(text)
    return str(path)


def verified(token, keys, now, algorithm="ES256", **options):
    """Return the principal that a verifier finds."""
    options = {"issuer": ISSUER, "audience": AUDIENCE} | options
    verifier = JWTVerifier(keys, algorithms=[algorithm], **options)
    return judge(verifier, Credential(token, "bearer"), now).principal


@pytest.mark.slow
@pytest.mark.parametrize("form", ["pem", "jwk"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_made_key_signs_what_its_public_set_verifies(tmp_path, algorithm, form):
    """A generated key signs tokens that its public set verifies, in both forms of each algorithm."""
    path = str(tmp_path / "key")
    made = invoke("keys", "generate", "--algorithm", algorithm, "--form", form, "-o", path)
    options = ("--algorithm", algorithm, "--issuer", ISSUER, "--audience", AUDIENCE)
    issued = invoke("token", "issue", "--key", path, *options)
    assert (
        verified(issued.stdout.strip(), json.loads(made.stdout), time.time(), algorithm).subject == "somebody"
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_private_jwk_has_the_kid_of_the_set(tmp_path, algorithm):
    """A private JWK has the `kid` and `alg` of the public set, which has no private member."""
    path = tmp_path / "key.json"
    made = invoke("keys", "generate", "--algorithm", algorithm, "--form", "jwk", "-o", str(path))
    (public,), private = json.loads(made.stdout)["keys"], json.loads(path.read_text())
    assert (private["kid"], private["alg"]) == (public["kid"], algorithm)
    assert "d" in private and not {"d", "p", "q", "dp", "dq", "qi", "oth"} & set(public)
    token = invoke("token", "issue", "--key", str(path)).stdout.strip()
    assert (
        verified(token, {"keys": [public]}, time.time(), algorithm, issuer=None, audience=None).key_id
        == public["kid"]
    )


@pytest.mark.parametrize("form", ["pem", "jwk"])
def test_secret_signs_and_verifies(tmp_path, form):
    """HS256 generates a secret, as text or as a JWK, and writes none of it to standard output."""
    path = tmp_path / "secret"
    made = invoke("keys", "generate", "--algorithm", "HS256", "--form", form, "-o", str(path))
    token = invoke("token", "issue", "--key", str(path)).stdout.strip()
    assert (made.exit_code, made.stdout) == (0, "")
    keys = path.read_text().rstrip("\n")
    assert verified(token, keys, time.time(), "HS256", issuer=None, audience=None).subject == "somebody"


def test_claims_are_those_of_the_options(tmp_path):
    """The options set subject, scopes, roles, issuer, audiences and `kid`."""
    key = write(tmp_path / "key.pem", private_pem(ec_key()))
    names = ("--subject", "ann", "--scope", "read", "--scope", "write", "--role", "admin", "--kid", "k1")
    options = (*names, "--issuer", ISSUER, "--audience", "other", "--audience", AUDIENCE)
    token = invoke("token", "issue", "--key", key, *options)
    principal = verified(token.stdout.strip(), pem(ec_key()), time.time())
    assert (principal.subject, principal.scopes, principal.roles) == ("ann", {"read", "write"}, {"admin"})
    assert principal.claims["aud"] == ["other", AUDIENCE] and principal.token_id


def test_token_can_be_expired_already(tmp_path):
    """A negative `--expires-in` issues an expired token."""
    key = write(tmp_path / "key.pem", private_pem(ec_key()))
    token = invoke("token", "issue", "--key", key, "--expires-in", "-3600").stdout.strip()
    with pytest.raises(ExpiredTokenError):
        verified(token, pem(ec_key()), time.time(), issuer=None, audience=None)


def test_the_time_of_the_sign_in_is_given(tmp_path):
    """`--auth-time` sets the claim for rules with `max_age`, and is absent by default."""
    key = write(tmp_path / "key.pem", private_pem(ec_key()))
    recent = Requirement(max_age=60)
    for options, is_recent in ((("--auth-time", str(int(time.time()))), True), (("--auth-time", "5"), False)):
        token = invoke("token", "issue", "--key", key, *options).stdout.strip()
        principal = verified(token, pem(ec_key()), time.time(), issuer=None, audience=None)
        assert recent.is_met_by(principal, time.time()) is is_recent
    token = invoke("token", "issue", "--key", key).stdout.strip()
    assert "auth_time" not in verified(token, pem(ec_key()), time.time(), issuer=None, audience=None).claims


def test_json_has_no_refresh_token():
    """The JSON of a token that was signed with a key has no refresh token."""
    done = invoke("token", "issue", "--secret-env", "THE_SECRET", "--json", THE_SECRET=SECRET)
    document = json.loads(done.stdout)
    assert set(document) == {"access_token", "token_type", "expires_in"}
    assert document["expires_in"] == 300


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        ("/run/secrets/x9x9-of-the-application", "a path"),
        ("https://x9x9.example/.well-known/jwks.json", "a URL"),
        ("SECRET_OF_THE_APPLICATION_X9", "a variable"),
        ("secret" * 10, "can be guessed"),
    ],
)
@pytest.mark.parametrize("command", ["issue", "inspect"])
def test_what_is_no_secret_is_refused(command, secret, says):
    """A path, a URL, a name or a weak text as the secret is refused, and not shown."""
    done = invoke("token", command, "--secret-env", "THE_SECRET", given="a.b.c", THE_SECRET=secret)
    assert done.exit_code != 0
    assert says in done.stderr
    assert secret not in done.output + done.stderr


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(rsa_key(), "RS256"), (ec_key(), "ES256"), (ec_key("P-384"), "ES384"), (ed25519_key(), "EdDSA")],
    ids=["RSA", "P-256", "P-384", "Ed25519"],
)
def test_algorithm_is_what_the_key_is_for(tmp_path, key, algorithm):
    """Without `--algorithm` a PEM key signs with its own algorithm."""
    token = invoke("token", "issue", "--key", write(tmp_path / "key.pem", private_pem(key))).stdout.strip()
    assert verified(token, pem(key), time.time(), algorithm, issuer=None, audience=None).subject == "somebody"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "one of --user, --key and --secret-env"),
        (("--user", "ann@example.com", "--secret-env", "A"), "one of --user"),
        (("--user", "ann@example.com", "--scope", "read"), "--key or --secret-env"),
        (("--user", "ann@example.com", "--expires-in", "0"), "--key or --secret-env"),
        (("--user", "ann@example.com", "--auth-time", "0"), "--key or --secret-env"),
        (("--secret-env", "A", "--database", "sqlite:///a.db"), "use them with --user"),
        (("--secret-env", "NOT_SET"), "NOT_SET is not set"),
        (("--secret-env", SECRET), "--secret-env must be the name of a variable"),
        (("--secret-env", "SHORT"), "at least 32 random bytes"),
        (("--secret-env", "A", "--algorithm", "ES256"), "algorithms must name one for an HMAC secret"),
    ],
)
def test_what_cannot_be_meant_is_one_line(options, words):
    """Contradicting options, or an unusable secret, end the command with 2 and one line."""
    done = invoke("token", "issue", *options, A=SECRET, SHORT="sh0rt-Marker")
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert words in done.stderr
    assert SECRET not in done.stderr and "sh0rt-Marker" not in done.stderr


@pytest.mark.parametrize("option", ["--scope", "--role"])
@pytest.mark.parametrize("text", ["read,write", "read;write"])
def test_several_names_in_one_argument_are_refused(option, text):
    """Several scopes or roles in one argument end the command with 2 and the spelling that works."""
    done = invoke("token", "issue", "--secret-env", "A", option, text, A=SECRET)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"got {text}: write {option} read {option} write\n" in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (pem(ec_key()), "public key"),
        (json.dumps(jwk(ec_key())), "public key"),
        (json.dumps({"keys": []}), "set of keys"),
        ("{ not json", "invalid JSON"),
        (
            '{"kty": "EC", "crv": "P-256", "d": "M4RKER", "x": "AA", "y": "AA"}',
            "without a readable private key",
        ),
        (json.dumps({"kty": "nope", "d": "M4RKER"}), "kty"),
        ("-----BEGIN PRIVATE KEY-----\nM4RKER\n-----END PRIVATE KEY-----", "without a readable private key"),
        (
            ec_key()
            .private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"M4RKER"),
            )
            .decode(),
            "encrypted",
        ),
    ],
    ids=["public PEM", "public JWK", "set", "no JSON", "bad point", "bad kty", "bad PEM", "encrypted"],
)
def test_key_that_cannot_sign_is_one_line(tmp_path, text, words):
    """A file without a private key ends the command with 2, and nothing of it is shown."""
    done = invoke("token", "issue", "--key", write(tmp_path / "key", text))
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert words in done.stderr
    assert "M4RKER" not in done.stderr


def test_key_and_algorithm_have_to_fit(tmp_path):
    """An RSA algorithm with an EC key is refused."""
    key = write(tmp_path / "key.pem", private_pem(ec_key()))
    done = invoke("token", "issue", "--key", key, "--algorithm", "RS256")
    assert (done.exit_code, done.stdout) == (2, "")


@pytest.mark.slow
def test_token_can_be_piped_into_inspect(tmp_path):
    """A token of `issue` with a generated key is accepted by `inspect` with the public set."""
    key, public = tmp_path / "key.json", tmp_path / "public.json"
    public.write_text(run("keys", "generate", "--form", "jwk", "-o", str(key)).stdout)
    issued = run("token", "issue", "--key", str(key), "--issuer", ISSUER, "--audience", AUDIENCE)
    options = ("--key", str(public), "--issuer", ISSUER, "--audience", AUDIENCE)
    seen = run("token", "inspect", *options, given=issued.stdout)
    assert (seen.returncode, seen.stdout.splitlines()[0], seen.stderr) == (0, "accepted", "")
