"""Errors of values and options that newcomers write name the spelling that works."""

import importlib
from collections.abc import Callable
from enum import Enum
from typing import Any

import pytest
import sqlalchemy
from pydantic import HttpUrl, PostgresDsn, RedisDsn, SecretStr

from authguard import (
    APIKey,
    APIKeyVerifier,
    Guard,
    IntrospectionVerifier,
    JWTVerifier,
    MemoryRevocations,
    RemoteKeySet,
    Rule,
    TokenIssuer,
)
from authguard.errors import ConfigurationError
from authguard.fastapi import requires
from authguard.identity import Settings, SQLRevocations, create_app, tier_quotas
from authguard.stores import PostgresStore, RedisQuotas, RedisStore
from support import SECRET

VALUE = "write .value behind it"
SECRET_VALUE = "write .get_secret_value() behind it"
TEXT = "write str(…) around it, without a slash that the class has added"


class Role(Enum):
    """Be roles that are no text."""

    ADMIN = "admin"


def guard(*paths: Any) -> Guard:
    """Return a guard of paths."""
    keys: Any = {"sk_live_spellings-of-newcomers": APIKey("a")}
    return Guard(APIKeyVerifier(keys), protected_paths=paths)


def issuer(key: Any = SECRET, **options: Any) -> TokenIssuer:
    """Return an issuer of tokens."""
    return TokenIssuer(key, issuer="https://i.example", audience="https://a.example", **options)


def anything(function: Any, *args: Any, **options: Any) -> Callable[[], Any]:
    """Return a call without types."""
    return lambda: function(*args, **options)


URL: Any = HttpUrl("https://i.example/x")
REDIS = RedisDsn("redis://localhost/0")
POSTGRES = PostgresDsn("postgresql://localhost/app")
OF_SQLALCHEMY = sqlalchemy.make_url("postgresql://a:b@localhost/app")

CASES: dict[str, tuple[Callable[[], Any], str]] = {
    "a scope of an Enum": (anything(requires, Role.ADMIN), "write @requires(Role.ADMIN.value)"),
    "a role of an Enum": (anything(Rule, "/x", roles=[Role.ADMIN]), "write roles=[Role.ADMIN.value]"),
    "an Enum without a list": (anything(Rule, "/x", scopes=Role.ADMIN), "write scopes=[Role.ADMIN.value]"),
    "an issued role of an Enum": (
        lambda: issuer().issue("a", roles=[Role.ADMIN]),
        "write roles=[Role.ADMIN.value]",
    ),  # type: ignore[list-item]
    "scopes in one text": (anything(requires, "a b"), "write @requires('a', 'b')"),
    "a pair": (lambda: guard(("/x", ["admin"])), "write Rule('/x', scopes=['admin']), without a list"),
    "a list of a rule": (lambda: guard([Rule("/x", scopes=["a"])]), "write Rule('/admin', scopes="),
    "a table": (lambda: guard({"path": "/x", "scopes": ["a"]}), "write Rule('/x', scopes=['admin'])"),
    "a list of paths": (lambda: guard(("/x", "/y")), "write '/x', '/y'"),
    "a key": (lambda: issuer(SecretStr(SECRET)), SECRET_VALUE),
    "an API key": (anything(APIKeyVerifier, {SecretStr("x" * 20): APIKey("a")}), SECRET_VALUE),
    "a secret of the service": (
        anything(Settings, secret=SecretStr(SECRET), issuer="https://i.example"),
        SECRET_VALUE,
    ),
    "a URL of a key set": (anything(RemoteKeySet, URL), TEXT),
    "a URL of an issuer": (anything(JWTVerifier.from_issuer, URL, audience="a"), TEXT),
    "a URL of introspection": (
        anything(
            IntrospectionVerifier, URL, client_id="a", client_secret="b" * 32, issuer=None, audience="a"
        ),
        TEXT,
    ),
    "a URL of Redis": (anything(RedisStore, REDIS), TEXT),
    "a URL of Redis for quotas": (anything(RedisQuotas, REDIS), TEXT),
    "a URL of PostgreSQL": (anything(PostgresStore, POSTGRES), TEXT),
    "a secret URL": (anything(PostgresStore, SecretStr("postgresql://localhost/app")), SECRET_VALUE),
    "a URL of SQLAlchemy": (
        anything(SQLRevocations, OF_SQLALCHEMY),
        "write .render_as_string(hide_password=False) behind it",
    ),
    "a text of tiers": (anything(tier_quotas, "free=20/2000"), 'write tier_quotas({"free": "10/1000"})'),
    "a method after the path": (lambda: guard("/").explain("/x", "GET"), "write explain('GET', path)"),
    "a URL to explain": (lambda: guard("/").explain("GET", "https://a.example/items"), "write '/items'"),
    "an unnamed id": (
        anything(MemoryRevocations().revoke, "abc", until=2e9),
        "write one of token_id, key_id",
    ),
    "a secret of a guard": (anything(Guard, secret=SECRET), "write Guard(JWTVerifier(keys, algorithms=…"),
    "a secret of an application": (
        anything(create_app, secret=SECRET),
        "write create_app(Settings(secret=…, issuer=…))",
    ),
    "minutes": (lambda: issuer(expires_minutes=3), "write ttl=…"),
    "no keys": (
        anything(JWTVerifier, issuer="https://i.example", audience="a"),
        "write JWTVerifier.from_issuer(issuer, audience=…)",
    ),
    "an issuer as keys": (anything(JWTVerifier, "https://i.example"), "write JWTVerifier.from_issuer("),
}


@pytest.mark.parametrize("case", CASES)
def test_a_spelling_of_a_newcomer(case: str) -> None:
    """An error about a usual mistake names the spelling that works, and shows no secret."""
    call, spelling = CASES[case]
    with pytest.raises((ConfigurationError, TypeError)) as refused:
        call()
    assert spelling in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("module", "name", "spelling"),
    [
        ("authguard", "SQLRevocations", "from authguard.identity import SQLRevocations"),
        ("authguard", "tier_quotas", "from authguard.identity import tier_quotas"),
        ("authguard.flask", "login_required", "from authguard.flask import requires"),
        ("authguard.flask", "jwt_required", "from authguard.flask import requires"),
        ("authguard.flask", "login_user", "from authguard.flask import BrowserSessions"),
        ("authguard.fastapi", "get_current_user", "from authguard.fastapi import CurrentUser"),
    ],
)
def test_a_name_of_another_package(module: str, name: str, spelling: str) -> None:
    """An import of a name that another module or package has names the import that works."""
    with pytest.raises(ImportError, match=f"write {spelling}"):
        getattr(importlib.import_module(module), name)
