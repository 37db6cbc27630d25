"""Every option that takes a secret refuses what is none, when it is built."""

import hashlib
import json
from pathlib import Path

import pytest

from authguard import (
    APIKey,
    APIKeyVerifier,
    ClientAuth,
    ConfigurationError,
    DPoP,
    IntrospectionVerifier,
    JWTVerifier,
    RemoteKeySet,
)
from authguard.client import APIKeyAuth
from authguard.identity import Settings
from authguard.identity.social.github import GitHub
from support import (
    AUDIENCE,
    ISSUER,
    NOW,
    SECRET,
    Credential,
    ed25519_key,
    judge,
    jwk,
    make_token,
    pem,
    rsa_key,
)

PROVIDER = {"redirect_uris": ["https://a.example/callback"]}


def jwt(keys, *algorithms):
    return JWTVerifier(keys, algorithms=algorithms or ["HS256"], issuer=ISSUER, audience=AUDIENCE)


def settings(**options):
    return Settings(**{"secret": SECRET, "issuer": "https://auth.example", **options})


def signed_answers(keys):
    return IntrospectionVerifier(
        "https://issuer.example/introspect",
        client_id="api",
        client_secret="s3cret",
        issuer=ISSUER,
        answer_keys=keys,
    )


OPTIONS = {
    "JWTVerifier": jwt,
    "JWTVerifier, bytes": lambda text: jwt(text.encode()),
    "JWTVerifier, a list": lambda text: jwt([text]),
    "JWTVerifier, public keys": lambda text: jwt(text, "RS256"),
    "answer_keys": signed_answers,
    "ClientAuth.basic": lambda text: ClientAuth.basic("api", text),
    "ClientAuth.post": lambda text: ClientAuth.post("api", text),
    "ClientAuth.bearer": ClientAuth.bearer,
    "ClientAuth.private_key_jwt": lambda text: ClientAuth.private_key_jwt("api", text, algorithm="ES256"),
    "client_secret": lambda text: IntrospectionVerifier(
        "https://issuer.example/introspect", client_id="api", client_secret=text
    ),
    "an API key": lambda text: APIKeyVerifier({text: APIKey("robot")}),
    "nonce_secret": lambda text: DPoP("https://a.example", nonce_secret=text.ljust(32, "/")),
    "secret": lambda text: settings(secret=text),
    "previous_secret": lambda text: settings(previous_secret=text),
    "AUTHGUARD_SECRET": lambda text: Settings.from_env(
        {"AUTHGUARD_SECRET": text, "AUTHGUARD_ISSUER": "https://auth.example"}
    ),
    "github_client_secret": lambda text: settings(github_client_secret=text),
    "linkedin_client_secret": lambda text: settings(linkedin_client_secret=text),
    "oidc_client_secret": lambda text: settings(oidc_client_secret=text),
    "a provider": lambda text: GitHub("id", text, **PROVIDER),
    "APIKeyAuth": lambda text: APIKeyAuth("https://a.example", text),
}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize(
    "text",
    ["/run/secrets/jwt-of-x9x9", "./secrets/jwt-of-x9x9", "https://x9x9.example/jwks", "${JWT_SECRET_X9X9}"],
)
def test_a_place_is_refused_by_every_option(option, text):
    """With an error that says what to write, and never shows the text."""
    with pytest.raises(ConfigurationError) as raised:
        OPTIONS[option](text)
    assert "x9x9" not in str(raised.value).lower()


