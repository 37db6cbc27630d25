"""Read settings from files, and from the texts of environment variables."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from authguard._core.options import got, is_quoted
from authguard.errors import ConfigurationError
from authguard.identity.named_providers import read_providers
from authguard.identity.named_values import read_named_values
from authguard.identity.passwords.configured import read_policy_options
from authguard.identity.setting_durations import DURATIONS
from authguard.identity.setting_variables import ENVIRONMENT

_WORDS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(
    r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)\Z"
)
_EXAMPLES = {
    "limits": "login=10/900,mail=3/900",
    "api_key_tiers": "free=10/1000,pro=600/100000",
    "brand": "color=#0a5c36,privacy_url=https://example.com/privacy",
    "password_policy": "min_length=15,digit=true",
}
_SECRETS = ("secret", "token")  # settings with a check of their own; a previous secret may be in quotes
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
        # The text of a TOML error contains the line, but no value; the text of other errors may contain
        # values.
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
        return _read_number(name, text)
    if kind is bool:
        # A script with an unset variable gives an empty text; taken as false, it would switch off a default.
        if text.strip().lower() not in _WORDS:
            raise ConfigurationError(
                f"{ENVIRONMENT}{name.upper()} must be true or false, got {got(text)}: write true or false, "
                "or leave the variable out"
            )
        return _WORDS[text.strip().lower()]
    if is_quoted(text.strip()) and not name.endswith(_SECRETS):
        raise ConfigurationError(
            f"{name} must be the value alone, got text in quotes: leave them out, because shells remove "
            "quotes, and `docker run --env-file` does not"
        )
    if name in _EXAMPLES:
        values = read_named_values(text, name, _EXAMPLES[name])
        return read_policy_options(values) if name == "password_policy" else values
    if name == "oidc_providers":
        return read_providers(text)
    if name in _LISTS:
        return _read_list(name, text)
    return text


def _read_number(name: str, text: str) -> int:
    """Return a number, or name the number of seconds that a text with a unit means."""
    digits = text.strip().replace("_", "")
    if text.strip().isascii() and text.strip().isdecimal():
        return int(text)
    duration = _DURATION.match(digits.strip("\"'").lower())
    is_in_seconds = name in DURATIONS
    if duration is None:
        write = "write digits alone, such as 900" if is_in_seconds else "write digits alone"
    else:
        write = f"write {round(float(duration[1]) * _UNITS[duration[2][:1]])}"
    raise ConfigurationError(
        f"{ENVIRONMENT}{name.upper()} must be a whole number{' of seconds' if is_in_seconds else ''}, got "
        f"{got(text)}: {write}"
    )


def _read_list(name: str, text: str) -> Any:
    """Return the values of a list: separated by commas, or as JSON."""
    if not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return json.loads(text)
    except ValueError:
        raise ConfigurationError(
            f"{ENVIRONMENT}{name.upper()} must be values separated by commas, or a JSON list, got "
            f"{got(text)}: write a,b"
        ) from None
