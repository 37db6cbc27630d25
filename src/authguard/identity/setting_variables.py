"""Find the settings among the environment variables: their names, and the files of secrets."""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path

from authguard._core.options import got
from authguard.errors import ConfigurationError
from authguard.identity.setting_faults import Faults

#: The prefix of the variables of settings.
ENVIRONMENT = "AUTHGUARD_"
#: The suffix of a variable that has the path of a file with the secret.
FILE = "_file"
MAX_SECRET_FILE = 65_536

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
        secrets: those that a file may contain: `AUTHGUARD_SECRET_FILE` has the path of one.
        faults: notes each variable that is not a setting, and each file that cannot be read.
    """
    texts: dict[str, str] = {}
    for variable, text in environment.items():
        if not variable.startswith(ENVIRONMENT) or is_of_orchestrator(variable, text):
            continue
        name = variable.removeprefix(ENVIRONMENT).lower()
        secret = name.removesuffix(FILE)
        if name in names:
            texts[name] = text
        elif name.endswith(FILE) and secret in secrets:
            texts.setdefault(secret, "")
            with faults.noting():
                texts[secret] = _from_file(variable, secret, text, environment)
        else:
            advice = _advice(name, names, secrets)
            faults.texts.append(f"each variable {ENVIRONMENT}… must be a setting, got {variable}{advice}")
    return texts


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


def read_secret_file(variable: str, path: str) -> str:
    """Return the secret in a file, without the newline at its end.

    Raises:
        ConfigurationError: if it cannot be read, is empty, or is too long for a secret.
    """
    fault = ""
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_SECRET_FILE + 1)
        text = data.decode().removesuffix("\n").removesuffix("\r")
    except (OSError, ValueError) as error:  # the second line may show the secret
        data, text, fault = b"", "", f": {type(error).__name__}"
    if len(data) > MAX_SECRET_FILE:
        fault = f", which has more than {MAX_SECRET_FILE} bytes"
    elif not text:
        fault = fault or ", which is empty"
    if fault:
        raise ConfigurationError(
            f"{variable} must be the path of a file with the secret, got {got(path)}{fault}"
        )
    return text


def nearest(name: str, names: Collection[str]) -> str:
    """Return the setting with the most similar name, else one that begins with it; empty for none."""
    longer = (each for each in sorted(names, key=len) if each.startswith(f"{name.lower()}_"))
    return next(iter(get_close_matches(name.lower(), list(names), 1, 0.7)), next(longer, ""))


def _advice(name: str, names: Collection[str], secrets: Collection[str]) -> str:
    """Return the correction for a name that is not a setting."""
    if name.endswith(FILE) and name.removesuffix(FILE) in names:
        return f": files are for secrets, so write {ENVIRONMENT}{name.removesuffix(FILE).upper()}"
    if name == "port":
        return ": write authguard serve --port"
    meant = nearest(name, [*names, *(secret + FILE for secret in secrets)])
    return f": write {ENVIRONMENT}{meant.upper()}" if meant else ""
