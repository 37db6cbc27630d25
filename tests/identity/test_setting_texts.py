"""The texts of variables: the error about a wrong form has the value to write."""

from pathlib import Path
from typing import Any

import pytest

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
