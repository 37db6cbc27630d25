"""Check settings of the identity service that need more than their type."""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from authguard._core.hosts import is_host, is_loopback
from authguard._core.jose.jwk import from_secret
from authguard._core.options import check_list, check_text, check_text_list, check_url, got
from authguard._core.policy.patterns import local_path
from authguard.errors import ConfigurationError
from authguard.identity.mail.mailer import check_product_name, check_sender
from authguard.identity.model import KEY_EVENTS
from authguard.identity.setting_faults import Faults
from authguard.verifiers.secret_text import check_secret_text

_DEFAULT_PORTS = {"http": 80, "https": 443}
_DATABASE = re.compile(r"sqlite:///|postgres(?:ql(?:\+psycopg)?)?://")
_POSTGRES = re.compile(r"postgres(?:ql)?://")
_ROLE = re.compile(r"(?s:.{1,64})\Z")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,64}\Z")  # RFC 6749 section 3.3
_MAY_BE_NONE = ("audience", "mail_from")
_TEXTS = (
    *_MAY_BE_NONE,
    "github_client_id",
    "linkedin_client_id",
    "oidc_issuer",
    "oidc_client_id",
    "pages_path",
)
_TOKEN = re.compile(r"[\x21-\x7e]{1,1000}\Z")


def check_secrets(settings: Any, names: Iterable[str]) -> None:
    """Check the secret of the service, the one before it, and those of providers.

    Args:
        settings: all of them.
        names: the settings with secrets of providers.

    Raises:
        ConfigurationError: for something else than text, and for a secret that can be guessed.
    """
    for name in ("secret", "previous_secret", *names):
        secret = getattr(settings, name)
        if not isinstance(secret, str):
            raise ConfigurationError(
                f"{name} must be text, got {got(secret, secret=True)}: of a file, Path(…).read_text()"
            )
    for name, secret in zip(("secret", "previous_secret"), settings.secrets, strict=False):
        check_secret_text(secret, name, chosen_here=True)
        from_secret(secret, frozenset({"HS256"}), name)
    for name in names:
        check_secret_text(getattr(settings, name), name, chosen_here=False)
    if settings.previous_secret == settings.secret:
        raise ConfigurationError(
            "previous_secret must differ from secret, got the same: leave it out, or change secret"
        )


def check_issuer(issuer: str) -> str:
    """Return the issuer without a slash at its end (RFC 8414 section 2: https, no query, no fragment).

    Raises:
        ConfigurationError: if it is not an issuer.
    """
    check_url(issuer, "issuer", example="https://auth.example.com", reason="passwords are sent there")
    if "?" in issuer:
        raise ConfigurationError(f"issuer must have no query, got {got(issuer)}")
    return issuer.rstrip("/")


def check_origins(origins: object) -> tuple[str, ...]:
    """Return the origins of pages that may call the API, each as browsers write it in the Origin field.

    Raises:
        ConfigurationError: if an origin is one that no browser sends, `*`, `null`, or plain http beyond this
            machine.
    """
    given = check_text_list(origins, "cors_origins", '"https://app.example.com"')
    for origin in given:
        if fault := _fault_of_origin(origin):
            raise ConfigurationError(
                "each of cors_origins must be an origin such as https://app.example.com, got "
                f"{got(origin)}{fault}"
            )
    return tuple(given)


def _fault_of_origin(origin: str) -> str:
    """Return the correction of an invalid origin, for the error; empty if it is valid."""
    if origin in ("*", "null"):
        return ", which other sites have as well: name each origin"
    normal = origin_of(origin)
    if origin != normal:
        return f": write {normal}" if normal else ": write scheme, host and port alone"
    if origin.startswith("http://") and not is_loopback(urlsplit(origin).hostname or ""):
        return ", which is plain http: an attacker who changes that page in transit gets the tokens in it"
    return ""


