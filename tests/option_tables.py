"""List the options of public classes and functions, with their kinds."""

from typing import Any

import httpx
from fastapi import FastAPI
from flask import Flask

import authguard as ag
from authguard import asgi, client, django, fastapi, flask, starlette, stores, testing, wsgi
from authguard.backchannel import BackChannelLogout
from option_kinds import Built, rows
from service_options import SERVICE
from support import AUDIENCE, ISSUER, LONG_AFTER, SECRET, ec_key
from testing_options import TESTING


def verifier() -> ag.JWTVerifier:
    """Return a working verifier."""
    return ag.JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)


def _guarded() -> Flask:
    """Return a Flask application with a guard."""
    app = Flask("guarded")
    flask.init_app(app, ag.Guard(verifier()))
    return app


TOKENS = ag.TokenIssuer(SECRET, issuer=ISSUER, audience=AUDIENCE)


def _with_login_page() -> ag.Guard:
    """Return a guard whose users sign in by a form."""
    revocations = ag.MemoryRevocations()
    return ag.Guard(TOKENS.verifier(), cookie=ag.AccessCookie(), login_path="/login", revocations=revocations)


class _GuardOf:
    """Build a guard of a working verifier, with a loader if its users must be remembered."""

    def __new__(cls, **options: Any) -> Any:
        loader = {"user_loader": lambda principal: principal} if "user_ttl" in options else {}
        return ag.Guard(verifier(), **{**loader, **options})


def _replays(digest: str, seconds: int) -> bool:
    """Represent a store of used tokens."""
    return True


def _wsgi_application(environ: Any, start_response: Any) -> None:
    """Represent a WSGI application that is built and not called."""


def _application(scope: Any, receive: Any, send: Any) -> None:
    """Represent an application."""


