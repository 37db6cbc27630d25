"""Variables of the environment: files with secrets, variables of orchestrators, typing errors."""

import json
import os
import stat
from dataclasses import fields

import pytest

from authguard.errors import ConfigurationError
from authguard.identity import IdentityService, Settings
from authguard.identity.setting_variables import _OTHER_NAMES, MAX_SECRET_FILE
from authguard.identity.storage.database import Database
from identity.support import SECRET

ISSUER = {"AUTHGUARD_ISSUER": "https://auth.example.com"}
GOOD = {**ISSUER, "AUTHGUARD_SECRET": SECRET}
PROVIDERS = {
    "google": {
        "issuer": "https://accounts.google.com",
        "client_id": "id",
        "client_secret": "a-Provider-secret-7Q",
    }
}
OTHERS = {
    "previous_secret": SECRET[::-1],
    "database": "postgresql://user:pass-word@db/authguard",
    "limits_url": "redis://:pass-word@redis:6379",
    "revocations_url": "redis://:pass-word@redis:6379",
    "smtp_url": "smtps://user:pass-word@mail.example.com",
    "api_key_check_secret": "0123456789abcdef-check",
    "oidc_providers": json.dumps(PROVIDERS),
}


def secrets_of_settings():
    """Return the names of the settings that `repr()` leaves out, except for `secret`."""
    return [field.name for field in fields(Settings) if not field.repr and field.name != "secret"]


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_the_newline_at_the_end_is_cut(tmp_path, ending):
    """A newline at the end of a file with a secret is removed."""
    path = tmp_path / "secret"
    path.write_bytes((SECRET + ending).encode())
    assert Settings.from_env({**ISSUER, "AUTHGUARD_SECRET_FILE": str(path)}).secret == SECRET


@pytest.mark.parametrize("name", secrets_of_settings())
def test_each_secret_may_be_in_a_file(tmp_path, name):
    """Each secret can be in a file, so that containers need no secret in a variable."""
    path, text = tmp_path / "secret", OTHERS.get(name, "a-Provider-secret-7Q")
    path.write_text(f"{text}\n")
    result = Settings.from_env(
        {**GOOD, "AUTHGUARD_MAIL_FROM": "a@b.example", f"AUTHGUARD_{name.upper()}_FILE": str(path)}
    )
    if name == "oidc_providers":
        assert result.oidc_providers["google"].client_secret == PROVIDERS["google"]["client_secret"]
    else:
        assert getattr(result, name) == text.replace("postgresql:", "postgresql+psycopg:")


def test_both_are_an_error(tmp_path):
    """A secret that is given by a variable and by a file is refused, and not shown."""
    path = tmp_path / "secret"
    path.write_text(SECRET[::-1])
    with pytest.raises(ConfigurationError, match="AUTHGUARD_SECRET and AUTHGUARD_SECRET_FILE") as refused:
        Settings.from_env({**GOOD, "AUTHGUARD_SECRET_FILE": str(path)})
    assert SECRET not in str(refused.value) and SECRET[::-1] not in str(refused.value)


@pytest.mark.parametrize(
    "content", [None, b"", b"\n", b"\xff" * 40, b"x" * (MAX_SECRET_FILE + 1)],
    ids=["missing", "empty", "newline", "binary", "long"],
)  # fmt: skip
def test_a_file_without_a_secret_is_an_error(tmp_path, content):
    """A file without a secret is an error with the variable and the path, but not the content."""
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="AUTHGUARD_SECRET_FILE must be the path") as refused:
        Settings.from_env({**ISSUER, "AUTHGUARD_SECRET_FILE": str(path)})
    assert "xxx" not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AUTHGUARD_SERVICE_HOST", "10.96.0.12"),
        ("AUTHGUARD_SERVICE_HOST", "fd00::12"),
        ("AUTHGUARD_SERVICE_PORT", "80"),
        ("AUTHGUARD_SERVICE_PORT_HTTP", "80"),
        ("AUTHGUARD_PORT", "tcp://10.96.0.12:80"),
        ("AUTHGUARD_PORT_80_TCP", "tcp://10.96.0.12:80"),
        ("AUTHGUARD_PORT_80_TCP_PROTO", "tcp"),
        ("AUTHGUARD_PORT_80_TCP_PORT", "80"),
        ("AUTHGUARD_PORT_80_TCP_ADDR", "10.96.0.12"),
        ("AUTHGUARD_PORT_53_UDP_ADDR", "10.96.0.12"),
        ("AUTHGUARD_WEB_SERVICE_HOST", "10.96.0.12"),
        ("AUTHGUARD_WEB_PORT", "tcp://10.96.0.12:80"),
        ("AUTHGUARD_WEB_PORT_8000_TCP", "tcp://10.96.0.12:8000"),
    ],
)
def test_variables_of_orchestrators_are_ignored(variable, value):
    """Variables that Kubernetes sets for services named `authguard` are ignored."""
    assert Settings.from_env({**GOOD, variable: value}) == Settings.from_env(GOOD)


