"""Read settings from the texts of environment variables."""

import json
import re
from typing import Any

from authguard._core.options import COMMENT, got, is_quoted, several_names
from authguard.errors import ConfigurationError
from authguard.identity.named_providers import read_providers
from authguard.identity.named_values import SEPARATOR, read_named_values
from authguard.identity.passwords.configured import read_policy_options
from authguard.identity.setting_durations import DURATIONS
from authguard.identity.setting_faults import REMOVE_WHITE_SPACE
from authguard.identity.setting_variables import ENVIRONMENT

_WORDS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
MAX_DIGITS = 100
_DURATION = re.compile(
    r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)\Z"
)
_EXAMPLES = {
    "limits": "login=10/900,mail=3/900",
    "api_key_tiers": "free=10/1000,pro=600/100000",
    "brand": "color=#0a5c36,privacy_url=https://example.com/privacy",
    "password_policy": "min_length=15,digit=true",
}
# Settings with a check of their own. `previous_secret` and `api_key_check_secret` have none: with a corrected
# text, credentials that were issued with the first text would be refused.
_SECRETS = ("secret", "token")
_ONE_NAME = {"audience": "audience", "default_role": "role"}
# In a name for people, and before a colour, `#` without white space behind it begins no comment.
_FOR_PEOPLE = ("brand", "mail_from", "product_name")
_COMMENT_FOR_PEOPLE = re.compile(r"\A#\s|\s#\s")
_LISTS = frozenset(
    {"prefixes", "redirect_uris", "cors_origins", "api_key_prefixes", "api_key_scopes", "admin_roles"}
    | {"api_key_mails"}
)
# Lists of names, which contain no separator, and lists whose values contain no white space.
_NAMES = frozenset({"admin_roles", "api_key_scopes", "default_role"})
_WITHOUT_SPACES = _LISTS - {"admin_roles"}


def read_variable(name: str, text: str, kind: Any) -> Any:
    """Return the value of a setting.

    Args:
        name: the setting.
        text: of the variable.
        kind: the type of the setting.

    Raises:
        ConfigurationError: if the text is not such a value.
    """
    if not name.endswith(_SECRETS):
        _check_no_comment(name, text)
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
    if not name.endswith(_SECRETS):
        _check_one_value(name, text)
    return text


def _check_no_comment(name: str, text: str) -> None:
    """Check that a value has no comment behind it.

    Raises:
        ConfigurationError: if it has; the text is not shown, because a URL may contain a secret.
    """
    is_json = text.lstrip().startswith(("{", "["))  # a comment is no JSON, and `#` may be in a text
    comment = _COMMENT_FOR_PEOPLE if name in _FOR_PEOPLE else COMMENT
    if not is_json and comment.search(text):
        raise ConfigurationError(
            f"{name} must be the value alone, got text with white space and `#`, as before a comment: write "
            "the comment on a line of its own, or a value that contains them into the file that "
            f"{ENVIRONMENT}CONFIG names"
        )


def _check_one_value(name: str, text: str) -> None:
    """Check that a text has no white space around it, and no separators between several names.

    Raises:
        ConfigurationError: if it has.
    """
    if text != text.strip():
        raise ConfigurationError(
            f"{name} must be without white space around it, got text with it: {REMOVE_WHITE_SPACE}"
        )
    # `CN=Users,OU=Groups` is one role, the name of a group in a directory.
    if name in _ONE_NAME and SEPARATOR.search(text) and "=" not in text:
        into_file = f"{name} = {json.dumps(text)} into the file that {ENVIRONMENT}CONFIG names"
        or_file = "" if name in _NAMES and several_names(text) else f", or, if this is its name, {into_file}"
        raise ConfigurationError(f"{name} must be one {_ONE_NAME[name]}, got {got(text)}: write one{or_file}")


def _read_number(name: str, text: str) -> int:
    """Return a number, or name the number of seconds that a text with a unit means."""
    digits = text.strip().replace("_", "")
    if text.strip().isascii() and text.strip().isdecimal():
        # Python refuses to read some thousand digits. A part of them is out of range, too.
        return int(text.strip().lstrip("0")[:MAX_DIGITS] or "0")
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
        remedy = _other_separators(name, text)
        if not remedy:
            return [part.strip() for part in text.split(",") if part.strip()]
    else:
        try:
            return json.loads(text)
        except ValueError:
            remedy = "a,b"
    raise ConfigurationError(
        f"{ENVIRONMENT}{name.upper()} must be values separated by commas, or a JSON list, got {got(text)}: "
        f"write {remedy}"
    ) from None


def _other_separators(name: str, text: str) -> str:
    """Return the spelling of a list with other separators than commas; empty for one with commas.

    Beside commas, white space is a part of a name, as in `Global Admin,Owner`.
    """
    parts = [part for part in text.split(",") if part.strip()]
    # `CN=Admins,OU=Groups` is one role, the name of a group in a directory.
    if name == "admin_roles" and len(parts) > 1 and "=" in text:
        return f"a,b for several, or {json.dumps([text])} for one"
    has_spaces = len(parts) == 1 and len(text.split()) > 1
    if ";" not in text and not has_spaces:
        return ""
    names = re.split(r"[,;\s]+" if has_spaces else "[,;]", text)
    several = ",".join(part.strip() for part in names if part.strip()) or "a,b"
    if (name in _WITHOUT_SPACES and has_spaces) or (name in _NAMES and several_names(text)):
        return several
    return f"{several} for several, or {json.dumps([text.strip()])} for one"
