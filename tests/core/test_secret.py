"""The texts that are secrets, and those that are places, placeholders or weak."""

import random
import time
from base64 import b64encode, urlsafe_b64encode

import pytest

from authguard import ConfigurationError
from authguard._core.jose.secret import (
    _SEQUENCES,
    check_not_place,
    check_unwrapped,
    place_of,
    readable,
    weakness_of,
)
from authguard._core.jose.vault_names import is_vault_name
from sizes import size

KINDS = {
    "hexadecimal": lambda source: source.randbytes(32).hex(),
    "short hexadecimal": lambda source: source.randbytes(16).hex(),
    "base64": lambda source: b64encode(source.randbytes(source.randint(32, 64))).decode(),
    "base64url": lambda source: (
        urlsafe_b64encode(source.randbytes(source.randint(32, 64))).rstrip(b"=").decode()
    ),
    "bytes": lambda source: source.randbytes(32),
    "base64 of any length": lambda source: b64encode(source.randbytes(source.randint(24, 64))).decode(),
    "base64 without padding": lambda source: (
        b64encode(source.randbytes(source.randint(24, 64))).rstrip(b"=").decode()
    ),
    "digits": lambda source: "".join(source.choices("0123456789", k=40)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_random_secret_is_taken_for_a_place(kind):
    """No random secret is read as a place, although some in base64 begin with a slash."""
    source = random.Random(7519)
    for _ in range(size(10_000, 100_000)):
        text = readable(KINDS[kind](source))
        assert text is None or place_of(text, chosen_here=True) is None, text
        if text is not None:
            check_unwrapped(text, "secret")


@pytest.mark.parametrize("kind", KINDS)
def test_no_random_secret_is_taken_for_a_weak_one(kind):
    """No random secret is read as a weak one."""
    source = random.Random(7518)
    for _ in range(size(2_000, 10_000)):
        secret = KINDS[kind](source)
        assert weakness_of(secret.encode() if isinstance(secret, str) else secret) is None, secret


def test_no_random_secret_in_base64_is_taken_for_a_path():
    """No random secret in base64 that begins with a slash is read as a path, with or without padding."""
    source = random.Random(4648)
    for _ in range(size(10_000, 50_000)):
        data = b"\xff" + source.randbytes(source.randint(31, 63))
        text = "/" + b64encode(data).decode()[1:]
        assert place_of(text, chosen_here=True) is None, text
        assert place_of(text.rstrip("="), chosen_here=False) is None, text


def test_a_secret_in_base64_may_have_several_lines():
    """A secret in base64 may have several lines, as openssl writes it."""
    text = "/" + "A1b2C3d4" * 7 + "\nx9Y8" * 4 + "=="
    assert place_of(text, chosen_here=True) is None
    check_unwrapped(text, "secret")


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
    "/Shared/Company/AuthguardService/JwtSigningKey",
    "/Volumes/Shared/Production/JwtSecret",
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


VAULT_NAMES = [
    "projects/my-proj/secrets/jwt/versions/latest",
    "projects/123456789012/secrets/JWT_SECRET/versions/7",
    "projects/my-proj/locations/europe-west1/secrets/jwt/versions/1",
    "kv/data/payments-api/production/jwt",
    "secret/data/shop/backend/jwt-hs256-v2",
    "secret/my_app/production/jwt",
    "AWSCURRENT:prod/payments/jwt",
    "AWSCURRENT:prod/payments-api-jwt-signing-secret",
    "prod/payments-api/jwt-signing-key-hs256",
    "payments-api-production/jwt-signing-key-hs256",
    "Prod/PaymentsApi/JwtSecret/Current/Value",
    "kv/data/shop/backend/jwt#value",
    "secret/data/shop/backend/production:jwt",
    "kv/payments/production/signing-key@3",
    "kv2/team.payments/jwt_secret/2026",
    "a/secrets/9b2f0d1e-1c2d-4e3f-8a9b-0c1d2e3f4a5b/current",
    "my-vault/jwt-signing-secret/production/",
    "  kv/data/payments-api/production/jwt\n",
]


@pytest.mark.parametrize("text", VAULT_NAMES)
@pytest.mark.parametrize("chosen_here", [True, False])
def test_the_name_of_a_secret_in_a_vault_is_no_secret(text, chosen_here):
    """Words with slashes are the name of a secret, and easy to guess."""
    assert place_of(text, chosen_here=chosen_here) == "name"
    with pytest.raises(ConfigurationError, match="the name of a secret in a vault") as raised:
        check_not_place(text, "secret", chosen_here=chosen_here)
    assert text.strip() not in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "kv/data",  # too short to be told from a password
        "team/secret",
        "k3j4h5/8sd7f6/9x2c3v/jwt",
        "correct/horse/battery/staple/onion",
        "kQ9zW2aB3xY7/kQ9zW2aB3xY7/jwt",
        "jwt-secret-of-the-payments-api",
        "zpq+data/kv/prod/jwt",
        "kv/data/" + "a" * 600,
    ],
)
def test_other_texts_with_slashes_are_left_alone(text):
    """Random groups with slashes, and words without the vocabulary of vaults, are no names."""
    assert place_of(text, chosen_here=False) is None


