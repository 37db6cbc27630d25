"""Read settings from files, and from the texts of environment variables."""

import tomllib
from pathlib import Path
from typing import Any

from authguard._core.options import got
from authguard.errors import ConfigurationError
from authguard.identity.named_providers import read_providers
from authguard.identity.named_values import read_named_values
from authguard.identity.passwords.configured import read_policy_options
from authguard.identity.setting_variables import ENVIRONMENT

_EXAMPLES = {
    "limits": "login=10/900,mail=3/900",
    "api_key_tiers": "free=10/1000,pro=600/100000",
    "brand": "color=#0a5c36,privacy_url=https://example.com/privacy",
    "password_policy": "min_length=15,digit=true",
}
_LISTS = frozenset(
    {"prefixes", "redirect_uris", "cors_origins", "api_key_prefixes", "api_key_scopes", "admin_roles"}
    | {"api_key_mails"}
)


def read_file(path: str) -> dict[str, Any]:
    """Return the settings of a TOML file.

    Raises:
        ConfigurationError: if it cannot be read.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        # The text of a TOML error has the line, and no value; that of others may have more.
        reason = error if isinstance(error, tomllib.TOMLDecodeError) else type(error).__name__
        raise ConfigurationError(
            f"the settings file must be readable TOML, got {path!r}: {reason}"
        ) from error


def read_variable(name: str, text: str, kind: Any) -> Any:
    """Return the value of a setting.

    Args:
        name: the setting.
        text: of the variable.
        kind: the type of the setting.

    Raises:
        ConfigurationError: if the text is not such a value.
    """
    if kind is int:
        if not text.strip().isdecimal():
            raise ConfigurationError(f"{ENVIRONMENT}{name.upper()} must be a whole number, got {got(text)}")
        return int(text)
    if kind is bool:
        words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}
        if text.strip().lower() not in words:
            raise ConfigurationError(f"{ENVIRONMENT}{name.upper()} must be true or false, got {got(text)}")
        return words[text.strip().lower()]
    if name in _EXAMPLES:
        values = read_named_values(text, name, _EXAMPLES[name])
        return read_policy_options(values) if name == "password_policy" else values
    if name == "oidc_providers":
        return read_providers(text)
    if name in _LISTS:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text
