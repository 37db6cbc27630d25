"""Parse the setting `oidc_providers`: several providers of OpenID Connect, by their names in paths."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from authguard._core.options import check_flag, check_mapping, check_text, check_url
from authguard._core.strict_json import JSONError, parse_object
from authguard.errors import ConfigurationError
from authguard.verifiers.secret_text import check_secret_text

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")
_TAKEN = frozenset({"github", "linkedin", "oidc"})
_NEEDED = ("issuer", "client_id", "client_secret")
_EXAMPLE = '{"google": {"issuer": "https://accounts.google.com", "client_id": "…", "client_secret": "…"}}'


@dataclass(frozen=True, slots=True)
class NamedProvider:
    """Hold the settings of one provider; see `OpenIDProvider`."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str = "openid profile email"
    auth_method: str = "client_secret_basic"
    allow_private: bool = False
    repeats_nonce: bool = True


def parse_providers(providers: object) -> dict[str, NamedProvider]:
    """Return the providers of the setting `oidc_providers`, by name.

    Args:
        providers: for each name a table with `issuer`, `client_id`, `client_secret`, and the other options
            of a provider.

    Raises:
        ConfigurationError: if a name cannot be in a path or is taken, or a table lacks an option.
    """
    check_mapping(providers, "oidc_providers", f"oidc_providers={_EXAMPLE}")
    assert isinstance(providers, Mapping)  # noqa: S101 (checked in the line above)
    return {_name(name): _provider(name, table) for name, table in providers.items()}


def read_providers(text: str) -> dict[str, Any]:
    """Parse the setting from an environment variable: a JSON object.

    Raises:
        ConfigurationError: if it is not a JSON object; the text is not shown, because it contains secrets.
    """
    try:
        return parse_object(text.strip())
    except JSONError as error:
        raise ConfigurationError(
            f"oidc_providers must be a JSON object such as {_EXAMPLE}, got text that is not: {error}"
        ) from None


def _name(name: object) -> str:
    must = "be lower-case letters, digits and hyphens, and begin with a letter"
    text = check_text(name, "each name of oidc_providers", pattern=_NAME, must=must)
    if text in _TAKEN:
        raise ConfigurationError(
            "each name of oidc_providers must be another than github, linkedin and oidc, which have settings "
            f"of their own, got {text!r}"
        )
    return text


def _provider(name: str, table: object) -> NamedProvider:
    if isinstance(table, NamedProvider):
        return table
    option = f"oidc_providers.{name}"
    known = [each.name for each in fields(NamedProvider)]
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{option} must be a table with {', '.join(_NEEDED)}, got another type")
    if unknown := sorted(str(key) for key in table.keys() - set(known)):
        raise ConfigurationError(f"{option} must have only {', '.join(known)}, got {', '.join(unknown)}")
    if missing := [key for key in _NEEDED if not table.get(key)]:
        raise ConfigurationError(f"{option} must have {', '.join(_NEEDED)}, got no {', '.join(missing)}")
    check_url(table["issuer"], f"{option}.issuer", reason="codes and tokens are sent there")
    check_text(table["client_id"], f"{option}.client_id")
    check_text(table["client_secret"], f"{option}.client_secret", secret=True)
    check_secret_text(table["client_secret"], f"{option}.client_secret", chosen_here=False)
    for key in ("allow_private", "repeats_nonce"):
        check_flag(table.get(key, False), f"{option}.{key}")
    for key in ("scope", "auth_method"):
        check_text(table.get(key, "openid"), f"{option}.{key}")
    return NamedProvider(**table)