def origin_of(url: str) -> str:
    """Return the origin of a URL as browsers write it (RFC 6454 section 6.2); empty if it has none."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        return ""
    if parts.scheme not in _DEFAULT_PORTS or not is_host(host) or "@" in parts.netloc:
        return ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + ("" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}")


def check_text_or_empty(value: object, name: str) -> None:
    """Check a text that may be empty.

    Raises:
        ConfigurationError: if it is not text.
    """
    if value != "":
        check_text(value, name, must="be text")


def check_mail(smtp_url: str | None, sender: str | None, product_name: object) -> None:
    """Check the sender of mails and the name of the product.

    Raises:
        ConfigurationError: if the sender of a mail server is missing, or a value is invalid.
    """
    check_product_name(product_name)
    if sender:
        check_sender(sender)
    elif smtp_url is not None:
        raise ConfigurationError(
            "mail_from must be the sender of mails, such as accounts@example.com, where there is an "
            f"smtp_url, got {got(sender)}"
        )


def check_key_mails(events: object) -> tuple[str, ...]:
    """Return the events of API keys about which owners are notified by mail.

    Raises:
        ConfigurationError: if it is not a list of some of `KEY_EVENTS`.
    """
    given = check_list(events, "api_key_mails", '"expiring"')
    if unknown := [event for event in given if event not in KEY_EVENTS]:
        raise ConfigurationError(
            f"api_key_mails must be among {', '.join(KEY_EVENTS)}, got {', '.join(map(got, unknown))}"
        )
    return tuple(given)


def check_scanner(keys_url: object, token: str) -> None:
    """Check the URL of a secret scanner's public keys, and the token for that URL.

    Raises:
        ConfigurationError: if one of them is invalid.
    """
    example = "https://api.github.com/meta/public_keys/secret_scanning"
    reason = "an attacker who changes the answer can revoke keys"
    check_url(keys_url, "secret_scanning_keys_url", example=example, reason=reason)
    if token != "":
        must = "be text of printable ASCII characters without spaces, or empty for none"
        name = "secret_scanning_token"
        check_text(token, name, pattern=_TOKEN, must=must, secret=True)
        check_secret_text(token, name, chosen_here=False)


def check_paths(prefixes: Iterable[str]) -> tuple[str, ...]:
    """Return the prefixes of the API.

    Raises:
        ConfigurationError: if there is none, or it is no path.
    """
    paths = check_list(prefixes, "prefixes", '"/v1"')
    if not paths:
        raise ConfigurationError('prefixes must name at least one, such as "/v1", got an empty list')
    return tuple(local_path(prefix, "prefixes") for prefix in paths)


def check_key_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """Return the scopes that an API key may have.

    Raises:
        ConfigurationError: if one is no scope, or is `admin`.
    """
    named = check_text_list(scopes, "api_key_scopes", '"invoices:read"')
    must = "be a scope of 1 to 64 characters, and not admin, which admin_roles gives"
    for scope in named:
        check_text(scope if scope != "admin" else "", "each of api_key_scopes", pattern=_SCOPE, must=must)
    return named


def check_database(url: str) -> str:
    """Return the URL of the database, with the name of the driver.

    Raises:
        ConfigurationError: if it is no URL of a database that the service can use.
    """
    must = "be sqlite:///file or postgresql://user@host/name"
    check_text(url, "database", pattern=_DATABASE, must=must, secret=True)
    return _POSTGRES.sub("postgresql+psycopg://", url, count=1)


def check_role(role: str) -> str:
    """Return the role of new accounts.

    Raises:
        ConfigurationError: if it is too short or too long.
    """
    return check_text(role, "default_role", pattern=_ROLE, must="be 1 to 64 characters")


def check_texts(settings: Any, faults: Faults) -> None:
    """Check the texts that may be empty or None; further checks are made where they are used.

    Args:
        settings: all of them.
        faults: notes each wrong one.
    """
    for name in ("smtp_url", "limits_url", "revocations_url"):
        with faults.noting():
            if getattr(settings, name) is not None or name == "limits_url":
                check_text(getattr(settings, name), name, must="be a URL", secret=True)
    for name in _TEXTS:
        with faults.noting():
            if getattr(settings, name) is not None or name not in _MAY_BE_NONE:
                check_text_or_empty(getattr(settings, name), name)
    for name in ("cookie_name", "refresh_cookie_name"):
        with faults.noting():
            check_text(getattr(settings, name), name)


def check_scanning(settings: Any, faults: Faults) -> None:
    """Check the settings of the scanner of secrets.

    Args:
        settings: all of them.
        faults: notes each wrong one.
    """
    with faults.noting():
        if settings.secret_scanning is True and not settings.api_keys:
            raise ConfigurationError(
                "secret_scanning must be False where api_keys is, since there are no keys to find, got True"
            )
    with faults.noting():
        check_scanner(settings.secret_scanning_keys_url, settings.secret_scanning_token)
