"""Which text is a secret, and which is a place, a placeholder, or can be guessed."""

import random
from base64 import b64encode, urlsafe_b64encode

import pytest

from authguard import ConfigurationError
from authguard._core.jose.secret import _SEQUENCES, check_not_place, place_of, readable, weakness_of
from sizes import size

KINDS = {
    "hexadecimal": lambda source: source.randbytes(32).hex(),
    "short hexadecimal": lambda source: source.randbytes(16).hex(),
    "base64": lambda source: b64encode(source.randbytes(source.randint(32, 64))).decode(),
    "base64url": lambda source: (
        urlsafe_b64encode(source.randbytes(source.randint(32, 64))).rstrip(b"=").decode()
    ),
    "bytes": lambda source: source.randbytes(32),
    "digits": lambda source: "".join(source.choices("0123456789", k=40)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_random_secret_is_taken_for_a_place(kind):
    """Of a hundred thousand of each kind, or ten thousand in a sample; some in base64 begin with a slash."""
    source = random.Random(7519)
    for _ in range(size(10_000, 100_000)):
        text = readable(KINDS[kind](source))
        assert text is None or place_of(text, chosen_here=True) is None, text


@pytest.mark.parametrize("kind", KINDS)
def test_no_random_secret_is_taken_for_a_weak_one(kind):
    """Of ten thousand of each kind, or two thousand in a sample."""
    source = random.Random(7518)
    for _ in range(size(2_000, 10_000)):
        secret = KINDS[kind](source)
        assert weakness_of(secret.encode() if isinstance(secret, str) else secret) is None, secret


def test_no_random_secret_in_base64_is_taken_for_a_path():
    """A hundred thousand that begin with a slash, with and without padding; a fifth of them in a sample."""
    source = random.Random(4648)
    for _ in range(size(10_000, 50_000)):
        data = b"\xff" + source.randbytes(source.randint(31, 63))
        text = "/" + b64encode(data).decode()[1:]
        assert place_of(text, chosen_here=True) is None, text
        assert place_of(text.rstrip("="), chosen_here=False) is None, text


def test_a_secret_in_base64_may_have_several_lines():
    """As openssl writes a long one."""
    text = "/" + "A1b2C3d4" * 7 + "\nx9Y8" * 4 + "=="
    assert place_of(text, chosen_here=True) is None


PATHS = [
    "/run/secrets/jwt",
    "/run/secrets/authguard/JWTSigningKeyOfTheProductionService0",
    "/etc/app/jwt.key",
    "/secret",
    "/Library/Application Support/app/secret of the application, which is long",
    "./secret",
    "../secrets/jwt",
    "~/.ssh/id_rsa.pub",
    "~\\secrets\\jwt",
    ".\\secret",
    "..\\secret",
    "C:\\secrets\\jwt",
    "c:/secrets/jwt",
    "\\\\server\\share\\jwt",
    "file:///run/secrets/jwt",
    "file:/run/secrets/jwt",
    "FILE:///run/secrets/jwt",
    "@/run/secrets/jwt",
    "@./secret",
    " /run/secrets/jwt\n",
    '"/run/secrets/jwt"',
    "/run/secrets/production/authguard/jwt/signing/key",
]
URLS = [
    "https://issuer.example/.well-known/jwks.json",
    "http://127.0.0.1:8000",
    "HTTPS://issuer.example",
    "redis://localhost:6379/0",
    "vault://secret/data/jwt",
    "op://vault/item/field",
    "aws+ssm://jwt",
]
PLACEHOLDERS = [
    "$JWT_SECRET",
    "$SECRET",
    "$jwt_secret",
    "${JWT_SECRET}",
    "${JWT_SECRET:-default}",
    "prefix-${JWT_SECRET}",
    "$(cat /run/secrets/jwt)",
    "$env:JWT_SECRET",
    "%JWT_SECRET%",
    "{{ secret }}",
    "{{secret}}",
    "{{ .Values.jwtSecret }}",
    '{{ env "JWT_SECRET" }}',
    "${{ secrets.JWT_SECRET }}",
    "<secret>",
    "<your secret here>",
    "{secret}",
    "$HOME/secrets/jwt",
    "%APPDATA%\\secrets\\jwt",
    "@Microsoft.KeyVault(SecretUri=https://x.vault.azure.net/secrets/jwt/)",
    "{cipher}AQA6ztSlZCEcWnjh",
    "ENC[AES256_GCM,data:Tr7o=,iv:1=,tag:k=,type:str]",
    "ENC(G6N718UuyPE5bHyWKyuLQSm02auQPUtm)",
    "$ANSIBLE_VAULT;1.1;AES256",
    "!vault jwt",
    "<%= ENV['JWT_SECRET'] %>",
    "env:JWT_SECRET",
    "env.JWT_SECRET",
    "azure-keyvault:jwt-secret",
    "env(JWT_SECRET)",
    "arn:aws:secretsmanager:eu-central-1:123456789012:secret:jwt",
    'os.environ["JWT_SECRET"]',
    "os.getenv('JWT_SECRET')",
    "process.env.JWT_SECRET",
    "JWT_SECRET",
    "AUTHGUARD_OAUTH2_CLIENT_SECRET",
    "MY_APPLICATION_JWT_SIGNING_SECRET_KEY",
]


@pytest.mark.parametrize("text", PATHS, ids=ascii)
def test_a_path_is_no_secret(text):
    """Of whatever system, quoted or not; also as a file URL."""
    assert place_of(text, chosen_here=True) == "path"


@pytest.mark.parametrize("text", URLS)
def test_a_url_is_no_secret(text):
    """Of whatever scheme."""
    assert place_of(text, chosen_here=True) == "URL"


@pytest.mark.parametrize("text", PLACEHOLDERS)
def test_a_placeholder_is_no_secret(text):
    """A template that was not filled in, and the name of a variable."""
    assert place_of(text, chosen_here=True) == "placeholder"


SECRETS = [
    "s",
    "s3cret",
    "S3CR3T",
    "/pW9+x/Q0",
    "AB12C_9XK2P_7Q",
    "a/b",
    "$2b$12$R9h",
    "p:x",
    "x~/y",
    "secret",
]


@pytest.mark.parametrize("text", SECRETS)
def test_a_short_secret_of_another_party_is_left_alone(text):
    """It may be short, and begin with a slash: it was not chosen here."""
    assert place_of(text, chosen_here=False) is None


@pytest.mark.parametrize("text", [*PATHS[:4], *PATHS[5:], *URLS, *PLACEHOLDERS], ids=ascii)
def test_a_place_is_no_secret_of_another_party_either(text):
    """The provider has not issued that."""
    assert place_of(text, chosen_here=False) is not None


def test_the_error_names_the_option_and_the_way_and_not_the_text():
    """In text and in bytes."""
    for secret in ("/run/secrets/x9x9", b"/run/secrets/x9x9"):
        with pytest.raises(ConfigurationError, match=r"^the_option must be .* Path\(") as raised:
            check_not_place(secret, "the_option")
        assert "x9x9" not in str(raised.value)


@pytest.mark.parametrize("secret", [b"\xff/run", b"/run\0x" + bytes(30), 5, None], ids=repr)
def test_what_cannot_be_typed_is_no_path(secret):
    """A random byte may be a slash; what is neither text nor bytes is refused elsewhere."""
    assert readable(secret) is None
    check_not_place(secret, "secret")


WEAK = [
    "secret" * 10,
    "a" * 64,
    "ab" * 32,
    "abc123" * 6,
    "secretsecretsecretsecretsecretsec",
    "supersecretsupersecretsupersecret",
    "supersecretkey-supersecretkey-1234",
    "topsecrettopsecrettopsecrettopsecret",
    "password" * 4,
    "Passw0rd!" * 4,
    "password!!!!!!!!!!!!!!!!!!!!!!!!!!!!",
    "password12345678901234567890123456",
    "MyCompany2024!!!" * 2,
    "Xk9#mQ2$vL7@pR4!" * 2,
    "foobarbaz1foobarbaz1foobarbaz1fo",
    "0123456789abcdef" * 2,
    "0123456789abcdef0123456789abcdefX",
    "00112233445566778899aabbccddeeff",
    "01234567890123456789012345678901",
    "98765432109876543210987654321098",
    "02468ace13579bdf02468ace13579bdf0",
    "abcdefghijklmnopqrstuvwxyz0123456789",
    "ZYXWVUTSRQPONMLKJIHGFEDCBA9876543210",
    "aaaabbbbccccddddeeeeffffgggghhhh",
    "qwertyuiopasdfghjklzxcvbnm123456",
    "asdfghjkl" * 4,
    "1111222233334444555566667777x7Qz",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,",
    "a1b2c3d4e5f6g7h8i9j0a1b2c3d4e5f6",
    "my-super-secret-password-for-jwt!!",
    "your-super-secret-jwt-key-change-me-in-production",
    "ThisIsMySuperSecretKeyForJWTTokens",
    "supersecretjwtsigningkey12345678",
    "this is my very secret key for tokens",
    "django-insecure-secret-key-for-development",
    "super-secret-jwt-token-with-at-least-32-characters-long",
    "your_jwt_secret_key_here_minimum_32_chars",
    "some-long-random-string-at-least-32-chars",
    "jwt-secret-minimum-256-bits-required-for-hs256",
    "use-openssl-rand-hex-32-to-generate-this",
    "openssl rand -hex 32 openssl rand -hex 32",
    "python -c 'import secrets; print(secrets.token_hex())'",
    "local-dev-secret-change-in-prod-0123456789",
    "test-secret-key-for-unit-tests-only-32b",
    "supersecretkeyyoushouldnotcommittogithub",
    "my-32-character-ultra-secure-and-ultra-long-secret",
    "foobarbazfoobarbazfoobarbazfoobar1",
]


@pytest.mark.parametrize("text", WEAK)
def test_a_long_secret_that_can_be_guessed_is_refused(text):
    """It repeats itself, counts, follows the keyboard, or is made of words that all use."""
    assert weakness_of(text.encode()) is not None


ROWS = [row for row in _SEQUENCES if "z0" not in row]


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_a_sequence_ends_or_goes_round(row):
    """It is no secret; other groups of characters are none of it, since random text may have them."""
    assert weakness_of((row * 40)[:40].encode("latin-1")) is not None
    begin = len(set(row))  # where it goes round
    assert row[begin:] == row[: len(row) - begin]
    assert len(row[begin:]) not in (1, 2)


@pytest.mark.parametrize(
    "text",
    [
        "t3st-0nly-Secret-of-enough-bytes-5Kp2",
        "a secret of forty bytes for the profile!",
        "correct horse battery staple and others",
        "Xk9#mQ2$vL7@pR4!Xk9#mQ2$vL7@pR4?yT6",
        "django-insecure-9x#w@z!q7$u2m^p&k5*r3(v8)t1-y4_h6=g0+j",
        "abcdefgh" + "Zr7Pq1Wm4Xc9Tn2Yv6Lk8J",
    ],
)
def test_a_secret_with_a_random_part_is_not_refused(text):
    """A word, a sequence or a repetition in it does no harm."""
    assert weakness_of(text.encode()) is None


@pytest.mark.parametrize("secret", [bytes(32), bytes(range(32)), bytes(range(64, 0, -1)), b"\x01\x02" * 16])
def test_bytes_that_can_be_guessed_are_refused(secret):
    """Zeros, and bytes that count."""
    assert weakness_of(secret) is not None


@pytest.mark.parametrize("size", [32, 200, 1_000, 100_000])
def test_a_long_random_secret_is_not_refused(size):
    """Hexadecimal digits have only so many groups, however many they are."""
    assert weakness_of(random.Random(1).randbytes(size).hex().encode()) is None


@pytest.mark.parametrize(
    "text",
    [
        "config/keys/jwt-signing-ed25519-2026-acme.pem",
        "jwt-signing-key-of-billing-eu-1.jwk",
        "acme-billing-eu-west-1-signing.KEY",
        "secrets.json",
        "jwt.txt",
    ],
)
def test_the_name_of_a_key_file_is_no_secret_of_ours(text):
    """Even if there is no such file, by a slip of the pen: everybody could guess it."""
    assert place_of(text, chosen_here=True) == "path"
    assert place_of(text, chosen_here=False) is None