@pytest.mark.parametrize(
    "text",
    ["a-" * 255, "aaa/" * 127, "Aaa" * 170, "aaaA" * 127, "1" * 500, "A" * 500, "aaA/" * 127, "a1." * 170],
)
def test_a_long_text_is_read_quickly(text):
    """No text makes the pattern of names slow."""
    started = time.perf_counter()
    assert not is_vault_name(f"kv/jwt/{text[:480]}!")
    assert not is_vault_name(f"{text[:480]}/kv/jwt!")
    assert time.perf_counter() - started < 0.1


@pytest.mark.parametrize("text", PATHS, ids=ascii)
def test_a_path_is_no_secret(text):
    """A path of any system is refused, quoted or not, and as a file URL."""
    assert place_of(text, chosen_here=True) == "path"


@pytest.mark.parametrize("text", URLS)
def test_a_url_is_no_secret(text):
    """A URL of any scheme is refused."""
    assert place_of(text, chosen_here=True) == "URL"


@pytest.mark.parametrize("text", PLACEHOLDERS)
def test_a_placeholder_is_no_secret(text):
    """A template that was not filled in, or the name of a variable, is refused."""
    assert place_of(text, chosen_here=True) == "placeholder"


_TOKEN = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0."
    "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
)
_DIGEST = "R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"
NO_SECRETS = {
    _TOKEN: "token",
    f"$2b$12${_DIGEST}": "hash",
    f"$argon2id$v=19$m=65536,t=3,p=4${_DIGEST}": "hash",
    f"$6$rounds=5000${_DIGEST}": "hash",
    f"pbkdf2_sha256$870000${_DIGEST}": "hash",
}


@pytest.mark.parametrize("text", NO_SECRETS, ids=range(len(NO_SECRETS)))
def test_a_token_or_the_hash_of_a_password_is_no_secret(text):
    """A token or the hash of a password is refused, because others know it."""
    assert place_of(text, chosen_here=True) == NO_SECRETS[text]
    assert place_of(text, chosen_here=False) is None
    with pytest.raises(ConfigurationError, match=NO_SECRETS[text]) as raised:
        check_not_place(text, "keys")
    assert _DIGEST not in str(raised.value)


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
    """A short secret that another party has issued is accepted."""
    assert place_of(text, chosen_here=False) is None


@pytest.mark.parametrize("text", [*PATHS[:4], *PATHS[5:], *URLS, *PLACEHOLDERS], ids=ascii)
def test_a_place_is_no_secret_of_another_party_either(text):
    """A path, a URL or a placeholder is refused as a secret of another party too."""
    assert place_of(text, chosen_here=False) is not None


