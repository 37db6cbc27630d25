"""Variables of the environment: files with secrets, what orchestrators set, typing errors."""

import json
import os
import stat
from dataclasses import fields

import pytest

from authguard.errors import ConfigurationError
from authguard.identity import IdentityService, Settings
from authguard.identity.setting_variables import MAX_SECRET_FILE
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
    """The settings that `repr()` does not show, since they are secrets or may hold one."""
    return [field.name for field in fields(Settings) if not field.repr and field.name != "secret"]


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_the_newline_at_the_end_is_cut(tmp_path, ending):
    """A file of an editor ends in a newline, and a secret does not."""
    path = tmp_path / "secret"
    path.write_bytes((SECRET + ending).encode())
    assert Settings.from_env({**ISSUER, "AUTHGUARD_SECRET_FILE": str(path)}).secret == SECRET


@pytest.mark.parametrize("name", secrets_of_settings())
def test_each_secret_may_be_in_a_file(tmp_path, name):
    """So that containers need no secret in a variable, which other programs inherit."""
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
    """A secret that is given twice is refused, and not shown."""
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
    """The error names the variable and the path, and nothing of the content."""
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
    """Kubernetes tells each container about services whose names begin with `authguard`."""
    assert Settings.from_env({**GOOD, variable: value}) == Settings.from_env(GOOD)


@pytest.mark.parametrize(
    ("variable", "value", "advice"),
    [
        ("AUTHGUARD_PORT", "8000", "write authguard serve --port"),
        ("AUTHGUARD_SERVICE_HOST", "not an address", "must be a setting"),
        ("AUTHGUARD_ISSUR", "https://x.example", "write AUTHGUARD_ISSUER"),
        ("AUTHGUARD_ACESS_LIFETIME", "900", "write AUTHGUARD_ACCESS_LIFETIME"),
        ("AUTHGUARD_SECRETS_FILE", "/x", "write AUTHGUARD_SECRET_FILE"),
        ("AUTHGUARD_ISSUER_FILE", "/x", "write AUTHGUARD_ISSUER"),
        ("AUTHGUARD_CORS_ORIGIN", "https://x.example", "write AUTHGUARD_CORS_ORIGINS"),
        ("AUTHGUARD_SMTP", "smtp://127.0.0.1:25", "write AUTHGUARD_SMTP_URL"),
        ("AUTHGUARD_DATABASE_URL", "sqlite:///x", "write AUTHGUARD_DATABASE"),
    ],
)
def test_a_typing_error_names_the_nearest_setting(variable, value, advice):
    """A variable that is no setting is refused, with the one that was probably meant."""
    with pytest.raises(ConfigurationError, match=variable) as refused:
        Settings.from_env({**GOOD, variable: value})
    assert advice in str(refused.value)


def test_a_typing_error_in_a_file(tmp_path):
    """The same for a TOML file."""
    path = tmp_path / "authguard.toml"
    path.write_text(f'secret = "{SECRET}"\nissuer = "https://a.example"\nacess_lifetime = 900\n')
    with pytest.raises(ConfigurationError, match="acess_lifetime: write access_lifetime"):
        Settings.from_toml(str(path))


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_each_name_of_postgresql(scheme):
    """Platforms hand out `postgres://`, which SQLAlchemy does not know."""
    url = f"{scheme}://user@127.0.0.1:1/name"
    result = Settings.from_env({**GOOD, "AUTHGUARD_DATABASE": url})
    assert result.database == "postgresql+psycopg://user@127.0.0.1:1/name"
    database = Database(url)
    assert database.engine.url.drivername == "postgresql+psycopg"
    database.close()


@pytest.mark.parametrize("sender", ["", "nobody", "a@b.example\nBcc: x@y.example"])
def test_a_sender_that_cannot_be_meant_names_the_setting(sender):
    """The error is about `mail_from`, and not about an option that the operator never wrote."""
    given = {"AUTHGUARD_SMTP_URL": "smtps://mail.example", "AUTHGUARD_MAIL_FROM": sender}
    with pytest.raises(ConfigurationError, match="^mail_from.* must"):
        IdentityService(Settings.from_env({**GOOD, **given}))


@pytest.mark.parametrize("folder_mode", [0o777, 0o755])
def test_a_folder_in_which_everybody_may_write(tmp_path, caplog, folder_mode):
    """Whoever may write there can put another database in the place of this one: a WARNING says so."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(folder_mode)
    Database(f"sqlite:///{folder}/a.db").close()
    warned = [record.getMessage() for record in caplog.records]
    assert any(f"chmod o-w {folder}" in text for text in warned) is bool(folder_mode & stat.S_IWOTH)


def test_a_file_that_everybody_may_write(tmp_path, caplog):
    """A database that other users can change is told of as one that they can read."""
    path = tmp_path / "a.db"
    path.touch()
    path.chmod(0o602)
    Database(f"sqlite:///{path}").close()
    assert f"chmod 600 {path}" in caplog.text
    assert os.access(path, os.R_OK)
