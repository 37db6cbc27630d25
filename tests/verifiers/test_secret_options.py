"""Options for a secret, each of which refuses a value that is not a secret."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from authguard import (
    APIKey,
    APIKeyVerifier,
    ClientAuth,
    ConfigurationError,
    DPoP,
    IntrospectionVerifier,
    JWTVerifier,
    RemoteKeySet,
    TokenIssuer,
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
    ec_key,
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


def token_issuer(text):
    return TokenIssuer(text, algorithm="HS256", issuer=ISSUER, audience=AUDIENCE)


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
    "TokenIssuer": token_issuer,
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


#: The names of options in the errors, if they differ from those above.
NAMES = {
    **dict.fromkeys([name for name in OPTIONS if name.startswith("JWTVerifier")], "keys"),
    "TokenIssuer": "key",
    "answer_keys": "answer_keys: keys",
    "ClientAuth.basic": "client_secret",
    "ClientAuth.post": "client_secret",
    "ClientAuth.bearer": "token",
    "ClientAuth.private_key_jwt": "private_key",
    "an API key": "each of keys",
    "a provider": "github: client_secret",
    "APIKeyAuth": "key",
}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize(
    "text",
    [
        "/run/secrets/jwt-of-x9x9",
        "./secrets/jwt-of-x9x9",
        "https://x9x9.example/jwks",
        "${JWT_SECRET_X9X9}",
        "projects/my-proj/secrets/jwt/versions/latest",
        "kv/data/payments-api/production/jwt",
        "secret/data/shop/backend/jwt-hs256-v2",
        "AWSCURRENT:prod/payments-api/jwt-hs256",
    ],
)
def test_a_place_is_refused_by_every_option(option, text):
    """A path, a URL or a placeholder is an error that names the option, without the value."""
    with pytest.raises(ConfigurationError) as raised:
        OPTIONS[option](text)
    assert str(raised.value).partition(" must be ")[0] == NAMES.get(option, option)
    assert "x9x9" not in str(raised.value).lower()


@pytest.mark.parametrize("option", [name for name in OPTIONS if name not in ("nonce_secret", "APIKeyAuth")])
def test_the_name_of_a_file_is_refused(option, tmp_path, monkeypatch):
    """The name of an existing file is refused, except by options of the core, which does no I/O."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "the-secret-file-of-the-application").write_text(SECRET)
    with pytest.raises(ConfigurationError, match="the name of a file|private_key must be"):
        OPTIONS[option]("the-secret-file-of-the-application")


WRAPPED = {
    "double quotes": (f'"{SECRET}"', "in quotes: leave them out"),
    "single quotes": (f"'{SECRET}'", "in quotes"),
    "a line break": (
        f"{SECRET}\n",
        r"a line break: (?:write \.strip\(\) behind it|remove it, also a carriage return)",
    ),
    "a space": (f" {SECRET}", "begins or ends with a space"),
    "a byte order mark": (
        f"\ufeff{SECRET}",
        "begins with a byte order mark: save the file as UTF-8 without it",
    ),
    "a variable": (f"JWT_SECRET={SECRET}", "begins with the name of a variable: leave out the name and `=`"),
    "an exported variable": (f"export JWT_SECRET={SECRET}", "begins with the name of a variable"),
    "a line of a file": (f"secret = {SECRET}", "begins with the name of a variable"),
    "a comment": (
        f"{SECRET} # of 2026",
        "with white space and `#`, as before a comment: leave the comment out",
    ),
    "a second line": (f"{SECRET}\n# of 2026", "with several lines: leave out all but the secret"),
}
# Text for these options must be printable, or visible, so that another error is first.
VISIBLE = {
    "an API key",
    "APIKeyAuth",
    "ClientAuth.basic",
    "ClientAuth.post",
    "ClientAuth.bearer",
    "client_secret",
}
OTHER_ERRORS = {"JWTVerifier, public keys", "answer_keys", "ClientAuth.private_key_jwt", "nonce_secret"}


@pytest.mark.parametrize("option", [name for name in OPTIONS if name not in OTHER_ERRORS])
@pytest.mark.parametrize("wrapped", WRAPPED)
def test_a_secret_with_something_around_it_is_refused(option, wrapped):
    """The error names the option and the remedy, and never shows the secret."""
    text, remedy = WRAPPED[wrapped]
    if option == "previous_secret":
        assert OPTIONS[option](text).previous_secret == text
        return
    with pytest.raises(ConfigurationError) as raised:
        OPTIONS[option](text)
    if option not in VISIBLE:
        assert re.search(remedy, str(raised.value))
    assert str(raised.value).partition(" must be ")[0] == NAMES.get(option, option)
    assert SECRET not in str(raised.value)


def test_a_nonce_secret_in_quotes_is_refused():
    """Another process that reads the variable without the quotes would refuse its nonces."""
    with pytest.raises(ConfigurationError, match="nonce_secret must be the secret alone, got text in quotes"):
        DPoP("https://a.example", nonce_secret=f'"{SECRET}"')


def test_a_file_with_a_secret_in_quotes_is_refused(tmp_path):
    """A file is checked as text is."""
    path = tmp_path / "jwt"
    path.write_text(f'"{SECRET}"\n')
    with pytest.raises(ConfigurationError, match="in quotes"):
        jwt(path)


@pytest.mark.parametrize("secret", [f'"{SECRET}"', f"{SECRET} # of 2026"])
def test_a_secret_that_has_quotes_or_a_comment_can_be_a_jwk(secret):
    """A JWK is the exact form for a secret of another program that has quotes or a comment."""
    key = {"kty": "oct", "k": base64.urlsafe_b64encode(secret.encode()).decode().rstrip("=")}
    assert judge(jwt(key), Credential(make_token(key=secret), "bearer"), NOW).principal.subject == "ann"