def test_the_error_names_the_option_and_the_way_and_not_the_text():
    """The error about a secret in text or bytes names the option and `Path`, and not the secret."""
    for secret in ("/run/secrets/x9x9", b"/run/secrets/x9x9"):
        with pytest.raises(ConfigurationError, match=r"^the_option must be .* Path\(") as raised:
            check_not_place(secret, "the_option")
        assert "x9x9" not in str(raised.value)


@pytest.mark.parametrize("secret", [b"\xff/run", b"/run\0x" + bytes(30), 5, None], ids=repr)
def test_what_cannot_be_typed_is_no_path(secret):
    """Random bytes are not read as a path, and values of other types are left to other checks."""
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
    """A long secret of repetitions, sequences, keyboard rows or common words is refused."""
    assert weakness_of(text.encode()) is not None


ROWS = [row for row in _SEQUENCES if "z0" not in row]


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_a_sequence_ends_or_goes_round(row):
    """A sequence that repeats is weak, and is continued at its end by its beginning."""
    assert weakness_of((row * 40)[:40].encode("latin-1")) is not None
    begin = len(set(row))  # the index of the first repeated character
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
    """A secret with a random part is accepted, even if a part of it is a word or a sequence."""
    assert weakness_of(text.encode()) is None


@pytest.mark.parametrize("secret", [bytes(32), bytes(range(32)), bytes(range(64, 0, -1)), b"\x01\x02" * 16])
def test_bytes_that_can_be_guessed_are_refused(secret):
    """Zeros and counting bytes are refused."""
    assert weakness_of(secret) is not None


@pytest.mark.parametrize("size", [32, 200, 1_000, 100_000])
def test_a_long_random_secret_is_not_refused(size):
    """A long random secret in hexadecimal is accepted."""
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
    """The name of a key file is refused as a secret that was chosen here, because it can be guessed."""
    assert place_of(text, chosen_here=True) == "path"
    assert place_of(text, chosen_here=False) is None


@pytest.mark.parametrize(("size", "is_weak"), [(75, True), (76, False)])
def test_a_secret_of_any_length_needs_76_groups_that_cannot_be_predicted(size, is_weak):
    """A repeated unit of 75 different groups is weak, and one of 76 is not, at any length."""
    source = random.Random(5)
    unit = "".join(chr(source.randrange(0x80, 0xFF)) for _ in range(size))
    assert len({(unit * 2)[start : start + 4] for start in range(size)}) == size
    assert (weakness_of((unit * 9).encode("latin-1")) is not None) is is_weak


@pytest.mark.parametrize("text", ["aB3xY7kQ9zW2 # made in 2026", "aB3xY7kQ9zW2\t#made", "# aB3xY7kQ9zW2"])
@pytest.mark.parametrize("kind", [str, str.encode])
def test_a_comment_behind_a_secret_is_refused(text, kind):
    """A comment behind a secret is refused, because some readers of files of variables remove it."""
    with pytest.raises(
        ConfigurationError, match="the secret alone, got text with white space and `#`"
    ) as fault:
        check_unwrapped(kind(text), "secret")
    assert "aB3" not in str(fault.value) and "made" not in str(fault.value)


@pytest.mark.parametrize("text", ["#aB3xY7kQ9zW2", "aB3#xY7kQ9zW2#", "aB3 xY7kQ9zW2#"])
def test_a_secret_may_contain_a_number_sign(text):
    """A secret may contain `#` without white space before it, also as its first character."""
    check_unwrapped(text, "secret")


@pytest.mark.parametrize("text", ["aB3'xY7kQ9'zW2", 'aB3xY7kQ9"zW2"', "`aB3xY7kQ9zW2", "aB3=xY7kQ9=="])
def test_a_secret_may_contain_quotes_and_equals_signs(text):
    """Only text with the same quotes at both ends, or with a variable's name before it, is refused."""
    check_unwrapped(text, "secret")
