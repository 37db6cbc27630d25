"""Hold the settings of the identity service, checked when they are built."""

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from secrets import token_urlsafe
from typing import Any
from urllib.parse import quote

from authguard._core.credential.cookies import AccessCookie
from authguard._core.credential.key_format import check_check_secret, check_prefixes
from authguard._core.options import check_choice, check_flag, check_whole, got, named_options
from authguard._core.policy.patterns import local_path
from authguard.errors import ConfigurationError
from authguard.identity.brand import parse_brand
from authguard.identity.limits import check_limits_url, parse_limits
from authguard.identity.model import KEY_EVENTS
from authguard.identity.named_providers import parse_providers
from authguard.identity.passwords.configured import check_breaches, policy_from
from authguard.identity.setting_checks import (
    check_admin_roles,
    check_database,
    check_default_role,
    check_issuer,
    check_key_mails,
    check_key_scopes,
    check_mail,
    check_origins,
    check_paths,
    check_redirect_uris,
    check_role,
    check_scanning,
    check_secrets,
    check_texts,
    origin_of,
)
from authguard.identity.setting_durations import check_durations
from authguard.identity.setting_faults import Faults
from authguard.identity.setting_sources import read_variable
from authguard.identity.setting_variables import ENVIRONMENT, advice_on, read_file, read_variables
from authguard.identity.tiers import parse_tiers

ALGORITHMS = ("HS256", "RS256", "ES256", "EdDSA")

_DAY = 86_400
#: The key prefixes of the AINative guide and of the API of Invora.
KEY_PREFIXES = ("sk_live_", "sk_test_", "claw_", "ak_")
#: The required settings, each with a placeholder with which the other settings are checked if it is missing.
_REQUIRED: dict[str, Any] = {"secret": token_urlsafe(32), "issuer": "https://issuer.example"}
_PROVIDER_SECRETS = ("github_client_secret", "linkedin_client_secret", "oidc_client_secret")


def _own_prefixes(prefixes: Iterable[str]) -> tuple[str, ...]:
    own = check_prefixes(prefixes, "api_key_prefixes")
    check_prefixes((*KEY_PREFIXES, *own), "api_key_prefixes")
    return own


#: The functions that return the checked value, by setting.
_CHECKED: dict[str, Callable[[Any], Any]] = {
    "issuer": check_issuer,
    "database": check_database,
    "limits": parse_limits,
    "limits_url": partial(check_limits_url, option="limits_url"),
    "oidc_providers": parse_providers,
    "prefixes": check_paths,
    "redirect_uris": partial(check_redirect_uris, option="redirect_uris"),
    "cors_origins": check_origins,
    "api_key_prefixes": _own_prefixes,
    "api_key_scopes": check_key_scopes,
    "api_key_mails": check_key_mails,
    "admin_roles": check_admin_roles,
    "default_role": check_role,
}


