"""A call with an unknown option of a public class or function names the correct one."""

import asyncio
import importlib
import inspect
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask import Flask
from tools.reference.api import GROUPS, public_names

import authguard.django
import authguard.fastapi
import authguard.flask
import authguard.starlette
from authguard import (
    AccessCookie,
    APIKey,
    APIKeyFile,
    APIKeyVerifier,
    Auth,
    ClientAuth,
    ConfigurationError,
    DPoP,
    Guard,
    HTTPOptions,
    IntrospectionVerifier,
    JWTVerifier,
    MemoryQuotas,
    MemoryRevocations,
    MutualTLS,
    Principal,
    Quota,
    RemoteKeySet,
    ResourceMetadata,
    Rule,
    TokenIssuer,
    safe_next,
)
from authguard._core.options import named_options
from authguard.asgi import AuthGuardMiddleware
from authguard.backchannel import BackChannelLogout
from authguard.client import APIKeyAuth, BearerAuth, rotate_api_key
from authguard.flask import AuthGuardClient
from authguard.identity import Identity, IdentityService, Settings, SQLAPIKeys, SQLRevocations
from authguard.stores import (
    PostgresQuotas,
    PostgresStore,
    RedisQuotas,
    RedisStore,
    SQLiteQuotas,
    SQLiteStore,
)
from authguard.testing import Clock, FakeIssuer, override

CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any], str]] = {
    "another library's name": (Guard, {"exclude_paths": ["/"]}, "write public_paths=…"),
    "its beginning": (Guard, {"public": ["/"]}, "write public_paths=…"),
    "nearly the name": (Guard, {"protected_path": ["/"]}, "write protected_paths=…"),
    "of Flask-Login": (Guard, {"login_view": "login"}, "write login_path=…"),
    "singular": (Rule, {"path": "/", "scope": "a"}, "write scopes=…"),
    "role": (Rule, {"path": "/", "role": "a"}, "write roles=…"),
    "of PyJWT": (JWTVerifier, {"key": "k"}, "write keys=…"),
    "the URL of a key set": (JWTVerifier, {"jwks_uri": "https://a.example/jwks"}, "write keys=…"),
    "a verifier by its kind": (
        Guard,
        {"jwt": object()},
        "write the verifiers as arguments without a name: …",
    ),
    "period": (Quota, {"count": 10, "period": 60}, "write seconds=…"),
    "an unknown name": (MemoryRevocations, {"zzz": 1}, "write one of clock"),
}
SECRET = secrets.token_urlsafe(40)
GUARD = Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer="demo", audience="demo"))


async def page(scope: Any, receive: Any, send: Any) -> None:
    """Do nothing, as an application."""


REQUIRES = [
    each.requires for each in (authguard.django, authguard.fastapi, authguard.flask, authguard.starlette)
]
CLASSES = [
    AccessCookie, APIKey, APIKeyAuth, APIKeyFile, APIKeyVerifier, Auth, AuthGuardMiddleware, BearerAuth,
    Clock, DPoP, FakeIssuer, Guard, HTTPOptions, Identity, IdentityService, IntrospectionVerifier,
    JWTVerifier, MemoryQuotas, MemoryRevocations, MutualTLS, PostgresQuotas, PostgresStore, Principal,
    Quota, RedisQuotas, RedisStore, RemoteKeySet, ResourceMetadata, Rule, Settings, SQLAPIKeys,
    SQLiteQuotas, SQLiteStore, SQLRevocations, TokenIssuer, authguard.wsgi.AuthGuardMiddleware,
    authguard.flask.BrowserSessions,
]  # fmt: skip
FUNCTIONS = [
    *REQUIRES, authguard.fastapi.install, authguard.flask.init_app, override, rotate_api_key, safe_next,
    ClientAuth.basic, ClientAuth.post, ClientAuth.bearer, ClientAuth.private_key_jwt, ClientAuth.tls,
]  # fmt: skip
TOKENS = TokenIssuer(SECRET, issuer="demo", audience="demo")
#: Methods with the name that users know, by a call with one wrong option, and the advice.
METHODS: dict[str, tuple[Callable[..., Any], dict[str, Any], str]] = {
    "AccessCookie.issue": (partial(AccessCookie().issue, "t"), {"ttl": 5}, "write max_age=…"),
    "AccessCookie.clear": (AccessCookie().clear, {"secure": True}, "write one of scheme"),
    "FakeIssuer.rotate": (FakeIssuer().rotate, {"withdrawn": True}, "write withdraw=…"),
    "Guard.examine": (partial(GUARD.examine, "t", 5), {"field": "a"}, "write one of token, now, header"),
    "Guard.explain": (partial(GUARD.explain, "GET"), {"url": "/a"}, "write one of method, path, root_path"),
    "Guard.override": (partial(GUARD.override, "ann"), {"roles": ["a"]}, "write principal=…"),
    "Guard.verify": (partial(GUARD.verify, "t"), {"at": 5}, "write now=…"),
    "MemoryRevocations.revoke": (MemoryRevocations().revoke, {"jti": "a", "until": 5}, "write token_id=…"),
    "TokenIssuer.issue": (partial(TOKENS.issue, "ann"), {"expires_in": 5}, "write ttl=…"),
}
#: Methods for adapters and for authors of stores, and objects that the package makes.
FOR_ADAPTERS = {"Guard.authorize", "Guard.substituting", "SharedRevocations", "Client", "Override"}


