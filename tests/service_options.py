"""List the options of the identity service, and of its parts."""

from typing import Any

from authguard.identity import (
    Identity,
    IdentityService,
    Settings,
    SQLAPIKeys,
    SQLRevocations,
    Tier,
    tier_quotas,
)
from authguard.identity.limits import Limit, Limiter
from authguard.identity.mail.mailer import ConsoleMailer, SMTPMailer
from authguard.identity.mail.outbox import Outbox
from authguard.identity.passwords.breaches import BreachedFile, BreachedService, BreachedWords
from authguard.identity.passwords.hashing import PasswordHasher, PasswordPolicy
from authguard.identity.social import GitHub, LinkedIn, OpenIDProvider
from option_kinds import Built, rows
from support import SECRET

URL = "https://issuer.example"
SOCIAL = {"client_id": "us", "client_secret": "provider-secret-1", "redirect_uris": [f"{URL}/callback"]}
PROVIDER = {**rows("text", "client_id client_secret"), "redirect_uris": "list", "timeout": "seconds"}
SETTINGS: dict[str, Any] = {"secret": SECRET, "issuer": "https://auth.example.com"}
LIFETIMES = "signing_key access refresh session link bearer_refresh lost_answer api_key"

SERVICE: dict[str, Built] = {
    "Settings": Built(
        Settings,
        SETTINGS,
        {
            **rows("text", "secret issuer database algorithm default_role limits_url previous_secret"),
            **rows("text", "github_client_id github_client_secret linkedin_client_id linkedin_client_secret"),
            **rows("text", "oidc_issuer oidc_client_id oidc_client_secret"),
            **rows("text", "cookie_name refresh_cookie_name pages_path product_name breached_passwords"),
            **rows("text?", "audience smtp_url mail_from revocations_url access_token_typ"),
            **{f"{name}_lifetime": "seconds" for name in LIFETIMES.split()},
            **rows("seconds", "refresh_grace api_key_notice_interval purge_interval"),
            **rows("seconds", "usage_minutes_kept usage_hours_kept usage_days_kept"),
            "worker_threads": "number",
            **rows("mapping", "limits api_key_tiers oidc_providers password_policy brand"),
            **rows("list", "prefixes redirect_uris cors_origins admin_roles"),
            **rows("list", "api_key_prefixes api_key_scopes api_key_mails"),
            **rows("text", "api_key_check_secret api_key_tier"),
            **rows("text", "secret_scanning_keys_url secret_scanning_token"),
            **rows("flag", "api_keys api_keys_manage_keys count_key_management secret_scanning"),
            **rows("flag", "require_verified_email enumeration_safe verify_needs_password password_grant"),
            **rows("flag", "account_deletion breached_passwords_fail_open social_refresh_tokens"),
            **rows("flag", "oidc_allow_private pages openapi dev smtp_allow_plain_text"),
        },
    ),
    "Limit": Built(Limit, {"count": 1, "seconds": 1}, {"count": "number", "seconds": "seconds"}),
    "Limiter": Built(Limiter, {}, {"url": "text", "limits": "mapping?"}),
    "PasswordPolicy": Built(
        PasswordPolicy,
        {},
        {**rows("number", "min_length max_length"), **rows("flag", "upper lower digit special")},
    ),
    "PasswordHasher": Built(
        PasswordHasher,
        {"memory": 8},
        {**rows("number", "memory time parallelism"), "concurrency": "number?", "wait": "seconds"},
    ),
    "BreachedFile": Built(BreachedFile, {}, {"path": "path"}),
    "BreachedWords": Built(BreachedWords, {}, {"path": "path"}),
    "BreachedService": Built(BreachedService, {}, {"url": "text", "timeout": "seconds", "fail_open": "flag"}),
    "SMTPMailer": Built(
        SMTPMailer,
        {"url": "smtps://mail.example", "sender": "a@b.example"},
        {
            **rows("text", "url sender sender_name"),
            "timeout": "seconds",
            "context": "object?",
            "allow_plain_text": "flag",
        },
    ),
    "ConsoleMailer": Built(ConsoleMailer, {}, {"stream": "object?"}),
    "Outbox": Built(
        Outbox,
        {"mailer": ConsoleMailer()},
        {
            "mailer": "object",
            **rows("function", "clock random"),
            "size": "number",
            "links": "list",
            "pause": "seconds",
            "product_name": "text",
        },
    ),
    "GitHub": Built(GitHub, SOCIAL, {**PROVIDER, **rows("text", "url api_url")}),
    "LinkedIn": Built(LinkedIn, SOCIAL, {**PROVIDER, "issuer": "text"}),
    "OpenIDProvider": Built(
        OpenIDProvider,
        {"name": "oidc", "issuer": URL, **SOCIAL},
        {
            **PROVIDER,
            **rows("text", "name issuer scope auth_method"),
            **rows("flag", "allow_private repeats_nonce"),
            "clock": "function",
        },
    ),
    "Identity": Built(Identity, {}, {"service": "object"}, frozenset({"providers"})),
    "IdentityService": Built(
        IdentityService,
        {"settings": Settings(**SETTINGS)},
        {
            "settings": "object",
            **rows("object?", "mailer policy breaches hasher limiter store"),
            "audit_hook": "function?",
            "clock": "function",
        },
    ),
    "SQLAPIKeys": Built(
        SQLAPIKeys,
        {"database": "sqlite:///keys.db"},
        {
            "database": "object",
            **rows("text", "header check_secret"),
            "issuer": "text?",
            **rows("list", "prefixes admin_roles"),
            "scopes": "list?",
            "cache_ttl": "seconds",
            "count": "flag",
        },
    ),
    "Tier": Built(Tier, {"per_minute": 1, "per_day": 1}, rows("number", "per_minute per_day")),
    "tier_quotas": Built(tier_quotas, {}, {"tiers": "mapping?"}),
    "SQLRevocations": Built(
        SQLRevocations,
        {"database": "sqlite:///authguard.db"},
        {"database": "object", "bound": "seconds", "clock": "function"},
        frozenset({"revocations_down"}),
    ),
}
