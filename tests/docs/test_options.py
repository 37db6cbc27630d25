"""The tables of docs/reference/options.md have the options of the code."""

import inspect
import re

import pytest

from authguard import (
    AccessCookie,
    APIKeyFile,
    APIKeyVerifier,
    DPoP,
    Guard,
    HTTPOptions,
    IntrospectionVerifier,
    JWTVerifier,
    MemoryQuotas,
    MutualTLS,
    Quota,
    RemoteKeySet,
    ResourceMetadata,
    Rule,
)
from authguard.asgi import AuthGuardMiddleware
from authguard.backchannel import BackChannelLogout
from authguard.stores import (
    PostgresQuotas,
    PostgresStore,
    RedisQuotas,
    RedisStore,
    SQLiteQuotas,
    SQLiteStore,
)
from docs.blocks import pages, read
from option_tables import BUILT

PAGE = read("docs/reference/options.md")
#: The names in the first two columns of each table of each page.
ROWS = [
    name
    for page in pages()
    for row in re.findall(r"^\| ([^\n]*?\|[^|\n]*)\|", read(page), re.MULTILINE)
    for code in re.findall(r"`([^`]+)`", row)
    for name in re.findall(r"\w+", code)
]
#: Parameters that a function passes on to another one.
VARIADIC = {"args", "kwargs", "given", "options", "claims", "self"}


def _documented() -> list[tuple[type, str]]:
    classes = (
        Guard,
        AuthGuardMiddleware,
        JWTVerifier,
        RemoteKeySet,
        IntrospectionVerifier,
        HTTPOptions,
        APIKeyVerifier,
        APIKeyFile,
        AccessCookie,
        DPoP,
        MutualTLS,
        RedisStore,
        PostgresStore,
        SQLiteStore,
        BackChannelLogout,
        ResourceMetadata,
        Rule,
        Quota,
        MemoryQuotas,
        SQLiteQuotas,
        PostgresQuotas,
        RedisQuotas,
    )
    return [(cls, name) for cls in classes for name in inspect.signature(cls).parameters]


def _section(cls: type) -> str:
    match = re.search(rf"^## `{cls.__name__}`$.*?(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert match is not None, f"no section for {cls.__name__}"
    return match[0]


@pytest.mark.parametrize(("cls", "name"), _documented(), ids=lambda part: getattr(part, "__name__", part))
def test_option_is_documented(cls: type, name: str) -> None:
    """Each parameter of a constructor has a row in the table of its class."""
    assert f"\n| `{name}` |" in _section(cls)


@pytest.mark.parametrize("cls", dict.fromkeys(cls for cls, _ in _documented()), ids=lambda cls: cls.__name__)
def test_documented_options_exist(cls: type) -> None:
    """The rows of a table are the parameters of its class, in their order."""
    rows = re.findall(r"^\| `(\w+)` \|", _section(cls), re.MULTILINE)
    assert rows == list(inspect.signature(cls).parameters)


#: Classes whose objects the guard or the service creates for an application.
MADE = {"Auth", "Outbox"}


@pytest.mark.parametrize("name", [name for name in BUILT if name not in MADE])
def test_each_option_has_a_row_in_a_page(name: str) -> None:
    """Each option of each public class and function is in the first columns of a table."""
    options = set(inspect.signature(BUILT[name].target).parameters) - VARIADIC
    assert options - set(ROWS) == set()