@pytest.mark.parametrize("name", CALLS)
def test_the_error_names_the_nearest_option(name: str) -> None:
    """The error names the option that is nearest by other libraries' names or by spelling, or lists all."""
    call, options, advice = CALLS[name]
    unknown = list(options)[-1]
    with pytest.raises(TypeError, match=f"^{call.__qualname__} must get options .* got {unknown}: {advice}$"):
        call(**options)


@pytest.mark.parametrize("requires", REQUIRES, ids=lambda each: each.__module__)
def test_scopes_of_requires_have_no_name(requires: Callable[..., Any]) -> None:
    """A `scopes` option of `requires` is refused with the advice to write arguments without a name."""
    with pytest.raises(TypeError, match="write the scopes as arguments without a name: 'read', 'write'$"):
        requires(scopes=["read", "write"])
    with pytest.raises(TypeError, match="write the scopes as arguments without a name: 'read'$"):
        requires(scope="read")


@pytest.mark.parametrize(
    "target", [*CLASSES, *FUNCTIONS], ids=lambda each: f"{each.__module__}.{each.__qualname__}"
)
def test_each_public_constructor_names_its_options(target: Callable[..., Any]) -> None:
    """Each public constructor names its options, and its signature is unchanged."""
    with pytest.raises(
        TypeError, match=rf"^{target.__qualname__} must get options .* got unheard_of: write one of"
    ):
        target(unheard_of=1)
    kinds = {parameter.kind for parameter in inspect.signature(target).parameters.values()}
    assert inspect.Parameter.VAR_KEYWORD not in kinds


@pytest.mark.parametrize("name", METHODS)
def test_a_method_names_its_options(name: str) -> None:
    """A method names its options, and is named after the class of its object, not after a private base."""
    call, options, advice = METHODS[name]
    unknown = next(iter(options))
    with pytest.raises(TypeError) as raised:
        call(**options)
    assert str(raised.value).startswith(f"{name} must get options that it has, got {unknown}: {advice}")


def test_an_async_method_names_its_options() -> None:
    """An `async` method names its options, and remains a coroutine function."""
    assert inspect.iscoroutinefunction(GUARD.averify)
    with pytest.raises(TypeError, match=r"^Guard\.averify must get options .* got at: write now=…$"):
        asyncio.run(GUARD.averify("t", at=5))  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"^MemoryRevocations\.revoke must get .* got jti: write token_id=…$"):
        asyncio.run(MemoryRevocations().arevoke(jti="a", until=5))  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"^Guard\.averify must get its options by name, got 1 without"):
        asyncio.run(GUARD.averify("t", "X-API-Key"))  # type: ignore[misc]