@named_options
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Configure the identity service. The defaults are those of the AINative authentication guide.

    Args:
        secret: 32 random bytes or more. It signs HS256 tokens. Keys for refresh tokens and for the encryption
            of signing keys are derived from it.
        previous_secret: the previous secret, during a change: tokens that it signed and keys that it
            encrypted stay valid, but it signs and encrypts nothing new. Empty for none.
        issuer: the URL of the service: the `iss` of its tokens, and the beginning of links in its mails.
        audience: the `aud` of the tokens; None for the issuer.
        database: `sqlite:///file` or `postgresql+psycopg://…`.
        algorithm: the signature algorithm: HS256 with the secret, or RS256, ES256, EdDSA with a rotating key
            set.
        access_token_typ: the `typ` of access tokens: `at+jwt` (RFC 9068), or `JWT`; None for `JWT` with
            HS256, otherwise for the type of the previous signing keys, or `at+jwt` without previous keys.
        signing_key_lifetime: seconds after which a new signing key is used.
        access_lifetime: seconds for which an access token is valid.
        refresh_lifetime: seconds after which a session that is not refreshed ends.
        session_lifetime: seconds after which a session ends in any case.
        refresh_grace: seconds for which the previous refresh token gets the newest one again, for tabs that
            refresh together; 0 for never, so that a refresh token can be used once.
        lost_answer_lifetime: seconds for which the previous refresh token is accepted while the newest one
            has not been used, for clients that did not receive the answer and try again later.
        bearer_refresh_lifetime: seconds after a sign-in for which its access tokens can be exchanged for
            new ones at `auth/refresh` without a refresh token; 0 for never.
        link_lifetime: seconds for which the links in mails are valid.
        prefixes: the path prefixes of the API; metadata names the first.
        default_role: the role of new accounts.
        require_verified_email: whether an address must be verified before its owner can sign in.
        enumeration_safe: whether registering a known address gets the same answer as a new one, and so does
            signing in until the link in the mail was used. Registering then starts no session.
        verify_needs_password: whether `auth/verify-email` requires, in addition to the token of the mail, the
            password of the account or a caller who is signed in to it.
        account_deletion: whether owners can delete their accounts themselves.
        password_policy: the rules for new passwords, by options of `PasswordPolicy`: `{"min_length": 15}`.
            The defaults of these options follow NIST SP 800-63B-4, without rules about kinds of characters.
            Empty for the policy of the AINative guide.
        breached_passwords: a source of breached passwords: the path of a list, or the URL of a service, such
            as `https://api.pwnedpasswords.com/range/`; empty for none.
        breached_passwords_fail_open: whether new passwords are accepted while that service is unreachable;
            otherwise they are refused with 503.
        password_grant: whether the token endpoint accepts passwords, which RFC 9700 advises against.
        limits_url: the store of the limits: `memory://`, or `redis://…` for several processes.
        revocations_url: a store that receives logouts in addition to the database, for guards without access
            to the database: `redis://…` for those with a `RedisStore`, `postgresql://…` for those with a
            `PostgresStore`; None for no other store.
        limits: limits that replace those of `limits.DEFAULT_LIMITS`, by name: `{"login": "10/900"}` is 10 in
            900 seconds.
        smtp_url: the mail server, such as `smtp+starttls://user:password@mail.example.com:587`.
        smtp_allow_plain_text: whether `smtp_url` may be `smtp://` to another machine, without encryption.
        mail_from: the sender of mails, such as `accounts@example.com` or `Acme <accounts@example.com>`.
        product_name: the product name on pages and in subjects and texts of mails; empty for the host on
            pages, and for none in mails.
        brand: logo, colours and links of pages and mails, by the attributes of `brand.Brand`, such as
            `{"color": "#0a5c36", "privacy_url": "https://example.com/privacy"}`.
        github_client_id: the client id of the OAuth app at GitHub; empty for no sign-in with GitHub.
        github_client_secret: the client secret of that OAuth app.
        linkedin_client_id: the client id of the application at LinkedIn; empty for no sign-in with LinkedIn.
        linkedin_client_secret: the client secret of that application.
        oidc_issuer: the issuer of another provider of OpenID Connect.
        oidc_client_id: the client id at that provider; empty for none.
        oidc_client_secret: the client secret at that provider.
        oidc_allow_private: whether its metadata may refer to another host on this machine, or to an address
            in a private network.
        oidc_providers: further providers of OpenID Connect, by their names in paths: for each a table with
            `issuer`, `client_id` and `client_secret`, and options of `OpenIDProvider`.
        social_refresh_tokens: whether the answer of `auth/{provider}/callback` to an application has a
            refresh token, which the AINative guide does not have.
        redirect_uris: further redirect URIs at providers: pages of applications that send the code to this
            service themselves. Compared exactly.
        cors_origins: other origins whose pages may call the API with a token, such as
            `https://app.example.com`. Cookies are not accepted from them.
        cookie_name: the cookie with the access token, for pages.
        refresh_cookie_name: the cookie with the refresh token, for pages.
        pages: whether to serve pages for browsers: sign in, register, account and so on.
        openapi: whether to serve an OpenAPI document at `/openapi.json`, and a page `/docs` that displays it.
        pages_path: the path prefix of pages, such as `/auth`, also in links in mails.
        api_keys: whether accounts may have API keys.
        api_key_lifetime: seconds for which a new key is valid, if its request names no other time.
        api_key_prefixes: further prefixes of keys, besides `sk_live_`, `sk_test_`, `claw_` and `ak_`.
        api_key_check_secret: makes the checksum in new keys an HMAC, so that an invented key is refused
            without a query; empty for a CRC32. Changing it invalidates all keys.
        api_key_scopes: further scopes that every account may give its keys, besides `read`, `write` and
            `apikeys:rotate:self`.
        admin_roles: the roles whose accounts may give their keys the scope `admin`, and any tier.
        api_keys_manage_keys: whether a key with the scope `write` may create, rotate and revoke keys.
        api_key_tiers: requests a minute and a day by tier name; they replace or extend the defaults:
            `{"free": "10/1000"}`.
        api_key_tier: the tier of new keys.
        count_key_management: whether requests that manage keys or read their usage count as uses of a key,
            against the limits of its tier.
        secret_scanning: whether GitHub's secret scanning may report keys that it has found in public, at
            `secret-scanning`. Reported keys are revoked, and their owners get a mail.
        secret_scanning_keys_url: the URL of the scanner's public keys.
        secret_scanning_token: a token for requests to that URL; empty for none.
        api_key_mails: the events about which key owners are notified by mail, of `model.KEY_EVENTS`; empty
            for none.
        api_key_notice_interval: seconds between two checks for expiring keys and for mails about keys; 0
            leaves this to `authguard apikeys notify`.
        usage_minutes_kept: seconds for which the usage of keys is kept by minute.
        usage_hours_kept: seconds for which the usage of keys is kept by hour.
        usage_days_kept: seconds for which the usage of keys is kept by day; by month it is kept for ever.
        purge_interval: seconds between two deletions of expired sessions, links and mails, made by one
            process for all; 0 leaves this to `authguard db purge`.
        worker_threads: the number of requests that may use the database at the same time.
        dev: for development: mails on the console, tables created at the start, test-auth endpoints.

    Raises:
        ConfigurationError: if a setting has the wrong type, is out of range, or contradicts another.
    """

    secret: str = field(repr=False)
    previous_secret: str = field(default="", repr=False)
    issuer: str
    audience: str | None = None
    database: str = field(default="sqlite:///authguard.db", repr=False)
    algorithm: str = "HS256"
    access_token_typ: str | None = None
    signing_key_lifetime: int = 90 * _DAY
    access_lifetime: int = 28_800
    refresh_lifetime: int = 30 * _DAY
    session_lifetime: int = 365 * _DAY
    refresh_grace: int = 30
    lost_answer_lifetime: int = 3 * _DAY
    bearer_refresh_lifetime: int = 30 * _DAY
    link_lifetime: int = 3_600
    prefixes: Iterable[str] = ("/api/v1", "/v1")
    default_role: str = "USER"
    require_verified_email: bool = False
    enumeration_safe: bool = False
    verify_needs_password: bool = False
    account_deletion: bool = True
    password_policy: Mapping[str, Any] = field(default_factory=dict, hash=False)
    breached_passwords: str = ""
    breached_passwords_fail_open: bool = False
    password_grant: bool = True
    limits_url: str = field(default="memory://", repr=False)
    revocations_url: str | None = field(default=None, repr=False)
    limits: Mapping[str, Any] = field(default_factory=dict, hash=False)
    smtp_url: str | None = field(default=None, repr=False)
    smtp_allow_plain_text: bool = False
    mail_from: str | None = None
    product_name: str = ""
    brand: Mapping[str, Any] = field(default_factory=dict, hash=False)
    github_client_id: str = ""
    github_client_secret: str = field(default="", repr=False)
    linkedin_client_id: str = ""
    linkedin_client_secret: str = field(default="", repr=False)
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: str = field(default="", repr=False)
    oidc_allow_private: bool = False
    oidc_providers: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    social_refresh_tokens: bool = False
    redirect_uris: Iterable[str] = ()
    cors_origins: Iterable[str] = ()
    cookie_name: str = "access_token"
    refresh_cookie_name: str = "refresh_token"
    pages: bool = True
    openapi: bool = True
    pages_path: str = ""
    api_keys: bool = True
    api_key_lifetime: int = 90 * _DAY
    api_key_prefixes: Iterable[str] = ()
    api_key_check_secret: str = field(default="", repr=False)
    api_key_scopes: Iterable[str] = ()
    admin_roles: Iterable[str] = ("ADMIN",)
    api_keys_manage_keys: bool = True
    api_key_tiers: Mapping[str, Any] = field(default_factory=dict, hash=False)
    api_key_tier: str = "free"
    count_key_management: bool = False
    secret_scanning: bool = False
    secret_scanning_keys_url: str = "https://api.github.com/meta/public_keys/secret_scanning"
    secret_scanning_token: str = field(default="", repr=False)
    api_key_mails: Iterable[str] = KEY_EVENTS
    api_key_notice_interval: int = 60
    usage_minutes_kept: int = 2 * _DAY
    usage_hours_kept: int = 90 * _DAY
    usage_days_kept: int = 730 * _DAY
    purge_interval: int = 3_600
    worker_threads: int = 8
    dev: bool = False

    def __post_init__(self) -> None:
        faults = Faults()
        for name, checked in _CHECKED.items():
            with faults.noting():
                object.__setattr__(self, name, checked(getattr(self, name)))
        with faults.noting():
            check_choice(self.algorithm, "algorithm", ALGORITHMS)
        with faults.noting():
            if self.access_token_typ is not None:
                check_choice(self.access_token_typ, "access_token_typ", ("JWT", "at+jwt"))
        with faults.noting():
            check_secrets(self, _PROVIDER_SECRETS)
        self._check_numbers(faults)
        check_texts(self, faults)
        self._check_api_keys(faults)
        with faults.noting():
            parse_brand(self.brand)
        with faults.noting():
            check_mail(self.smtp_url, self.mail_from, self.product_name)
        with faults.noting():
            if isinstance(self.pages_path, str) and self.pages_path:
                object.__setattr__(self, "pages_path", local_path(self.pages_path, "pages_path").rstrip("/"))
        faults.raise_all()
        check_default_role(self.default_role, self.admin_roles)
        if self.access_cookie.name == self.refresh_cookie.name:
            raise ConfigurationError(
                f"cookie_name and refresh_cookie_name must be two names, got {got(self.cookie_name)} for both"
            )

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the secret, and the previous one if it is still accepted."""
        return (self.secret, self.previous_secret) if self.previous_secret else (self.secret,)

    @property
    def access_cookie(self) -> AccessCookie:
        """Return the cookie for browsers; the issuer decides whether it is for https, not the proxy."""
        # The result does not change if a proxy has changed the Host field.
        own = filter(None, [origin_of(self.issuer)])
        return AccessCookie(self.cookie_name, secure=self.is_https, trusted_origins=tuple(own))

    @property
    def refresh_cookie(self) -> AccessCookie:
        """Return the cookie from which the pages refresh a session."""
        return AccessCookie(self.refresh_cookie_name, secure=self.is_https)

    @property
    def key_prefixes(self) -> tuple[str, ...]:
        """Return the prefixes of API keys."""
        return (*KEY_PREFIXES, *self.api_key_prefixes)

    @property
    def is_https(self) -> bool:
        """Return whether browsers use https for the service."""
        return self.issuer.startswith("https://")

    def page_url(self, path: str) -> str:
        """Return the URL of a page, for a link in a mail."""
        return f"{self.issuer}{quote(self.pages_path)}{path}"

    def _check_api_keys(self, faults: Faults) -> None:
        with faults.noting():
            check_check_secret(self.api_key_check_secret, "api_key_check_secret")
        with faults.noting():
            object.__setattr__(self, "api_key_tiers", parse_tiers(self.api_key_tiers))
            check_choice(self.api_key_tier, "api_key_tier", self.api_key_tiers)
        check_scanning(self, faults)

    def _check_numbers(self, faults: Faults) -> None:
        for name, seconds in check_durations(self, faults).items():
            object.__setattr__(self, name, seconds)
        with faults.noting():
            check_whole(self.worker_threads, "worker_threads", 1, 256)
        for setting in fields(self):
            if setting.type is bool:
                with faults.noting():
                    check_flag(getattr(self, setting.name), setting.name)
        with faults.noting():
            policy_from(self.password_policy)
        with faults.noting():
            check_breaches(self.breached_passwords, fail_open=self.breached_passwords_fail_open)

    @property
    def token_audience(self) -> str:
        """Return the `aud` of access tokens."""
        return self.audience or self.issuer

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ, **overrides: Any) -> "Settings":
        """Read settings from variables such as `AUTHGUARD_SECRET`; `overrides` take precedence.

        `AUTHGUARD_CONFIG` names a TOML file for the other settings.

        Raises:
            ConfigurationError: if a variable is not a setting, or cannot be parsed as one.
        """
        kinds = {setting.name: setting.type for setting in fields(cls)}
        secret_names = [setting.name for setting in fields(cls) if not setting.repr]
        faults = Faults()
        read = read_variables(environment, ["config", *kinds], secret_names, faults)
        path = read.pop("config", None)
        values = {}
        unread = set(faults.variables)
        faults.leave_out(overrides)
        for name, value in read.items():
            with faults.noting():
                values[name] = read_variable(name, value, kinds[name])
        # A setting that cannot be read is not missing.
        return _build(cls, (read_file(path) if path is not None else {}) | values | overrides, faults, unread)

    @classmethod
    def from_toml(cls, path: str, **overrides: Any) -> "Settings":
        """Read settings from a TOML file; `overrides` take precedence.

        Raises:
            ConfigurationError: if it cannot be read, or has an unknown name.
        """
        return _build(cls, read_file(path) | overrides, Faults())


def _build(
    cls: type[Settings], values: dict[str, Any], faults: Faults, unread: Collection[str] = ()
) -> Settings:
    """Build settings, and name all that are unknown, missing or wrong in one error."""
    names = {setting.name for setting in fields(cls)}
    if unknown := sorted(values.keys() - names):
        advice = advice_on(unknown, names)
        faults.texts.append(f"each setting must be one of Settings, got {', '.join(unknown)}{advice}")
    if missing := [name for name in _REQUIRED if name not in values and name not in unread]:
        variables = " and ".join(ENVIRONMENT + name.upper() for name in missing)
        faults.texts.append(f"{' and '.join(missing)} must be given, got nothing: set {variables}")
    good = _REQUIRED if faults.texts else {}
    with faults.noting():
        settings = cls(**(good | {name: value for name, value in values.items() if name in names}))
    faults.raise_all()
    return settings
