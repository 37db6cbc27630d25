"""Each option of each public class and function refuses values of a wrong type when it is built."""

import ast
import asyncio
import inspect
import random
import re
import ssl
import sys
import time
from datetime import UTC, datetime, timedelta
from math import inf
from types import SimpleNamespace

import httpx
import pytest

import authguard
from authguard import ConfigurationError
from authguard.errors import AuthGuardError
from authguard.stores import Receipt
from option_kinds import WRONG
from option_tables import ALIASES, BUILT, NOT_BUILT

OPTIONS = [(name, option) for name, built in BUILT.items() for option, kind in built.kinds.items() if kind]


def complaint(name, option, value):
    """Return the fault of the refusal of a value of a wrong type; None if it has none."""
    target, good, _, _ = BUILT[name]
    try:
        target(**{**good, option: value})
    except ConfigurationError as error:
        text = str(error)
        called = rf"(?:{option}|{ALIASES.get(option, option)})"
        names_it = re.search(rf"\b{called}\b.* must ", text)
        return None if names_it else f"{value!r}: {text}"
    except Exception as error:  # a TypeError, as a rule
        return f"{value!r}: {error!r}"
    return f"{value!r} is taken"


@pytest.mark.parametrize(("name", "option"), OPTIONS, ids=str)
def test_a_value_of_a_wrong_type_is_a_configuration_error_that_names_the_option(name, option):
    """A value of a wrong type is a ConfigurationError that names the option."""
    kind = BUILT[name].kinds[option]
    takes_none = kind.endswith("?") or kind == "texts"
    values = [value for value in WRONG[kind.rstrip("?")] if not (value is None and takes_none)]
    assert [text for value in values if (text := complaint(name, option, value))] == []


STORE = SimpleNamespace(revocations=None, replays=None)
#: The names that a spelling may have besides the public names.
NAMES = {
    "asyncio": asyncio,
    "time": time,
    "random": random,
    "ssl": ssl,
    "sys": sys,
    "httpx": httpx,
    "store": STORE,
    "name": len,
    "url": str,
}


def spellings(name, option):
    """Yield the arguments that the errors of an option advise to write."""
    target, good, kinds, _ = BUILT[name]
    for value in WRONG[kinds[option].rstrip("?")]:
        try:
            target(**{**good, option: value})
        except ConfigurationError as error:
            if advice := re.search(r": write (\w+=.+?)(?:, without parentheses)?\Z", str(error)):
                yield from advice[1].replace("…", "...").split(" or ")


@pytest.mark.parametrize(("name", "option"), OPTIONS, ids=str)
def test_what_an_error_says_to_write_is_python(name, option):
    """The advised argument is valid Python, and all its names exist."""
    public = {**vars(authguard), **BUILT, **NAMES, "dict": dict}
    for spelling in spellings(name, option):
        for node in ast.walk(ast.parse(f"dict({spelling})", mode="eval").body):
            match node:
                case ast.Name(id=named):
                    assert named in public
                case ast.Attribute(value=ast.Name(id=named), attr=attribute):
                    assert hasattr(public[named], attribute)


@pytest.mark.parametrize("name", BUILT)
def test_each_option_is_in_the_table(name):
    """Each option of a class is in the table of this file."""
    target, _, kinds, exempt = BUILT[name]
    if name in ("Guard", "answer_keys", "tenants"):
        pytest.skip("the same class as another row")
    assert set(inspect.signature(target).parameters) == {*kinds, *exempt}


def test_each_public_class_is_in_the_table():
    """Each public class is in the table of this file."""
    errors = {
        name
        for name in authguard.__all__
        if inspect.isclass(cls := getattr(authguard, name)) and issubclass(cls, AuthGuardError)
    }
    assert set(authguard.__all__) - errors - NOT_BUILT <= {*BUILT}


def test_the_guard_has_no_option_beside_the_table():
    """Each option of the Guard is in the table of this file."""
    assert set(inspect.signature(authguard.Guard).parameters) - {"verifiers"} == {*BUILT["Guard"].kinds}


