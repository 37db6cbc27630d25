"""A call with an unknown option of a public class or function names the correct one."""

import inspect
import secrets
from collections.abc import Callable
from typing import Any

import pytest

import authguard.django
import authguard.fastapi
import authguard.flask
import authguard.starlette
from authguard import (
    AccessCookie,
    APIKeyFile,
    APIKeyVerifier,
    ConfigurationError,
    DPoP,
    Guard,
    HTTPOptions,
    IntrospectionVerifier,
    JWTVerifier,
    MemoryQuotas,
    MemoryRevocations,
    MutualTLS,
    Quota,
    RemoteKeySet,
    ResourceMetadata,
    Rule,
    TokenIssuer,
)
from authguard._core.options import named_options
from authguard.asgi import AuthGuardMiddleware
from authguard.client import APIKeyAuth, BearerAuth
from authguard.identity import Settings
from authguard.stores import PostgresStore, RedisStore, SQLiteStore

CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any], str]] = {
    "another library's name": (Guard, {"exclude_paths": ["/"]}, "write public_paths=…"),
    "its beginning": (Guard, {"public": ["/"]}, "write public_paths=…"),
    "nearly the name": (Guard, {"protected_path": ["/"]}, "write protected_paths=…"),
    "of Flask-Login": (Guard, {"login_view": "login"}, "write login_path=…"),
    "singular": (Rule, {"path": "/", "scope": "a"}, "write scopes=…"),
    "role": (Rule, {"path": "/", "role": "a"}, "write roles=…"),
    "of PyJWT": (JWTVerifier, {"key": "k"}, "write keys=…"),
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
    AccessCookie, APIKeyAuth, APIKeyFile, APIKeyVerifier, AuthGuardMiddleware, BearerAuth, DPoP, Guard,
    HTTPOptions, IntrospectionVerifier, JWTVerifier, MemoryQuotas, MemoryRevocations, MutualTLS,
    PostgresStore, Quota, RedisStore, RemoteKeySet, ResourceMetadata, Rule, Settings, SQLiteStore,
    TokenIssuer, authguard.wsgi.AuthGuardMiddleware, authguard.flask.BrowserSessions,
]  # fmt: skip
FUNCTIONS = [*REQUIRES, authguard.fastapi.install, authguard.flask.init_app]


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
