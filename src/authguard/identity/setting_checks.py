"""Check settings of the identity service that need more than their type."""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from authguard._core.credential.cookies import check_cookie_name
from authguard._core.hosts import is_host
from authguard._core.jose.jwk import from_secret
from authguard._core.jose.secret import check_not_place
from authguard._core.options import (
    check_identifier,
    check_list,
    check_text,
    check_text_list,
    check_url,
    got,
    is_plain_http,
    several_names,
    unwrapped,
)
from authguard._core.policy.names import check_names
from authguard._core.policy.patterns import local_path
from authguard.errors import ConfigurationError
from authguard.identity.mail.mailer import check_product_name, check_sender
from authguard.identity.model import KEY_EVENTS
from authguard.identity.setting_faults import Faults
from authguard.stores.places import wrong_database_url
from authguard.stores.url_checks import check_database_url, check_url_text
from authguard.verifiers.secret_text import check_no_file, check_secret_text

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
    """Check the secret of the service, the previous secret, and those of providers.

    Args:
        settings: all settings.
        names: the settings with secrets of providers.

    Raises:
        ConfigurationError: if a value is not text, or a secret can be guessed.
    """
    for name in ("secret", "previous_secret", *names):
        secret = getattr(settings, name)
        if not isinstance(secret, str):
            raise ConfigurationError(
                f"{name} must be text, got {got(secret, secret=True)}"
                f"{unwrapped(secret) or ': of a file, Path(…).read_text()'}"
            )
    check_secret_text(settings.secret, "secret", chosen_here=True)
    # A secret in quotes can be changed without a loss of tokens: that text is then the previous secret.
    check_not_place(settings.previous_secret, "previous_secret")
    check_no_file(settings.previous_secret, "previous_secret")
    for name, secret in zip(("secret", "previous_secret"), settings.secrets, strict=False):
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
    parts = urlsplit(issuer)
    normal = f"{parts.scheme}://{parts.netloc.lower()}{parts.path}"
    if issuer != normal:  # as clients compare `iss`, and as browsers write the origin
        raise ConfigurationError(
            f"issuer must have scheme and host in lower case, got {got(issuer)}: write {normal}"
        )
    if "//" in parts.path:
        raise ConfigurationError(f"issuer must have no // in its path, got {got(issuer)}: write one slash")
    return issuer.removesuffix("/")


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
    if is_plain_http(origin):
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
            f"smtp_url, got {got(sender)}: set AUTHGUARD_MAIL_FROM"
        )


def missing_mailer(*, has_sender: bool) -> str:
    """Return the fault of settings without a mail server."""
    and_sender = "" if has_sender else " and AUTHGUARD_MAIL_FROM"
    return (
        f"smtp_url must be the server that sends mails, got None: set AUTHGUARD_SMTP_URL{and_sender}, or dev "
        "(`authguard serve --dev`) for mails on the console"
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
        ConfigurationError: if the list is empty, or a prefix is not a path.
    """
    paths = check_list(prefixes, "prefixes", '"/v1"')
    if not paths:
        raise ConfigurationError('prefixes must name at least one, such as "/v1", got an empty list')
    return tuple(local_path(prefix, "prefixes").rstrip("/") for prefix in paths)


def check_redirect_uris(uris: object, option: str) -> tuple[str, ...]:
    """Return redirect URIs at providers, which are compared exactly (RFC 9700 section 2.1).

    Args:
        uris: the redirect URIs.
        option: the name of the option.

    Raises:
        ConfigurationError: if one is a pattern, or neither an https URL nor an http URL on loopback.
    """
    listed = check_list(uris, option, '"https://app.example.com/callback"')
    for uri in listed:
        check_url(uri, f"each of {option}", reason="codes and tokens are sent there")
        if "*" in uri:
            raise ConfigurationError(
                f"each of {option} must be a whole URL, since it is compared exactly, got {got(uri)}: list "
                "each URL"
            )
    return tuple(listed)


def check_key_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """Return the scopes that an API key may have.

    Raises:
        ConfigurationError: if one is not a scope, or is `admin`.
    """
    named = check_text_list(scopes, "api_key_scopes", '"invoices:read"')
    must = "be a scope of 1 to 64 characters, and not admin, which admin_roles gives"
    check_names(named, "api_key_scopes", None)
    for scope in named:
        if scope == "admin" or not _SCOPE.match(scope):
            raise ConfigurationError(f"each of api_key_scopes must {must}, got {got(scope)}")
    return named


def check_admin_roles(roles: object) -> tuple[str, ...]:
    """Return the roles of administrators.

    Raises:
        ConfigurationError: if it is not a list of roles, or a text in it has several.
    """
    listed = check_text_list(roles, "admin_roles", '"ADMIN"')
    check_names(listed, "admin_roles", None)
    return listed


def check_database(url: object) -> str:
    """Return the URL of the database, with the name of the driver.

    Raises:
        ConfigurationError: if it is not the URL of a supported database.
    """
    if not isinstance(url, str) or not _DATABASE.match(url.lstrip()):
        raise wrong_database_url(url)
    check_database_url(url, "database")
    return _POSTGRES.sub("postgresql+psycopg://", url, count=1)


def check_role(role: str) -> str:
    """Return the role of new accounts.

    Raises:
        ConfigurationError: if it is too short or too long, or has white space around it.
    """
    must = "be 1 to 64 characters, and one role"
    if several_names(check_text(role, "default_role", pattern=_ROLE, must=must)):
        raise ConfigurationError(f"default_role must be one role, got {got(role)}: write one")
    return check_identifier(role, "default_role")


def check_default_role(role: str, admin_roles: Iterable[str]) -> None:
    """Check that a new account is no administrator, because every visitor may register an account.

    Raises:
        ConfigurationError: if the role of new accounts is one of `admin_roles`.
    """
    if role in admin_roles:
        raise ConfigurationError(
            "default_role and admin_roles must have no role in common, because every visitor may register, "
            f"got {got(role)} in both: take it out of admin_roles, or write another default_role, and use "
            "`authguard users set-role` for administrators"
        )


def check_texts(settings: Any, faults: Faults) -> None:
    """Check the texts that may be empty or None; other modules make further checks.

    Args:
        settings: all settings.
        faults: notes each wrong setting.
    """
    for name in ("smtp_url", "revocations_url"):
        with faults.noting():
            if getattr(settings, name) is not None:
                check_text(getattr(settings, name), name, must="be a URL", secret=True)
                check_url_text(getattr(settings, name), name)
    for name in _TEXTS:
        with faults.noting():
            if getattr(settings, name) is not None or name not in _MAY_BE_NONE:
                check_text_or_empty(getattr(settings, name), name)
    with faults.noting():
        if settings.audience == "":
            raise ConfigurationError(
                "audience must be the `aud` of the tokens, got '': leave it out for the issuer"
            )
        if isinstance(settings.audience, str):
            check_identifier(settings.audience, "audience")
    for name in ("cookie_name", "refresh_cookie_name"):
        with faults.noting():
            check_cookie_name(getattr(settings, name), name)


def check_scanning(settings: Any, faults: Faults) -> None:
    """Check the settings of the scanner of secrets.

    Args:
        settings: all settings.
        faults: notes each wrong setting.
    """
    with faults.noting():
        if settings.secret_scanning is True and not settings.api_keys:
            raise ConfigurationError(
                "secret_scanning must be False where api_keys is, since there are no keys to find, got True"
            )
    with faults.noting():
        check_scanner(settings.secret_scanning_keys_url, settings.secret_scanning_token)