def test_the_example_of_the_settings_is_no_secret():
    """An operator who uncomments the line has a secret that is published."""
    example = re.search('^#secret = "(.*)"$', Path("examples/authguard.toml").read_text(), re.MULTILINE)
    with pytest.raises(ConfigurationError, match="words of a manual"):
        settings(secret=example[1])


def test_a_secret_in_base64_may_begin_with_a_slash():
    """A base64 secret that begins with a slash, as each 64th does, is accepted."""
    secret = "/3J9vQ2xL7mZ4pR8tW1yB6nC5sD0fGhAqUeIoXzTk+8="
    token = make_token(key=secret)
    assert judge(jwt(secret), Credential(token, "bearer"), NOW).principal.subject == "ann"


@pytest.mark.parametrize("secret", ["secret" * 10, b"secret" * 10, "a" * 64, b"a" * 64, bytes(64)], ids=repr)
@pytest.mark.parametrize("option", ["keys", "secret", "previous_secret", "nonce_secret"])
def test_a_weak_secret_is_refused_by_every_option_that_needs_a_strong_one(option, secret):
    """A secret that can be guessed is refused, as text and as bytes."""
    makers = {
        "keys": jwt,
        "secret": lambda text: settings(secret=text),
        "previous_secret": lambda text: settings(previous_secret=text),
        "nonce_secret": lambda text: DPoP("https://a.example", nonce_secret=text),
    }
    with pytest.raises(ConfigurationError, match="can be guessed|must be text"):
        makers[option](secret)


def test_a_weak_secret_of_a_provider_is_left_alone():
    """A weak secret for a client is accepted, since the provider has issued it."""
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
        (pem(ed25519_key()), "ES256", "must name one for an Ed25519 key, got ES256: write"),
        (PUBLIC, "EdDSA", "must name one for an RSA key, got EdDSA: write"),
        ("keys\0.pem", "RS256", "must be in a readable file"),
        ("k" * 5000 + ".pem", "RS256", "must be in a readable file"),
    ],
    ids=lambda part: ascii(part)[:40] if isinstance(part, str | bytes) else type(part).__name__,
)
def test_what_is_no_key_is_named(keys, algorithm, says):
    """Each mistake has an error of its own with advice."""
    with pytest.raises(ConfigurationError, match=says):
        jwt(keys, algorithm)


@pytest.mark.parametrize("beginning", [b"{", b" {", b"/", b"./", b"~/", b"$", b"\xff"], ids=repr)
def test_random_bytes_may_begin_with_anything(beginning):
    """Random bytes that begin like JSON or a path are a secret."""
    secret = beginning + hashlib.sha256(b"a seed").digest()
    token = make_token(key=secret)
    assert judge(jwt(secret), Credential(token, "bearer"), NOW).principal.subject == "ann"


def test_an_open_file_is_no_list_of_keys(tmp_path):
    """An open file is refused, since it would be read as a list of lines."""
    path = tmp_path / "keys"
    path.write_text(PUBLIC)
    with path.open() as opened, pytest.raises(ConfigurationError, match="an open file: give its path"):
        jwt(opened, "RS256")


@pytest.mark.parametrize(("name", "error"), [("", "IsADirectoryError"), ("missing", "FileNotFoundError")])
def test_a_path_that_cannot_be_read_is_named(tmp_path, name, error):
    """The error for a directory or a missing file has the path and the kind of the error."""
    with pytest.raises(ConfigurationError, match=rf"a readable file, got '{tmp_path / name}': {error}\Z"):
        jwt(tmp_path / name)


def test_a_path_reads_the_secret(tmp_path):
    """A secret is read from a path, as the error advises."""
    path = tmp_path / "jwt"
    path.write_text(SECRET + "\n")
    assert judge(jwt(Path(path)), Credential(make_token(), "bearer"), NOW).principal.subject == "ann"


@pytest.mark.parametrize("as_text", [True, False])
def test_the_keys_of_signed_answers_may_be_in_a_file(tmp_path, as_text):
    """The keys of signed answers may be a path, text of one, or a remote key set."""
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [jwk(rsa_key(), kid="a")]}))
    assert signed_answers(str(path) if as_text else path)
    assert signed_answers(RemoteKeySet("https://issuer.example/jwks"))


def _spki(key):
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


HEX_FORMS = {
    "hex": bytes.hex,
    "upper case": lambda data: data.hex().upper(),
    "colons": lambda data: data.hex(":"),
    "lines": lambda data: "\n".join(re.findall(".{1,64}", data.hex())),
    "0x": lambda data: f"0x{data.hex()}",
}


@pytest.mark.parametrize("form", HEX_FORMS)
@pytest.mark.parametrize("key", [rsa_key(), ec_key(), ed25519_key()], ids=["rsa", "ec", "ed25519"])
@pytest.mark.parametrize("make", [jwt, lambda text: settings(secret=text), token_issuer])
def test_a_public_key_in_hexadecimal_is_no_secret(make, key, form):
    """Tokens that are signed with the text of a public key could be forged."""
    with pytest.raises(ConfigurationError, match="public key|the secret alone"):
        make(HEX_FORMS[form](_spki(key)))


@pytest.mark.parametrize(
    "beginning", ["3059", "3082", "302a", "30820122300d06092a864886f70d01010105000382010f00"]
)
def test_a_secret_in_hexadecimal_may_begin_like_a_key(beginning):
    """Random digits that begin like a public key are a secret."""
    jwt(beginning + hashlib.sha512(beginning.encode()).hexdigest())
