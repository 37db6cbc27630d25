"""Find the settings among the environment variables, and read their files: TOML, or one secret each."""

import logging
import os
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from authguard._core.jose.secret import shown_path
from authguard.errors import ConfigurationError
from authguard.identity.setting_faults import Faults
from authguard.verifiers.key_files import warn_if_open

#: The prefix of the variables of settings.
ENVIRONMENT = "AUTHGUARD_"
#: The suffix of a variable with the path of a file that contains the secret.
FILE = "_file"
#: The greatest number of bytes of a file with a secret.
MAX_SECRET_FILE = 65_536

logger = logging.getLogger("authguard")

_SAVE = "save it as UTF-8 without a byte order mark"

#: The settings, by the names that users of other programs may try.
_OTHER_NAMES = {
    name: setting
    for setting, others in {
        "database": "db db_url db_uri dsn postgres postgres_url postgresql_url sqlite sqlalchemy_url "
        "sqlalchemy_database_uri",
        "secret": "key jwt_key jwt_secret jwt_secret_key signing_key signing_secret token_secret",
        "issuer": "url base_url public_url server_url site_url domain iss jwt_issuer",
        "audience": "aud jwt_audience",
        "algorithm": "alg jwt_algorithm algorithms",
        "access_lifetime": "token_lifetime token_ttl access_ttl access_token_ttl access_token_lifetime "
        "access_token_expires access_token_expire_minutes jwt_access_token_expires jwt_expiration",
        "refresh_lifetime": "refresh_ttl refresh_token_ttl refresh_token_lifetime refresh_token_expires "
        "refresh_token_expire_days jwt_refresh_token_expires",
        "limits_url or revocations_url": "redis redis_url redis_uri redis_host cache_url",
        "limits_url": "limits_storage rate_limit_url rate_limit_storage ratelimit_storage_uri",
        "limits": "rate_limit rate_limits ratelimit",
        "smtp_url": "smtp_host smtp_port smtp_server smtp_user smtp_username smtp_password mail_url "
        "mail_server mail_username mail_password email_url email_host email_host_user email_host_password",
        "mail_from": "from from_email email_from smtp_from sender mail_sender default_from_email "
        "mail_default_sender",
        "cors_origins": "cors allowed_origins cors_allowed_origins",
        "api_key_tiers": "tiers key_tiers",
        "api_key_tier": "tier key_tier default_tier",
        "product_name": "name app_name site_name",
        "dev": "debug development",
    }.items()
    for name in others.split()
}
_SERVE_OPTIONS = (
    "host", "port", "workers", "log_level", "log_format", "access_log", "root_path", "forwarded_allow_ips",
)  # fmt: skip
_ENDING = re.compile(r"_(?:url|uri|dsn|key|name|value|string|text|seconds)\Z")

_NUMBER = r"[0-9]{1,5}"
_ADDRESS = r"[0-9a-fA-F.:]{2,45}"
_URL = r"(?:tcp|udp|sctp)://\S+"
_PROTOCOL = "TCP|UDP|SCTP"
# Kubernetes and Docker set variables about a service named `authguard` or `authguard-web`, which have the
# same prefix. Their values must match, too, so that no setting is lost.
_OF_ORCHESTRATORS = tuple(
    (re.compile(rf"{ENVIRONMENT}(?:[A-Z0-9_]+_)?{name}\Z"), re.compile(rf"(?:{value})\Z"))
    for name, value in (
        ("SERVICE_HOST", _ADDRESS),
        ("SERVICE_PORT(?:_[A-Z0-9_]+)?", _NUMBER),
        ("PORT", _URL),
        (rf"PORT_{_NUMBER}_(?:{_PROTOCOL})", _URL),
        (rf"PORT_{_NUMBER}_(?:{_PROTOCOL})_PROTO", "tcp|udp|sctp"),
        (rf"PORT_{_NUMBER}_(?:{_PROTOCOL})_PORT", _NUMBER),
        (rf"PORT_{_NUMBER}_(?:{_PROTOCOL})_ADDR", _ADDRESS),
    )
)


def read_variables(
    environment: Mapping[str, str], names: Collection[str], secrets: Collection[str], faults: Faults
) -> dict[str, str]:
    """Return the texts of the settings in environment variables, by setting name.

    Args:
        environment: all variables.
        names: the settings.
        secrets: the settings that a file may contain: `AUTHGUARD_SECRET_FILE` is the path of such a file.
        faults: notes the variable of each setting, each variable that is not a setting, and each file that
            cannot be read.
    """
    texts: dict[str, str] = {}
    for variable, text in environment.items():
        if not variable.startswith(ENVIRONMENT):
            if variable.upper().startswith(ENVIRONMENT) and _is_setting(variable, names, secrets):
                faults.texts.append(f"{variable} must be in capital letters: write {variable.upper()}")
            continue
        if is_of_orchestrator(variable, text):
            continue
        name = variable.removeprefix(ENVIRONMENT).lower()
        secret = name.removesuffix(FILE)
        if name in names:
            texts[name] = text
            faults.variables[name] = variable
        elif name.endswith(FILE) and secret in secrets:
            faults.variables.setdefault(secret, variable)
            with faults.noting():
                texts[secret] = _from_file(variable, secret, text, environment)
        else:
            advice = _advice(name, names, secrets)
            faults.texts.append(f"each variable {ENVIRONMENT}… must be a setting, got {variable}{advice}")
    return texts


