"""Build the policy of passwords and the check for breached passwords from the settings."""

from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any

from authguard._core.options import check_mapping, check_text, got
from authguard.errors import ConfigurationError
from authguard.identity.passwords.breaches import (
    BreachedFile,
    BreachedPasswords,
    BreachedService,
    BreachedWords,
    is_digest_list,
)
from authguard.identity.passwords.hashing import PasswordPolicy

_POLICY, _BREACHES = "password_policy", "breached_passwords"
_EXAMPLE = 'password_policy={"min_length": 15}'
_OPTIONS = tuple(signature(PasswordPolicy).parameters)
#: The defaults of a policy of the settings: NIST SP 800-63B-4 section 3.1.1.2.
_NIST: Mapping[str, Any] = {
    "min_length": 15,
    "upper": False,
    "lower": False,
    "digit": False,
    "special": False,
}
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def policy_from(options: object) -> PasswordPolicy:
    """Return the policy of the setting `password_policy`.

    Args:
        options: options of `PasswordPolicy` by name; empty for the policy of the AINative guide. The
            defaults of the options follow NIST SP 800-63B-4.

    Raises:
        ConfigurationError: for an unknown option, or an invalid value.
    """
    given = check_mapping(options, _POLICY, _EXAMPLE)
    if unknown := sorted(str(name) for name in given if name not in _OPTIONS):
        raise ConfigurationError(
            f"{_POLICY} must be a table with some of {', '.join(_OPTIONS)}, got {', '.join(unknown)}"
        )
    if not given:
        return PasswordPolicy()
    try:
        return PasswordPolicy(**{**_NIST, **given})
    except ConfigurationError as error:  # the message of the error names the option
        raise ConfigurationError(f"{_POLICY}: {error}") from None


def read_policy_options(texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the options of the setting as they are in a variable, such as `min_length=15,digit=true`."""
    return {
        name: int(text) if name.endswith("_length") and text.isdecimal() else _FLAGS.get(text.lower(), text)
        for name, text in texts.items()
    }


def breaches_from(place: str, *, fail_open: bool) -> BreachedPasswords | None:
    """Return the list or service of the setting `breached_passwords`; None if the setting is empty.

    Args:
        place: the path of a list, or the URL of a service.
        fail_open: whether passwords are accepted while the service is unreachable.

    Raises:
        ConfigurationError: if the list cannot be read, or the URL is invalid.
    """
    if not place:
        return None
    try:
        if "://" in place:
            return BreachedService(place, fail_open=fail_open)
        path = Path(place)
        return BreachedFile(path) if is_digest_list(path) else BreachedWords(path)
    except ConfigurationError as error:  # the message of the error names the option of the class
        raise ConfigurationError(f"{_BREACHES}: {error}") from None


def check_breaches(place: object, *, fail_open: bool) -> None:
    """Check the two settings; the list is opened where the service is built.

    Raises:
        ConfigurationError: if `place` is not text, or `fail_open` is set without a service.
    """
    if place != "":
        check_text(place, _BREACHES, must="be the path of a list, or the https:// address of a service")
    if fail_open and "://" not in str(place):
        raise ConfigurationError(
            f"{_BREACHES}_fail_open must be False unless {_BREACHES} is the address of a service, got True "
            f"with {got(place)}"
        )