@pytest.mark.parametrize("option", [name for name in OPTIONS if name not in ("nonce_secret", "APIKeyAuth")])
def test_the_name_of_a_file_is_refused(option, tmp_path, monkeypatch):
    """On a relative path, too, if there is such a file. The core, which does no I/O, cannot look."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "the-secret-file-of-the-application").write_text(SECRET)
    with pytest.raises(ConfigurationError, match="the name of a file|private_key must be"):
        OPTIONS[option]("the-secret-file-of-the-application")


def test_a_secret_in_base64_may_begin_with_a_slash():
    """As each 64th does."""
    secret = "/3J9vQ2xL7mZ4pR8tW1yB6nC5sD0fGhAqUeIoXzTk+8="
    token = make_token(key=secret)
    assert judge(jwt(secret), Credential(token, "bearer"), NOW).principal.subject == "ann"


@pytest.mark.parametrize("secret", ["secret" * 10, b"secret" * 10, "a" * 64, b"a" * 64, bytes(64)], ids=repr)
@pytest.mark.parametrize("option", ["keys", "secret", "previous_secret", "nonce_secret"])
def test_a_weak_secret_is_refused_by_every_option_that_needs_a_strong_one(option, secret):
    """In text and in bytes, where they are taken."""
    makers = {
        "keys": jwt,
        "secret": lambda text: settings(secret=text),
        "previous_secret": lambda text: settings(previous_secret=text),
        "nonce_secret": lambda text: DPoP("https://a.example", nonce_secret=text),
    }
    with pytest.raises(ConfigurationError, match="can be guessed|must be text"):
        makers[option](secret)


def test_a_weak_secret_of_a_provider_is_left_alone():
    """It was issued by another party."""
    assert ClientAuth.post("api", "secret").client_id == "api"
    assert settings(github_client_id="id", github_client_secret="s").github_client_secret == "s"


PUBLIC = pem(rsa_key())


@pytest.mark.parametrize(
    ("keys", "algorithm", "says"),
    [
        ("/run/secrets/jwt", "HS256", r'Path\("/run/secrets/jwt"\) reads a file'),
        ("/etc/keys/issuer", "RS256", "reads a file"),
        ("https://issuer.example/.well-known/jwks.json", "RS256", "RemoteKeySet"),
        ("https://issuer.example/.well-known/jwks.json", "HS256", "RemoteKeySet"),
        ("https://issuer.example", "ES256", "JWTVerifier.from_issuer"),
        ("HTTPS://issuer.example/keys.pem", "ES256", "from_issuer"),
        ("~/.ssh/id_rsa.pub", "RS256", "expanduser"),
        ("file:///run/secrets/jwt.pem", "RS256", "reads a file"),
        ("${KEYS}/issuer.pem", "RS256", "placeholder"),
        ("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ me", "RS256", "ssh-keygen -e -m pkcs8"),
        (PUBLIC.replace("\n", "\\n"), "RS256", "two characters in their place"),
        ("-----BEGIN RSA PRIVATE KEY-----\nx\n-----END RSA PRIVATE KEY-----", "RS256", "private key"),
        (jwk(rsa_key(), d="AQAB"), "RS256", "private key"),
        (["..."], "HS256", "3 bytes"),
        ([], "HS256", "between 1 and 100 keys"),
        (None, "HS256", "got None: is the variable set"),
        ([None], "HS256", "got None"),
        (b"", "HS256", "empty"),
        ("", "RS256", "empty"),
        (" \n", "HS256", "empty"),
        (123, "HS256", "got int"),
        (bytearray(40), "HS256", "got bytearray"),
        (rsa_key(), "RS256", "got .*RSAPrivateKey"),
        ("{{ secret }}", "HS256", "placeholder"),
        ("\udcff" * 40, "HS256", "Unicode, or bytes"),
        (b"\xff\xfe" * 40, "RS256", "must be PEM or JSON"),
        ("JWT_SECRET", "HS256", r'os.environ\["JWT_SECRET"\]'),
        (pem(ed25519_key()), "ES256", "must name one for an Ed25519 key, got none"),
        (PUBLIC, "EdDSA", "must name one for an RSA key, got none"),
        ("keys\0.pem", "RS256", "must be in a readable file"),
        ("k" * 5000 + ".pem", "RS256", "must be in a readable file"),
    ],
    ids=lambda part: ascii(part)[:40] if isinstance(part, str | bytes) else type(part).__name__,
)
def test_what_is_no_key_is_named(keys, algorithm, says):
    """Each mistake has an error of its own, with the spelling that works."""
    with pytest.raises(ConfigurationError, match=says):
        jwt(keys, algorithm)


@pytest.mark.parametrize("beginning", [b"{", b" {", b"/", b"./", b"~/", b"$", b"\xff"], ids=repr)
def test_random_bytes_may_begin_with_anything(beginning):
    """As JSON or a path does."""
    secret = beginning + hashlib.sha256(b"a seed").digest()
    token = make_token(key=secret)
    assert judge(jwt(secret), Credential(token, "bearer"), NOW).principal.subject == "ann"


def test_an_open_file_is_no_list_of_keys(tmp_path):
    """It would be read line by line."""
    path = tmp_path / "keys"
    path.write_text(PUBLIC)
    with path.open() as opened, pytest.raises(ConfigurationError, match="an open file: give its path"):
        jwt(opened, "RS256")


@pytest.mark.parametrize(("name", "error"), [("", "IsADirectoryError"), ("missing", "FileNotFoundError")])
def test_a_path_that_cannot_be_read_is_named(tmp_path, name, error):
    """A directory, and a file that is not there."""
    with pytest.raises(ConfigurationError, match=rf"a readable file, got '{tmp_path / name}': {error}\Z"):
        jwt(tmp_path / name)


def test_a_path_reads_the_secret(tmp_path):
    """The cure that the error names."""
    path = tmp_path / "jwt"
    path.write_text(SECRET + "\n")
    assert judge(jwt(Path(path)), Credential(make_token(), "bearer"), NOW).principal.subject == "ann"


@pytest.mark.parametrize("as_text", [True, False])
def test_the_keys_of_signed_answers_may_be_in_a_file(tmp_path, as_text):
    """As those of JWTVerifier."""
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [jwk(rsa_key(), kid="a")]}))
    assert signed_answers(str(path) if as_text else path)
    assert signed_answers(RemoteKeySet("https://issuer.example/jwks"))