@pytest.mark.parametrize(
    ("call", "options", "says"),
    [
        (Principal, {"subject": "ann", "scope": ["read"]}, "got scope: write scopes=…"),
        (Principal, {"subject": "ann", "role": "admin"}, "got role: write roles=…"),
        (Principal, {"sub": "ann"}, "got sub: write subject=…"),
        (APIKey, {"subject": "ann", "roll": ["read"]}, "got roll: write roles=…"),
        (FakeIssuer, {"issuer": "https://a.test"}, "got issuer: write url=…"),
        (Clock, {"start": 5}, "got start: write now=…"),
        (partial(override, GUARD, "ann"), {"scopes": ["a"]}, "got scopes: write principal=…"),
        (partial(rotate_api_key, None, "key_1", print), {"expires_in": 5}, "write expires_in_days=…"),
        (partial(ClientAuth.basic, "a"), {"secret": "b"}, "got secret: write client_secret=…"),
        (AuthGuardClient, {"tokens": "x"}, "got tokens: write token=…"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_names_of_other_packages_and_near_names(
    call: Callable[..., Any], options: dict[str, Any], says: str
) -> None:
    """Names that other packages use, and similar ones, are answered with the option of this package."""
    given = [Flask("app")] if call is AuthGuardClient else []
    with pytest.raises(TypeError, match=f"must get options that it has, .*{says}$"):
        call(*given, **options)


@pytest.mark.parametrize(
    "build", [JWTVerifier.from_issuer, BackChannelLogout.from_issuer], ids=lambda each: each.__qualname__
)
def test_a_missing_option_under_another_name(build: Callable[..., Any]) -> None:
    """An option that is missing, because it has another library's name, is named."""
    says = "from_issuer must get options that it has, got aud: write audience=…$"
    with pytest.raises(TypeError, match=says):
        build("https://auth.example.com", aud="api")
    with pytest.raises(TypeError, match=r"missing \d required"):
        build("https://auth.example.com")


def _with_options() -> list[str]:
    """Return the public classes, functions and methods with options that need a name."""
    found = {}
    for module in [module for group in GROUPS for module in group.modules if module != "authguard.errors"]:
        for name, thing in public_names(importlib.import_module(module)).items():
            if inspect.isclass(thing) and issubclass(thing, Exception):
                continue
            if inspect.isclass(thing):
                members = {each: getattr(value, "__func__", value) for each, value in vars(thing).items()}
                found.update({f"{name}.{each}": value for each, value in members.items() if each[0] != "_"})
                found[name] = thing.__init__
            else:
                found[name] = thing
    kinds = {
        name: {each.kind for each in inspect.signature(thing).parameters.values()}
        for name, thing in found.items()
        if inspect.isroutine(thing) and not hasattr(thing, "__wrapped__")
    }
    named, any_name = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD
    return sorted(name for name, each in kinds.items() if named in each and any_name not in each)


def test_no_public_name_is_left_out() -> None:
    """Each public class, function and method with options that need a name is decorated."""
    assert [name for name in _with_options() if name.partition(".publish")[0] not in FOR_ADAPTERS] == []


def test_another_type_error_is_left_as_it_is() -> None:
    """A TypeError of the function itself is not changed."""

    @named_options
    def call(number: int, **more: Any) -> Any:
        return number + "text"  # type: ignore[operator]

    with pytest.raises(TypeError, match="unsupported operand"):
        call(1, other=2)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'number'"):
        call()


def test_no_value_is_shown() -> None:
    """The error does not show the value of an option."""
    with pytest.raises(TypeError) as raised:
        JWTVerifier(secret="s3cr3t-Marker")  # type: ignore[call-arg]
    assert "Marker" not in str(raised.value)


@pytest.mark.parametrize(("word", "seconds"), [("minute", 60), ("hours", 3600), ("fortnight", 60)])
def test_a_word_as_the_seconds_of_a_quota(word: str, seconds: int) -> None:
    """A unit as the seconds of a quota is refused with the number of seconds."""
    with pytest.raises(
        ConfigurationError, match=rf"seconds of a Quota must be .*: write Quota\(10, {seconds}\)$"
    ):
        Quota(10, word)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "advice"),
    [
        (lambda: JWTVerifier(SECRET, ["HS256"], "demo", "demo"), "3 without: write algorithms=…, issuer=…"),  # type: ignore[misc, call-arg]
        (lambda: TokenIssuer(SECRET, "demo", "demo"), "2 without: write issuer=…, audience=…"),  # type: ignore[misc, call-arg]
        (lambda: Rule("/items", ["write"]), "1 without: write one of methods, scopes, any_of, roles"),  # type: ignore[misc]
        (lambda: AuthGuardMiddleware(page, GUARD), "1 without: write guard=…"),  # type: ignore[misc, call-arg]
        (lambda: RedisStore("redis://127.0.0.1", 5), "1 without: write one of bound"),  # type: ignore[misc]
    ],
    ids=["JWTVerifier", "TokenIssuer", "Rule", "AuthGuardMiddleware", "RedisStore"],
)
def test_options_without_their_names_are_named(call: Callable[[], Any], advice: str) -> None:
    """The error about arguments without a name has the options that need one, and no value."""
    with pytest.raises(TypeError) as raised:
        call()
    assert f"must get its options by name, got {advice}" in str(raised.value)
    assert SECRET not in str(raised.value)


def test_a_type_error_of_a_function_with_options_is_left_as_it_is() -> None:
    """A TypeError of a function that was called correctly is not changed."""

    @named_options
    def call(number: int, *, more: int = 0) -> Any:
        return number + "text"  # type: ignore[operator]

    with pytest.raises(TypeError, match="unsupported operand"):
        call(1, more=2)


def test_a_type_error_of_a_function_with_any_arguments_is_left_as_it_is() -> None:
    """A function that takes any number of arguments without names lacks no name."""

    @named_options
    def call(*numbers: int, more: int = 0) -> Any:
        return sum(numbers) + "text"  # type: ignore[operator]

    with pytest.raises(TypeError, match="unsupported operand"):
        call(1, 2)


def test_an_error_of_an_async_function_itself_is_unchanged() -> None:
    """A TypeError that an `async` function raises itself is not replaced."""

    @named_options
    async def fails(*, now: float) -> None:
        raise TypeError(f"at {now}")

    with pytest.raises(TypeError, match=r"^at 5$"):
        asyncio.run(fails(now=5))