@pytest.mark.parametrize(
    ("variable", "value", "advice"),
    [
        ("AUTHGUARD_PORT", "8000", "write authguard serve --port"),
        ("AUTHGUARD_SERVICE_HOST", "not an address", "got AUTHGUARD_SERVICE_HOST"),
        ("AUTHGUARD_ISSUR", "https://x.example", "write AUTHGUARD_ISSUER"),
        ("AUTHGUARD_ACESS_LIFETIME", "900", "write AUTHGUARD_ACCESS_LIFETIME"),
        ("AUTHGUARD_SECRETS_FILE", "/x", "write AUTHGUARD_SECRET_FILE"),
        ("AUTHGUARD_ISSUER_FILE", "/x", "write AUTHGUARD_ISSUER"),
        ("AUTHGUARD_CORS_ORIGIN", "https://x.example", "write AUTHGUARD_CORS_ORIGINS"),
        ("AUTHGUARD_SMTP", "smtp://127.0.0.1:25", "write AUTHGUARD_SMTP_URL"),
        ("AUTHGUARD_DATABASE_URL", "sqlite:///x", "write AUTHGUARD_DATABASE"),
        ("AUTHGUARD_DATABASE_URL_FILE", "/x", "write AUTHGUARD_DATABASE_FILE"),
        ("AUTHGUARD_DATABASE_PATH", "/x", "write AUTHGUARD_DATABASE"),
        ("AUTHGUARD_DB", "sqlite:///x", "write AUTHGUARD_DATABASE"),
        ("AUTHGUARD_DSN", "postgresql://x", "write AUTHGUARD_DATABASE"),
        ("AUTHGUARD_SECRET_KEY", "x", "write AUTHGUARD_SECRET"),
        ("AUTHGUARD_SECRET_KEY_FILE", "/x", "write AUTHGUARD_SECRET_FILE"),
        ("AUTHGUARD_JWT_SECRET", "x", "write AUTHGUARD_SECRET"),
        ("AUTHGUARD_REDIS_URL", "redis://x", "write AUTHGUARD_LIMITS_URL or AUTHGUARD_REVOCATIONS_URL"),
        ("AUTHGUARD_REDIS_URL_FILE", "/x", "AUTHGUARD_LIMITS_URL_FILE or AUTHGUARD_REVOCATIONS_URL_FILE"),
        ("AUTHGUARD_BASE_URL", "https://x.example", "write AUTHGUARD_ISSUER"),
        ("AUTHGUARD_ISSUER_URL", "https://x.example", "write AUTHGUARD_ISSUER"),
        ("AUTHGUARD_SMTP_HOST", "mail", "write AUTHGUARD_SMTP_URL"),
        ("AUTHGUARD_FROM_EMAIL", "a@b.example", "write AUTHGUARD_MAIL_FROM"),
        ("AUTHGUARD_TOKEN_TTL", "900", "write AUTHGUARD_ACCESS_LIFETIME"),
        ("AUTHGUARD_ALLOWED_ORIGINS", "https://x.example", "write AUTHGUARD_CORS_ORIGINS"),
        ("AUTHGUARD_DEBUG", "1", "write AUTHGUARD_DEV"),
        ("AUTHGUARD_WORKERS", "4", "write authguard serve --workers"),
        ("AUTHGUARD_LOG_LEVEL", "debug", "write authguard serve --log-level"),
        ("AUTHGUARD_QQQQ", "x", "got AUTHGUARD_QQQQ"),
    ],
)
def test_a_typing_error_names_the_nearest_setting(variable, value, advice):
    """An unknown variable is refused with the most similar setting."""
    with pytest.raises(ConfigurationError, match=variable) as refused:
        Settings.from_env({**GOOD, variable: value})
    assert str(refused.value).endswith(advice)