def _is_setting(variable: str, names: Collection[str], secrets: Collection[str]) -> bool:
    name = variable[len(ENVIRONMENT) :].lower()
    return name in names or (name.endswith(FILE) and name.removesuffix(FILE) in secrets)


def _from_file(variable: str, secret: str, path: str, environment: Mapping[str, str]) -> str:
    """Return the secret in the file that a variable names."""
    if f"{ENVIRONMENT}{secret.upper()}" in environment:
        raise ConfigurationError(
            f"{secret} must be given once, got {ENVIRONMENT}{secret.upper()} and {variable}: leave one of "
            "them out"
        )
    return read_secret_file(variable, path)


def is_of_orchestrator(variable: str, text: str) -> bool:
    """Return whether Kubernetes or Docker has set a variable for a service with this name."""
    return any(name.match(variable) and value.match(text) for name, value in _OF_ORCHESTRATORS)


def read_file(path: str) -> dict[str, Any]:
    """Return the settings of a TOML file.

    Raises:
        ConfigurationError: if it cannot be read.
    """
    if not path:  # such as that of an unset variable of a script: all settings of the file would be lost
        raise ConfigurationError("AUTHGUARD_CONFIG must be the path of a TOML file, got '': leave it out")
    text = ""
    try:
        text = _read(path).decode()
        return tomllib.loads(text)
    except (OSError, ValueError) as error:
        # The text of a TOML error contains the line, but no value; the text of other errors may contain
        # values.
        reason = str(error) if isinstance(error, tomllib.TOMLDecodeError) else type(error).__name__
        # UTF-16 has a byte order mark that is not UTF-8, or zeros.
        if isinstance(error, UnicodeDecodeError) or text.startswith("\ufeff") or "\0" in text:
            reason = f"it has another encoding, so {_SAVE}"
        raise ConfigurationError(
            f"the settings file must be readable TOML, got {path!r}: {reason}"
        ) from error


def read_secret_file(variable: str, path: str) -> str:
    """Return the secret in a file, without spaces and line breaks around it.

    Raises:
        ConfigurationError: if it cannot be read, is empty, or is too long for a secret.
    """
    fault = ""
    if not path:
        raise ConfigurationError(
            f"{variable} must be the path of a file with the secret, got '': leave it out"
        )
    try:
        data = _read(path, MAX_SECRET_FILE + 1)
        text = data.decode().strip()
    except UnicodeDecodeError:  # its text may show the secret, as that of other errors
        data, text, fault = b"", "", f", which is not UTF-8: {_SAVE}"
    except (OSError, ValueError) as error:
        data, text, fault = b"", "", f": {type(error).__name__}"
    if len(data) > MAX_SECRET_FILE:
        fault = f", which has more than {MAX_SECRET_FILE} bytes"
    elif not text:
        fault = fault or ", which is empty"
    if fault:
        raise ConfigurationError(
            f"{variable} must be the path of a file with the secret, got {shown_path(path)}{fault}"
        )
    return text


def _read(path: str, size: int = -1) -> bytes:
    """Return the content of a file, up to a number of bytes, and warn if every user can change the file.

    Every user may read it: containers have their secrets in files with the mode 0444.
    """
    with Path(path).open("rb") as file:
        warn_if_open(path, os.fstat(file.fileno()))
        return file.read(size)


def nearest(name: str, names: Collection[str]) -> str:
    """Return the setting that a name probably means, or several, joined by " or "; empty for none."""
    name = name.lower()
    if name in _OTHER_NAMES:
        return _OTHER_NAMES[name]
    stem = _ENDING.sub("", name)
    if stem in names:
        return stem
    longer = (each for each in sorted(names, key=len) if each.startswith(f"{name}_"))
    return next(iter(get_close_matches(name, list(names), 1, 0.7)), next(longer, ""))


def advice_on(unknown: Sequence[str], names: Collection[str]) -> str:
    """Return the correction for names in a file that are not settings."""
    if len(unknown) == 1 and unknown[0].lower().removeprefix(ENVIRONMENT.lower()).removesuffix(FILE) in names:
        name = unknown[0].lower().removeprefix(ENVIRONMENT.lower())
        if name.endswith(FILE):  # as the setting itself, the path would be the secret
            return (
                f": set the variable {ENVIRONMENT}{name.upper()}, because a file of settings names no files"
            )
        return f": write {name}"
    meant = {name: nearest(name, names) for name in unknown}
    if len(unknown) == 1:
        return f": write {meant[unknown[0]]}" if meant[unknown[0]] else ""
    corrections = [f"{setting} instead of {name}" for name, setting in meant.items() if setting]
    return f": write {', '.join(corrections)}" if corrections else ""


def _advice(name: str, names: Collection[str], secrets: Collection[str]) -> str:
    """Return the correction for a name that is not a setting."""
    if name in _SERVE_OPTIONS:
        return f": write authguard serve --{name.replace('_', '-')}"
    is_file = name.endswith(FILE)
    # In the variable of the secret itself, a path would be the secret.
    known = names if is_file else [*names, *(secret + FILE for secret in secrets)]
    meant = [each for each in nearest(name.removesuffix(FILE), known).split(" or ") if each]
    if is_file and meant == [name.removesuffix(FILE)]:
        return f": files are for secrets, so write {ENVIRONMENT}{meant[0].upper()}"
    variables = [
        ENVIRONMENT + (each + FILE if is_file and each in secrets else each).upper() for each in meant
    ]
    return f": write {' or '.join(variables)}" if variables else ""