URL = "https://issuer.example"
REQUIRED = {"scopes": "", **rows("list", "any_of roles"), "acr": "texts", "max_age": "seconds?"}
STORE = {"bound": "seconds", "replays_down": "text"}
STORE_OTHERS = frozenset({"revocations_down"})
QUOTAS = {"quotas_down": "text", "timeout": "seconds", "max_counters": "number"}
QUOTAS_OTHERS = frozenset({"processes"})  # for "local": see tests/stores/test_shared_quotas_down.py
AUTH = rows("text", "client_id client_secret")
BUILT: dict[str, Built] = {
    "Guard": Built(
        _GuardOf,
        {},
        {
            **rows("list?", "protected_paths public_paths quotas"),
            **rows("text?", "login_path subprotocol"),
            **rows("object?", "cookie resource revocations backchannel_logout quota_store"),
            **rows("function?", "user_loader on_error on_decision"),
            **rows("list", "proofs proxies"),
            "preflight": "text",
            "realm": "text",
            "cache_size": "number",
            "user_ttl": "seconds",
        },
    ),
    "JWTVerifier": Built(
        ag.JWTVerifier,
        {"keys": SECRET, "algorithms": ["HS256"], "issuer": ISSUER, "audience": AUDIENCE},
        {
            "keys": "keys",
            "issuer": "text or function?",
            **rows("texts", "audience client_ids"),
            "leeway": "seconds",
            **rows("list", "algorithms required_claims token_types scope_claims role_claims"),
            **rows("list?", "tenants subject_claims"),
            **rows("mapping?", "claims header_claims"),
            **rows("text?", "header tier_claim"),
            **rows("flag", "id_tokens padding"),
        },
    ),
    "tenants": Built(
        ag.JWTVerifier,
        {
            "keys": SECRET,
            "algorithms": ["HS256"],
            "issuer": f"{ISSUER}/{{tenantid}}/v2.0",
            "audience": AUDIENCE,
            "tenants": ["a"],
        },
        {"tenants": "list"},
    ),
    "JWTVerifier.from_issuer": Built(
        ag.JWTVerifier.from_issuer,
        {"issuer": URL, "audience": AUDIENCE},
        {
            "issuer": "text",
            "audience": "texts",
            "algorithms": "list?",
            "http": "object?",
            **rows("seconds", "ttl max_stale"),
        },
        frozenset({"options"}),
    ),
    "Guard.verify": Built(
        ag.Guard(verifier()).verify,
        {"token": testing.issue_token(SECRET, iss=ISSUER, aud=AUDIENCE, now=0, exp=LONG_AFTER)},
        # The token comes from strangers: see tests/adapters/test_outside_of_requests.py.
        {"header": "text?", "now": "moment?"},
        frozenset({"token", "address"}),
    ),
    "TokenIssuer": Built(
        ag.TokenIssuer,
        {"key": SECRET, "issuer": ISSUER, "audience": AUDIENCE},
        {
            "key": "keys",
            "issuer": "text",
            "audience": "texts",
            "ttl": "seconds",
            **rows("text?", "algorithm key_id"),
            "clock": "function",
        },
    ),
    "TokenIssuer.issue": Built(
        ag.TokenIssuer(SECRET, issuer=ISSUER, audience=AUDIENCE).issue,
        {"subject": "ann"},
        {
            "subject": "text",
            **rows("list", "scopes roles"),
            **rows("text?", "client_id session"),
            "claims": "mapping?",
            "ttl": "seconds?",
        },
    ),
    "RemoteKeySet": Built(
        ag.RemoteKeySet, {"url": URL}, {"url": "text", "http": "object?", **rows("seconds", "ttl max_stale")}
    ),
    "IntrospectionVerifier": Built(
        ag.IntrospectionVerifier,
        {"endpoint": URL, "client_id": "api", "client_secret": "endpoint-secret-1"},
        {
            "endpoint": "text",
            **rows("text", "client_id client_secret"),
            **rows("text?", "issuer header token_type_hint tier_claim"),
            **rows("texts", "audience client_ids"),
            **rows("object?", "auth jwt http"),
            **rows("seconds", "cache_ttl leeway"),
            **rows("list", "prefixes required_claims scope_claims role_claims"),
            "subject_claims": "list?",
            "claims": "mapping?",
        },
        frozenset({"answer_keys", "answer_algorithms"}),
    ),
    "answer_keys": Built(
        ag.IntrospectionVerifier,
        {
            "endpoint": URL,
            "client_id": "api",
            "client_secret": "endpoint-secret-1",
            "issuer": ISSUER,
            "answer_keys": ag.RemoteKeySet(URL),
        },
        {"answer_keys": "keys?", "answer_algorithms": "list"},
    ),
    "ClientAuth.basic": Built(
        ag.ClientAuth.basic, {"client_id": "a", "client_secret": "b"}, {**AUTH, "raw": "flag"}
    ),
    "ClientAuth.post": Built(ag.ClientAuth.post, {"client_id": "a", "client_secret": "b"}, AUTH),
    "ClientAuth.bearer": Built(ag.ClientAuth.bearer, {"token": "b"}, {"token": "text", "client_id": "text?"}),
    "ClientAuth.private_key_jwt": Built(
        ag.ClientAuth.private_key_jwt,
        {"client_id": "a", "private_key": ec_key(), "algorithm": "ES256"},
        {**rows("text", "client_id private_key algorithm"), "key_id": "text?"},
    ),
    "ClientAuth.tls": Built(ag.ClientAuth.tls, {"client_id": "a"}, {"client_id": "text"}),
    "HTTPOptions": Built(
        ag.HTTPOptions,
        {},
        {
            "headers": "mapping",
            "ca_bundle": "path?",
            "proxy": "text?",
            "client": "object?",
            "connect_timeout": "seconds",
            "timeout": "seconds?",
            **rows("flag", "plain_http allow_private"),
            "origins": "list",
        },
    ),
    "APIKey": Built(
        ag.APIKey,
        {"subject": "bob"},
        {
            "subject": "text",
            **rows("list", "scopes roles quotas"),
            "expires_at": "moment?",
            "disabled": "flag",
            **rows("text?", "key_id tier"),
        },
    ),
    "APIKeyFile": Built(ag.APIKeyFile, {}, {"path": "path"}),
    "APIKeyVerifier": Built(
        ag.APIKeyVerifier,
        {"keys": {"sk_live_0123456789": ag.APIKey("bob")}},
        {"keys": "mapping or function", "header": "text", "prefixes": "list", "cache_ttl": "seconds"},
    ),
    "AccessCookie": Built(
        ag.AccessCookie,
        {},
        {"name": "text", **rows("flag", "secure host_prefix no_store"), "trusted_origins": "list"},
    ),
    "AccessCookie.issue": Built(
        ag.AccessCookie().issue,
        {"token": "a", "max_age": 5},
        {"max_age": "seconds?"},
        frozenset({"token", "scheme"}),
    ),
    "DPoP": Built(
        ag.DPoP,
        {"origin": URL},
        {
            "origin": "texts",
            "algorithms": "list",
            "window": "seconds",
            "nonce_secret": "text?",
            "proofs_per_key": "number",
            "replays": "function?",
        },
    ),
    "MutualTLS": Built(
        ag.MutualTLS,
        {"header": "X-C", "proxies": ["10.0.0.1"]},
        {"header": "text", "encoding": "text", "proxies": "list"},
    ),
    "ResourceMetadata": Built(
        ag.ResourceMetadata,
        {"resource": URL},
        {
            "resource": "text",
            **rows("list", "authorization_servers scopes_supported"),
            "resource_name": "text?",
        },
    ),
    "Rule": Built(
        ag.Rule,
        {"path": "/a"},
        {
            "path": "text",
            **rows("list", "methods scopes any_of roles"),
            "acr": "texts",
            "max_age": "seconds?",
            "credentials": "list?",
            **rows("text?", "optional login_path preflight"),
            "login_redirect": "flag",
            "quota": "object?",
            "cost": "number",
        },
    ),
    "Quota": Built(
        ag.Quota,
        {"count": 10, "seconds": 60},
        {"count": "number", "seconds": "seconds", "name": "text?", "by": "text", "enforce": "flag"},
    ),
    "MemoryQuotas": Built(
        ag.MemoryQuotas, {}, {"max_counters": "number", **rows("function", "monotonic clock")}
    ),
    "Principal": Built(
        ag.Principal,
        {"subject": "ann"},
        {
            "subject": "text",
            **rows("any list", "scopes roles quotas"),  # the spellings of issuers
            "claims": "mapping",
            "expires_at": "moment?",
            **rows("text?", "issuer client_id token_id key_id tier"),
            "method": "text",
        },
    ),
    "Auth": Built(
        ag.Auth, {"principal": ag.ANONYMOUS}, {"principal": "object"}, frozenset({"vary", "confirmation"})
    ),
    "MemoryRevocations": Built(ag.MemoryRevocations, {}, {"clock": "function"}),
    "MemoryRevocations.revoke": Built(
        ag.MemoryRevocations().revoke,
        {"token_id": "a", "until": 5.0},
        {"until": "moment", "wait": "flag"},
        # With only a subject, `issued_before` is valid: see tests/stores/test_marks.py.
        frozenset({"token_id", "key_id", "subject", "session", "issuer", "issued_before"}),
    ),
    "RedisStore": Built(
        stores.RedisStore, {"url": "redis://h"}, {"url": "text", "prefix": "text", **STORE}, STORE_OTHERS
    ),
    "PostgresStore": Built(
        stores.PostgresStore, {"url": "postgresql://h/d"}, {"url": "text", **STORE}, STORE_OTHERS
    ),
    "PostgresQuotas": Built(
        stores.PostgresQuotas, {"url": "postgresql://h/d"}, {"url": "text", **QUOTAS}, QUOTAS_OTHERS
    ),
    "RedisQuotas": Built(
        stores.RedisQuotas, {"url": "redis://h"}, {"url": "text", "prefix": "text", **QUOTAS}, QUOTAS_OTHERS
    ),
    "SQLiteQuotas": Built(stores.SQLiteQuotas, {"path": "/tmp/a.db"}, QUOTAS, QUOTAS_OTHERS | {"path"}),
    "SQLiteStore": Built(stores.SQLiteStore, {"path": "/tmp/a.db"}, STORE, STORE_OTHERS | {"path"}),
    "BackChannelLogout": Built(
        BackChannelLogout,
        {
            "keys": SECRET,
            "algorithms": ["HS256"],
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "revocations": ag.MemoryRevocations(),
            "replays": _replays,
        },
        {
            "keys": "keys",
            "algorithms": "list",
            "audience": "texts",
            "revocations": "object",
            "replays": "function",
            "clock": "function",
            "token_types": "list",
            "path": "text",
            **rows("seconds", "leeway token_lifetime"),
        },
        frozenset({"issuer"}),
    ),
    "BackChannelLogout.from_issuer": Built(
        BackChannelLogout.from_issuer,
        {
            "issuer": URL,
            "audience": AUDIENCE,
            "revocations": ag.MemoryRevocations(),
            "replays": _replays,
        },
        {
            "issuer": "text",
            "audience": "texts",
            "revocations": "object",
            "replays": "function",
            "algorithms": "list?",
            "http": "object?",
        },
        frozenset({"options"}),
    ),
    "digest_api_key": Built(ag.digest_api_key, {"key": "sk"}, {"key": "text"}),
    "asgi": Built(
        asgi.AuthGuardMiddleware,
        {"app": _application, "guard": ag.Guard(verifier())},
        {
            "app": "function",
            "guard": "object",
            "clock": "function",
            "recheck": "seconds",
            "websocket_close_codes": "flag",
        },
    ),
    "wsgi": Built(
        wsgi.AuthGuardMiddleware,
        {"app": _wsgi_application, "guard": ag.Guard(verifier())},
        {"app": "function", "guard": "object", "clock": "function"},
    ),
    **{
        f"{face.__name__}.requires": Built(face.requires, {}, REQUIRED)
        for face in (starlette, fastapi, flask, django)
    },
    "fastapi.install": Built(
        fastapi.install,
        {"app": FastAPI(), "guard": ag.Guard(verifier())},
        {
            "app": "object",
            "guard": "object",
            "clock": "function",
            "recheck": "seconds",
            "websocket_close_codes": "flag",
        },
    ),
    "flask.init_app": Built(
        flask.init_app,
        {"app": Flask("options"), "guard": ag.Guard(verifier())},
        {"app": "object", "guard": "object", "error_handlers": "flag", "clock": "function"},
    ),
    "BrowserSessions": Built(
        flask.BrowserSessions,
        {"guard": _with_login_page(), "tokens": TOKENS},
        {"guard": "object", "tokens": "object", "remember": "seconds", "home": "text"},
    ),
    "TokenIssuer.remember_tokens": Built(TOKENS.remember_tokens, {"lifetime": 5}, {"lifetime": "seconds"}),
    "AuthGuardClient": Built(
        flask.AuthGuardClient,
        {"application": _guarded(), "user": ag.Principal("ann")},
        {"principal": "object?", "token": "text?"},
        frozenset({"given", "user", "options"}),
    ),
    "BearerAuth": Built(
        client.BearerAuth,
        {"base_url": URL, "email": "a@b.example", "password": "p"},
        {
            **rows("text", "base_url email password"),
            "timeout": "seconds",
            "verify": "object?",
            "clock": "function",
        },
    ),
    "APIKeyAuth": Built(
        client.APIKeyAuth,
        {"base_url": URL, "key": "sk"},
        {
            **rows("text", "base_url key header"),
            "requests_per_minute": "number?",
            "max_wait": "seconds",
            **rows("function", "clock sleep"),
            "async_sleep": "function?",
        },
    ),
    "rotate_api_key": Built(
        client.rotate_api_key,
        {"client": httpx.Client(), "old_key_id": "key_1", "update": len},
        {
            "client": "object",
            "old_key_id": "text",
            "update": "function",
            "expires_in_days": "number",
        },
        frozenset({"name"}),
    ),
    **SERVICE,
    **TESTING,
}

#: Public names that are not options of an application: the guard creates them, or they are raised or read.
NOT_BUILT = frozenset(
    [
        "ANONYMOUS",
        "Claims",
        "Credential",
        "DecisionEvent",
        "QuotaHealth",
        "Refusal",
        "RemoteHealth",
        "RequestView",
        "Verdict",
        "errors",
        "in_memory",  # core/test_callbacks.py checks it
        "safe_next",
        "Guard",
        "ClientAuth",
    ],
)
#: The name in errors of an option whose contents are checked.
ALIASES = {
    "tiers": "api_key_tiers",
    "protected_paths": "path",
    "public_paths": "path",
    "keys": "(?:keys|a key without kid|kty and crv)",
    "answer_keys": "answer_keys: (?:keys|a key without kid)",
    "answer_algorithms": "algorithms",
}