def test_each_setting_that_is_advised_exists():
    """Each setting of the advice exists."""
    names = {field.name for field in fields(Settings)}
    for meant in _OTHER_NAMES.values():
        assert names.issuperset(meant.split(" or "))
    assert names.isdisjoint(_OTHER_NAMES)


def test_a_file_of_a_secret_that_cannot_be_read_is_the_only_fault():
    """A file of a secret that cannot be read is one fault, and the secret is not called missing or short."""
    names = [name for name in secrets_of_settings() if not name.startswith(("github", "linkedin", "oidc"))]
    for name in ["secret", *names]:
        variable = f"AUTHGUARD_{name.upper()}_FILE"
        good = ISSUER if name == "secret" else GOOD
        with pytest.raises(ConfigurationError) as refused:
            Settings.from_env({**good, "AUTHGUARD_MAIL_FROM": "a@b.example", variable: "/nope"})
        assert str(refused.value).startswith(f"{variable} must be the path of a file")
        assert ";" not in str(refused.value)


def test_several_typing_errors_in_a_file_are_all_mended(tmp_path):
    """The error about several unknown settings in a file has advice for each."""
    path = tmp_path / "authguard.toml"
    path.write_text(f'secret = "{SECRET}"\nissuer = "https://a.example"\nacess_lifetime = 9\ndb = "x"\n')
    with pytest.raises(ConfigurationError) as refused:
        Settings.from_toml(str(path))
    assert "write access_lifetime instead of acess_lifetime, database instead of db" in str(refused.value)


def test_a_typing_error_in_a_file(tmp_path):
    """An unknown setting in a TOML file is refused with the most similar setting."""
    path = tmp_path / "authguard.toml"
    path.write_text(f'secret = "{SECRET}"\nissuer = "https://a.example"\nacess_lifetime = 900\n')
    with pytest.raises(ConfigurationError, match="acess_lifetime: write access_lifetime"):
        Settings.from_toml(str(path))


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_each_name_of_postgresql(scheme):
    """Each scheme of PostgreSQL is accepted, also the `postgres://` of platforms."""
    url = f"{scheme}://user@127.0.0.1:1/name"
    result = Settings.from_env({**GOOD, "AUTHGUARD_DATABASE": url})
    assert result.database == "postgresql+psycopg://user@127.0.0.1:1/name"
    database = Database(url)
    assert database.engine.url.drivername == "postgresql+psycopg"
    database.close()


@pytest.mark.parametrize("sender", ["", "nobody", "a@b.example\nBcc: x@y.example"])
def test_a_sender_that_cannot_be_meant_names_the_setting(sender):
    """The error about a wrong sender names `mail_from`."""
    given = {"AUTHGUARD_SMTP_URL": "smtps://mail.example", "AUTHGUARD_MAIL_FROM": sender}
    with pytest.raises(ConfigurationError, match="^(AUTHGUARD_MAIL_FROM|mail_from).* must"):
        IdentityService(Settings.from_env({**GOOD, **given}))


@pytest.mark.parametrize("folder_mode", [0o777, 0o755])
def test_a_folder_in_which_everybody_may_write(tmp_path, caplog, folder_mode):
    """A database in a folder that all users can write to causes a warning with the command to change it."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(folder_mode)
    Database(f"sqlite:///{folder}/a.db").close()
    warned = [record.getMessage() for record in caplog.records]
    assert any(f"chmod o-w {folder}" in text for text in warned) is bool(folder_mode & stat.S_IWOTH)


def test_a_file_that_everybody_may_write(tmp_path, caplog):
    """A database that other users can write to causes a warning with the command to change it."""
    path = tmp_path / "a.db"
    path.touch()
    path.chmod(0o602)
    Database(f"sqlite:///{path}").close()
    assert f"chmod 600 {path}" in caplog.text
    assert os.access(path, os.R_OK)