#: Values that are at least as long as the lower bound of the option.
LONG_ENOUGH = {
    "remember": timedelta(hours=1),
    "api_key_lifetime": timedelta(hours=1),
    "signing_key_lifetime": timedelta(days=90),
    "session_lifetime": timedelta(days=365),
    "usage_minutes_kept": timedelta(days=1),
    "usage_hours_kept": timedelta(days=90),
    "usage_days_kept": timedelta(days=800),
}
DURATIONS = [(name, option) for name, option in OPTIONS if BUILT[name].kinds[option].rstrip("?") == "seconds"]


@pytest.mark.parametrize(("name", "option"), DURATIONS, ids=str)
def test_a_duration_may_be_a_timedelta(name, option):
    """A duration may be a timedelta, which is kept as a number of seconds."""
    target, good, _, _ = BUILT[name]
    short = timedelta(minutes=5) if name == "Settings" else timedelta(seconds=5)
    built = target(**{**good, option: LONG_ENOUGH.get(option, short)})
    assert not isinstance(getattr(built, option, None), timedelta)


@pytest.mark.parametrize(
    ("name", "option"),
    [("APIKey", "expires_at"), ("Principal", "expires_at"), ("MemoryRevocations.revoke", "until")],
)
def test_a_moment_may_be_a_datetime_with_a_time_zone(name, option):
    """A moment may be a datetime with a time zone."""
    target, good, _, _ = BUILT[name]
    built = target(**{**good, option: datetime(2030, 1, 1, tzinfo=UTC)})
    assert isinstance(built, Receipt) or getattr(built, option) == 1893456000


SECRETS = {
    "JWTVerifier": ["keys"],
    "IntrospectionVerifier": ["client_secret"],
    "ClientAuth.basic": ["client_secret"],
    "ClientAuth.post": ["client_secret"],
    "ClientAuth.bearer": ["token"],
    "ClientAuth.private_key_jwt": ["private_key"],
    "HTTPOptions": ["proxy"],
    "DPoP": ["nonce_secret"],
    "APIKeyVerifier": ["keys"],
    "BearerAuth": ["password"],
    "APIKeyAuth": ["key"],
    "Settings": [
        "secret", "previous_secret", "database", "limits_url", "smtp_url", "revocations_url",
        "github_client_secret", "linkedin_client_secret", "oidc_client_secret",
    ],
    "Limiter": ["url"],
    "RedisStore": ["url"],
    "PostgresStore": ["url"],
    "SMTPMailer": ["url"],
    "GitHub": ["client_secret"],
    "SQLRevocations": ["database"],
}  # fmt: skip
MARKER = "hunter2-hunter2"


@pytest.mark.parametrize(
    ("name", "option"), [(name, option) for name, options in SECRETS.items() for option in options], ids=str
)
@pytest.mark.parametrize(
    "value",
    [
        MARKER,
        f"\x00{MARKER}",
        MARKER.encode(),
        [MARKER],
        {"a": MARKER},
        {MARKER: 5},
        f"redis://:{MARKER}@h:x",
    ],
    ids=["text", "control", "bytes", "list", "value", "key", "URL"],
)
def test_no_error_shows_a_secret(name, option, value):
    """No error shows a secret, and neither do the errors that caused it."""
    target, good, _, _ = BUILT[name]
    try:
        target(**{**good, option: value})
    except ConfigurationError as error:
        cause: BaseException | None = error
        while cause is not None:
            assert MARKER not in str(cause)
            cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def test_no_error_shows_the_value_of_a_field():
    """The error about a field shows its name, and not its value."""
    with pytest.raises(ConfigurationError, match="the value of 'X-A' in headers must be") as raised:
        authguard.HTTPOptions(headers={"X-A": f"\x00{MARKER}"})
    assert MARKER not in str(raised.value)


def test_infinity_is_no_duration():
    """Infinity is refused as a duration."""
    with pytest.raises(ConfigurationError, match="leeway must be between 0 and 300 seconds, got inf"):
        target, good, _, _ = BUILT["JWTVerifier"]
        target(**{**good, "leeway": inf})
