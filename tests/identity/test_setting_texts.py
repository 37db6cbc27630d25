"""The texts of variables: the error about a wrong form has the value to write."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from authguard.cli.configuration import raw_settings
from authguard.errors import ConfigurationError
from authguard.identity import Settings

VARIABLES = {
    "AUTHGUARD_SECRET": "k3JfP0x2mZr7q-Vt9aYc8LwQ1bNs6uHd4eGi5oXj",
    "AUTHGUARD_ISSUER": "https://auth.example.com",
}


def fault_of(**variables: str) -> str:
    """Return the error for these variables and the two required ones."""
    with pytest.raises(ConfigurationError) as refused:
        Settings.from_env(VARIABLES | {f"AUTHGUARD_{name.upper()}": text for name, text in variables.items()})
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "write"),
    [
        ("15m", "write 900"),
        ("15 minutes", "write 900"),
        ("1.5h", "write 5400"),
        ("8 hours", "write 28800"),
        ("1d", "write 86400"),
        ("2w", "write 1209600"),
        ("900s", "write 900"),
        ("900.0", "write 900"),
        ("28_800", "write 28800"),
        ('"900"', "write 900"),
        ("", "write digits alone, such as 900"),
        ("-1", "write digits alone, such as 900"),
        ("1e3", "write digits alone, such as 900"),
        ("٩٠٠", "write digits alone, such as 900"),
        ("PT15M", "write digits alone, such as 900"),
    ],
)
def test_a_duration_with_a_unit_is_an_error_with_its_seconds(text: str, write: str) -> None:
    """A duration with a unit is an error that has the number of seconds."""
    fault = fault_of(access_lifetime=text)
    assert fault.startswith("AUTHGUARD_ACCESS_LIFETIME must be a whole number of seconds, got ")
    assert fault.endswith(f": {write}")


def test_a_number_of_other_things_has_no_unit() -> None:
    """The error about a number of threads does not mention seconds."""
    fault = fault_of(worker_threads="eight")
    assert fault == "AUTHGUARD_WORKER_THREADS must be a whole number, got 'eight' (str): write digits alone"


@pytest.mark.parametrize("name", ["pages", "account_deletion", "require_verified_email", "dev"])
@pytest.mark.parametrize("text", ["", " ", "on", "off"])
def test_a_flag_without_a_value_is_an_error(name: str, text: str) -> None:
    """An empty flag is an error, because it would switch off a part of the service."""
    assert fault_of(**{name: text}).endswith(": write true or false, or leave the variable out")


@pytest.mark.parametrize("name", ["secret_file", "SMTP_URL_FILE", "AUTHGUARD_DATABASE_FILE"])
def test_the_file_of_a_secret_is_no_line_of_the_settings_file(name: str, tmp_path: Any) -> None:
    """The path of a secret in a file of settings is an error that names the variable."""
    file = tmp_path / "authguard.toml"
    file.write_text(f'{name} = "/run/secrets/authguard"\n')
    with pytest.raises(ConfigurationError) as refused:
        Settings.from_env(VARIABLES | {"AUTHGUARD_CONFIG": str(file)})
    variable = f"AUTHGUARD_{name.removeprefix('AUTHGUARD_').upper()}"
    assert f"got {name}: set the variable {variable}, because" in str(refused.value)


@pytest.mark.parametrize("name", ["AUTHGUARD_LIMITS_URL", "LIMITS_URL"])
def test_a_variable_as_a_line_of_the_settings_file(name: str, tmp_path: Any) -> None:
    """The name of a variable in a file of settings is an error that has the name of the setting."""
    file = tmp_path / "authguard.toml"
    file.write_text(f'{name} = "memory://"\n')
    with pytest.raises(ConfigurationError, match=f"got {name}: write limits_url$"):
        Settings.from_env(VARIABLES | {"AUTHGUARD_CONFIG": str(file)})


@pytest.mark.parametrize("quote", ['"', "'"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("issuer", "https://auth.example.com"),
        ("audience", "https://api.example.com"),
        ("default_role", "USER"),
        ("admin_roles", "ADMIN"),
        ("admin_roles", "ADMIN,ROOT"),
        ("product_name", "Acme"),
        ("breached_passwords", "https://api.pwnedpasswords.com/range/"),
        ("database", "postgresql://ann:s3cret@db/app"),
        ("limits_url", "redis://:s3cret@redis"),
        ("github_client_id", "Iv1.0123456789abcdef"),
        ("password_policy", "min_length=20"),
    ],
)
def test_quotes_around_a_value_are_an_error(name: str, text: str, quote: str) -> None:
    """Quotes that a file of variables has left around a value are an error; they would be part of it."""
    fault = fault_of(**{name: quote + text + quote})
    assert fault.startswith(f"AUTHGUARD_{name.upper()} must be the value alone, got text in quotes: leave")
    assert "s3cret" not in fault


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("database", "postgresql://ann:${DB_PASSWORD}@db/app"),
        ("limits_url", "redis://:${REDIS_PASSWORD}@redis"),
        ("revocations_url", "redis://:$REDIS_PASSWORD@redis"),
        ("smtp_url", "smtps://ann:{{ smtp_password }}@mail.example"),
    ],
)
def test_a_placeholder_in_a_url_is_an_error(name: str, text: str) -> None:
    """A placeholder that nothing has replaced is an error, although a server without passwords accepts it."""
    given = {name: text, "mail_from": "accounts@example.com"}
    words = f"AUTHGUARD_{name.upper()} must be the value itself, got text with a placeholder"
    assert words in fault_of(**given)


def test_quotes_inside_a_value_are_part_of_it() -> None:
    """Quotes around a part of a value, or around the members of a JSON list, are no error."""
    variables = {"AUTHGUARD_ADMIN_ROLES": '["ADMIN", "ROOT"]', "AUTHGUARD_PRODUCT_NAME": 'The "A" shop'}
    settings = Settings.from_env(VARIABLES | variables)
    assert (settings.admin_roles, settings.product_name) == (("ADMIN", "ROOT"), 'The "A" shop')


@pytest.mark.parametrize("name", ["secret", "previous_secret", "github_client_secret"])
def test_a_path_in_place_of_a_secret_names_the_variable_of_its_file(name: str) -> None:
    """The error about a path as a secret has the variable for the path of a file."""
    words = f"got text that is a path: set AUTHGUARD_{name.upper()}_FILE to the path of the file"
    assert words in fault_of(**{name: "/run/secrets/authguard"})


def test_a_file_with_a_path_in_place_of_the_secret(tmp_path: Path) -> None:
    """The error about a file that contains a path names the content that the file must have."""
    file = tmp_path / "secret"
    file.write_text("/run/secrets/authguard")
    variables = {"AUTHGUARD_ISSUER": VARIABLES["AUTHGUARD_ISSUER"], "AUTHGUARD_SECRET_FILE": str(file)}
    with pytest.raises(ConfigurationError, match="got text that is a path: write the secret into the file"):
        Settings.from_env(variables)


# These are not changed by a correction, because credentials that were issued with them would be refused.
UNCHECKED = ("previous_secret", "api_key_check_secret")
COMMENTED = [each.name for each in fields(Settings) if each.name not in (*UNCHECKED, "secret_scanning_token")]


@pytest.mark.parametrize("name", COMMENTED)
@pytest.mark.parametrize("comment", [" # s3cret", "\t#s3cret"])
def test_a_comment_behind_a_value_is_an_error(name: str, comment: str) -> None:
    """A comment that a file of variables has left behind a value is an error without the text."""
    is_for_people = name in ("brand", "mail_from", "product_name")
    behind = comment.replace("#s", "# s") if is_for_people else comment
    fault = fault_of(**{name: VARIABLES["AUTHGUARD_SECRET"] + behind})
    assert fault.startswith(f"AUTHGUARD_{name.upper()} must be the ")
    assert "alone, got text" in fault and "comment" in fault
    assert "s3cret" not in fault and VARIABLES["AUTHGUARD_SECRET"] not in fault


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("secret", "k3JfP0x2mZr7q-Vt9aYc8LwQ1bNs6uHd4eGi5oXj # made in 2026\n"),
        ("secret", "# made in 2026\nk3JfP0x2mZr7q-Vt9aYc8LwQ1bNs6uHd4eGi5oXj\n"),
        ("smtp_url", "smtp+starttls://ann:s3cret@mail.example:587 # mails\n"),
    ],
)
def test_a_comment_in_the_file_of_a_secret_is_an_error(name: str, content: str, tmp_path: Path) -> None:
    """A comment in a file with a secret is an error that does not show the content."""
    file = tmp_path / "secret"
    file.write_text(content)
    given = {**VARIABLES, f"AUTHGUARD_{name.upper()}_FILE": str(file)}
    given.pop(f"AUTHGUARD_{name.upper()}", None)
    with pytest.raises(
        ConfigurationError, match=f"^AUTHGUARD_{name.upper()}_FILE must be the .* alone"
    ) as fault:
        Settings.from_env(given)
    assert "comment" in str(fault.value)
    assert "s3cret" not in str(fault.value) and "k3JfP0x2" not in str(fault.value)


def test_a_number_sign_inside_a_value_is_part_of_it() -> None:
    """`#` that begins no comment is part of a value: in JSON, in a URL, before a colour, and in a name."""
    variables = {
        "AUTHGUARD_ADMIN_ROLES": '["Team #1", "C#"]',
        "AUTHGUARD_DEFAULT_ROLE": "#users",
        "AUTHGUARD_AUDIENCE": "https://api.example.com/#v1",
        "AUTHGUARD_BRAND": "color = #0a5c36",
        "AUTHGUARD_PRODUCT_NAME": "Shop #1",
    }
    settings = Settings.from_env(VARIABLES | variables)
    assert settings.admin_roles == ("Team #1", "C#")
    assert (settings.default_role, settings.audience) == ("#users", "https://api.example.com/#v1")
    assert (settings.brand, settings.product_name) == ({"color": "#0a5c36"}, "Shop #1")


def test_a_value_with_white_space_and_a_number_sign_may_be_in_the_file(tmp_path: Path) -> None:
    """The file of settings may have a value with white space and `#`, as the error says."""
    file = tmp_path / "authguard.toml"
    file.write_text('default_role = "Team #1"\n')
    settings = Settings.from_env(VARIABLES | {"AUTHGUARD_CONFIG": str(file)})
    assert settings.default_role == "Team #1"


def test_a_secret_with_a_comment_can_be_the_previous_one() -> None:
    """A secret with a comment is accepted as the previous secret, so that the change ends no sessions."""
    previous = VARIABLES["AUTHGUARD_SECRET"] + " # made in 2026"
    settings = Settings.from_env(VARIABLES | {"AUTHGUARD_PREVIOUS_SECRET": previous})
    assert settings.secrets == (VARIABLES["AUTHGUARD_SECRET"], previous)


@pytest.mark.parametrize("end", ["\r", " ", "\t"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("secret", VARIABLES["AUTHGUARD_SECRET"]),
        ("github_client_secret", "s3cret"),
        ("github_client_id", "Iv1.0123456789abcdef"),
        ("smtp_url", "smtp://ann:s3cret@127.0.0.1:25"),
        ("database", "sqlite:///authguard.db"),
        ("limits_url", "redis://:s3cret@redis/1"),
        ("revocations_url", "redis://:s3cret@redis/1"),
        ("breached_passwords", "https://api.pwnedpasswords.com/range/"),
        ("audience", "https://api.example.com"),
    ],
)
def test_white_space_at_the_end_is_an_error(name: str, text: str, end: str) -> None:
    """White space at the end of a variable is an error with the remedy for a variable."""
    fault = fault_of(**{name: text + end})
    assert fault.startswith(f"AUTHGUARD_{name.upper()} must be ")
    assert fault.endswith(": remove it, also a carriage return at the end")
    assert text not in fault


@pytest.mark.parametrize("text", ["USER,EDITOR", "USER, EDITOR", "USER;EDITOR", "USER,"])
def test_several_roles_of_new_accounts_are_an_error(text: str) -> None:
    """The role of new accounts is one; several are an error, which names the way for a name with spaces."""
    fault = fault_of(default_role=text)
    assert fault.startswith(f"AUTHGUARD_DEFAULT_ROLE must be one role, got {text!r} (str): write one")
    into_file = f'default_role = "{text}" into the file that AUTHGUARD_CONFIG names'
    assert fault.endswith(into_file) == (" " in text)


@pytest.mark.parametrize("text", ["https://a.example,https://b.example", "api;web", "https://a.example, web"])
def test_several_audiences_are_an_error(text: str) -> None:
    """The audience is one; several are an error."""
    fault = fault_of(audience=text)
    assert fault.startswith(f"AUTHGUARD_AUDIENCE must be one audience, got {text!r} (str): write one, or")


@pytest.mark.parametrize(
    ("name", "text", "write"),
    [
        ("admin_roles", "ADMIN;EDITOR", "ADMIN,EDITOR"),
        ("admin_roles", "ADMIN EDITOR", 'ADMIN,EDITOR for several, or ["ADMIN EDITOR"] for one'),
        ("admin_roles", "ADMIN\nEDITOR", 'ADMIN,EDITOR for several, or ["ADMIN\\nEDITOR"] for one'),
        ("api_key_scopes", "a:read b:read", "a:read,b:read"),
        ("api_key_prefixes", "ak_ bk_", "ak_,bk_"),
        ("api_key_mails", "expiring revoked", "expiring,revoked"),
        ("prefixes", "/v1 /v2", "/v1,/v2"),
        ("cors_origins", "https://a.example  https://b.test", "https://a.example,https://b.test"),
        ("redirect_uris", "https://a.example/c https://b.test/c", "https://a.example/c,https://b.test/c"),
        ("admin_roles", "ADMIN; EDITOR", 'ADMIN,EDITOR for several, or ["ADMIN; EDITOR"] for one'),
        ("admin_roles", "CN=Admins,OU=Groups", 'a,b for several, or ["CN=Admins,OU=Groups"] for one'),
        ("api_key_scopes", "a:read;b:read", "a:read,b:read"),
        (
            "redirect_uris",
            "https://a.example;https://b.test",
            'https://a.example,https://b.test for several, or ["https://a.example;https://b.test"] for one',
        ),
    ],
)
def test_a_list_with_another_separator_is_an_error(name: str, text: str, write: str) -> None:
    """A list with semicolons or white space, or a role with commas, is an error with all spellings."""
    fault = fault_of(**{name: text})
    assert fault.startswith(
        f"AUTHGUARD_{name.upper()} must be values separated by commas, or a JSON list, got"
    )
    assert fault.endswith(f": write {write}")


def test_the_name_of_a_group_is_one_role(tmp_path: Path) -> None:
    """The name of a group in a directory, with commas, is one role: in JSON, and in the file of settings."""
    group = "CN=Admins,OU=Groups"
    variables = VARIABLES | {
        "AUTHGUARD_ADMIN_ROLES": f'["{group}"]',
        "AUTHGUARD_DEFAULT_ROLE": "CN=Users,OU=x",
    }
    settings = Settings.from_env(variables)
    assert (settings.admin_roles, settings.default_role) == ((group,), "CN=Users,OU=x")
    file = tmp_path / "authguard.toml"
    file.write_text('default_role = "Staff, external"\n')
    assert Settings.from_env(VARIABLES | {"AUTHGUARD_CONFIG": str(file)}).default_role == "Staff, external"


@pytest.mark.parametrize(
    ("options", "write"),
    [
        ({"admin_roles": ["ADMIN,EDITOR"]}, "write admin_roles=['ADMIN', 'EDITOR']"),
        ({"admin_roles": "ADMIN,EDITOR"}, "write admin_roles=['ADMIN', 'EDITOR']"),
        ({"api_key_scopes": ["a:read;b:read"]}, "write api_key_scopes=['a:read', 'b:read']"),
        ({"default_role": "USER,EDITOR"}, "write one"),
    ],
    ids=repr,
)
def test_several_names_in_one_text_of_python(options: dict[str, Any], write: str) -> None:
    """A list that is typed as one text is an error in Python and in a file, too."""
    with pytest.raises(ConfigurationError) as refused:
        Settings(secret=VARIABLES["AUTHGUARD_SECRET"], issuer="https://auth.example.com", **options)
    assert write in str(refused.value)


@pytest.mark.parametrize(
    ("encoding", "more"), [("utf-8-sig", ""), ("utf-16", ""), ("utf-16-le", ""), ("latin-1", "# é")]
)
def test_a_settings_file_in_another_encoding(encoding: str, more: str, tmp_path: Path) -> None:
    """The error about a file in another encoding names the right one, also for commands of `authguard`."""
    file = tmp_path / "authguard.toml"
    file.write_text(f'secret = "k3JfP0x2mZr7q-Vt9aYc8LwQ1bNs6uHd4eGi5oXj"\n{more}', encoding=encoding)
    with pytest.raises(ConfigurationError) as refused:
        Settings.from_toml(str(file))
    assert str(refused.value).endswith(
        ": it has another encoding, so save it as UTF-8 without a byte order mark"
    )
    with pytest.raises(ConfigurationError) as of_command:
        raw_settings(str(file))
    assert str(of_command.value) == str(refused.value)


def test_a_secret_in_another_encoding(tmp_path: Path) -> None:
    """The error about a file of a secret in another encoding names the right one."""
    file = tmp_path / "secret"
    file.write_text("k3JfP0x2mZr7q-Vt9aYc8LwQ1bNs6uHd4eGi5oXj", encoding="utf-16")
    given = {"AUTHGUARD_ISSUER": VARIABLES["AUTHGUARD_ISSUER"], "AUTHGUARD_SECRET_FILE": str(file)}
    with pytest.raises(
        ConfigurationError, match="which is not UTF-8: save it as UTF-8 without a byte order mark"
    ):
        Settings.from_env(given)


@pytest.mark.parametrize(("mode", "is_noted"), [(0o666, True), (0o602, True), (0o644, False), (0o444, False)])
def test_a_file_of_settings_that_every_user_may_write(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, is_noted: bool
) -> None:
    """A file with a secret or settings that every user can change causes a WARNING with the remedy."""
    secret, toml = tmp_path / "secret", tmp_path / "authguard.toml"
    secret.write_text(VARIABLES["AUTHGUARD_SECRET"])
    toml.write_text('issuer = "https://auth.example.com"\n')
    for path in (secret, toml):
        path.chmod(mode)
    Settings.from_env({"AUTHGUARD_SECRET_FILE": str(secret), "AUTHGUARD_CONFIG": str(toml)})
    lines = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert lines == (
        [f"{path} is open to every user of this machine: chmod 600 {path}" for path in (secret, toml)]
        if is_noted
        else []
    )


def test_a_device_in_place_of_a_file_is_not_to_be_changed(caplog: pytest.LogCaptureFixture) -> None:
    """A device that every user may write causes no WARNING, because it must stay as it is."""
    with pytest.raises(ConfigurationError, match="which is empty"):
        Settings.from_env({**VARIABLES, "AUTHGUARD_PREVIOUS_SECRET_FILE": "/dev/null"})
    assert "chmod" not in caplog.text


def test_an_empty_path_of_a_secret() -> None:
    """An empty path is named, and not the error of the system about it."""
    with pytest.raises(ConfigurationError, match="got '': leave it out"):
        Settings.from_env({**VARIABLES, "AUTHGUARD_PREVIOUS_SECRET_FILE": ""})


@pytest.mark.parametrize(
    ("variable", "write"),
    [
        ("AUTHGUARD_SECRET_FIEL", "AUTHGUARD_SECRET_FILE"),
        ("AUTHGUARD_SMTP_URL_FLE", "AUTHGUARD_SMTP_URL_FILE"),
        ("AUTHGUARD_SECRETT", "AUTHGUARD_SECRET"),
        ("AUTHGUARD_SMTP_URLL", "AUTHGUARD_SMTP_URL"),
        ("AUTHGUARD_GITHUB_CLIENT_SECERT", "AUTHGUARD_GITHUB_CLIENT_SECRET"),
    ],
)
def test_a_typing_error_in_the_variable_of_a_file(variable: str, write: str) -> None:
    """The advice for a mistyped variable with a path is that of the file, and not that of the secret."""
    with pytest.raises(ConfigurationError, match=f"got {variable}: write {write}$"):
        Settings.from_env({**VARIABLES, variable: "/run/secrets/x"})


@pytest.mark.parametrize("variable", ["authguard_database", "Authguard_Secret_File", "AuthGuard_DEV"])
def test_a_variable_in_small_letters(variable: str) -> None:
    """A setting in small letters is an error, because it would be ignored."""
    with pytest.raises(
        ConfigurationError, match=f"^{variable} must be in capital letters: write {variable.upper()}$"
    ):
        Settings.from_env({**VARIABLES, variable: "x"})


def test_a_variable_in_small_letters_of_another_program() -> None:
    """A variable in small letters that is no setting belongs to another program."""
    assert Settings.from_env({**VARIABLES, "authguard_home": "/srv"}).issuer == VARIABLES["AUTHGUARD_ISSUER"]


@pytest.mark.parametrize("issuer", ["HTTPS://auth.example.com/a", "https://Auth.Example.com/a"])
def test_an_issuer_with_capitals_is_an_error(issuer: str) -> None:
    """Scheme and host in capitals are an error, since cookies and clients depend on their spelling."""
    fault = fault_of(issuer=issuer)
    assert fault.endswith(": write https://auth.example.com/a")


def test_an_empty_name_of_the_settings_file_is_an_error() -> None:
    """An empty `AUTHGUARD_CONFIG` is an error, because all settings of the file would be lost."""
    fault = fault_of(config="")
    assert fault == "AUTHGUARD_CONFIG must be the path of a TOML file, got '': leave it out"
    with pytest.raises(ConfigurationError, match="AUTHGUARD_CONFIG must be the path"):
        raw_settings("")


@pytest.mark.parametrize(
    "secret",
    ["k3JfP0x2mZr7q-Vt9aYc8LwQ1bNs6uHd4eGi5oXj", "q7-Rw_9Lm", "/aB3x+Vt9aYc8LwQ1bNs6uHd4eGi5oXjK3J="],
    ids=["url-safe", "short", "base64"],
)  # fmt: skip
def test_a_secret_in_place_of_its_path_is_not_shown(secret: str) -> None:
    """The error about a file that does not exist shows its path, and no text that may be the secret."""
    fault = fault_of(previous_secret_file=secret)
    assert secret not in fault
    assert "got text that is not shown: FileNotFoundError" in fault
    assert "got '/run/secrets/jwt': FileNotFoundError" in fault_of(previous_secret_file="/run/secrets/jwt")
