"""docs/security.md: each number is that of the code, and each named test exists."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import authguard
from authguard import DPoP, Guard, IntrospectionVerifier, JWTVerifier, MemoryQuotas
from authguard._core.answer.redirect import MAX_TARGET
from authguard._core.credential.extractor import MAX_CREDENTIAL
from authguard._core.credential.subprotocol import MAX_OFFERED
from authguard._core.jose.documents import MAX_TRIED
from authguard._core.options.numbers import MAX_LEEWAY
from authguard._core.policy.paths import MAX_ODD_PATH, MAX_PATH, MAX_READ_CHARACTERS, MAX_SEGMENTS
from authguard._core.proofs import dpop, replays
from authguard._core.remote.keys import MAX_KEYS as MAX_FETCHED
from authguard._core.remote.keys import UNKNOWN_SECONDS
from authguard._logs import _MAX_PATH as LOGGED_PATH
from authguard._logs import by_reason
from authguard.asgi import AuthGuardMiddleware
from authguard.identity.api.secret_scanning import MAX_REPORT_BYTES
from authguard.identity.passwords.hashing import MAX_PASSWORD
from authguard.identity.passwords.imported import MAX_BCRYPT_COST, MAX_SCRYPT_MEMORY
from authguard.identity.scanning.matches import MAX_MATCHES
from authguard.identity.settings import Settings
from authguard.identity.social.client import MAX_ANSWER
from authguard.identity.social.provider import Provider
from authguard.identity.usecases.api_keys import MAX_KEYS
from authguard.identity.usecases.sessions import MAX_SESSIONS
from authguard.identity.web.bodies import MAX_MEMBERS
from authguard.identity.web.messages import MAX_BODY_BYTES
from authguard.identity.web.turns import MAX_TURNS, MAX_WAIT_SECONDS, MAX_WAITING
from authguard.stores import RedisStore
from authguard.verifiers.http import MAX_BYTES
from authguard.verifiers.introspection import MAX_TTL
from authguard.verifiers.remote import RemoteKeySet

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
TABLE = TEXT.partition("\n## Bounds\n")[2].partition("\n## ")[0]
ROWS = {
    name: (bound, tests)
    for name, bound, _, tests in re.findall(r"^\| (.+?) \| (.+?) \| (.*?) ?\| (.+) \|$", TABLE, re.MULTILINE)
    if not name.startswith(("bounded thing", "---"))
}
SAME_IN_WORDS = {"quota"}
KIB, MIB = 1024, 1024 * 1024


def default(function: Any, option: str) -> Any:
    """Return the default of an option."""
    return inspect.signature(function).parameters[option].default


NUMBERS: dict[str, tuple[float, ...]] = {
    "credential in a field or cookie": (MAX_CREDENTIAL / KIB,),
    "path that may be public": (MAX_PATH, MAX_SEGMENTS),
    "odd path of which readings are made": (MAX_ODD_PATH,),
    "all readings of a path together": (MAX_READ_CHARACTERS,),
    "signature checks for a token": (1, MAX_TRIED),
    "verified credentials that are remembered": (default(Guard, "cache_size"),),
    "answer of an issuer": (MAX_BYTES / KIB,),
    "keys in a fetched set": (MAX_FETCHED,),
    "fetches for unknown `kid`": (3, 1, UNKNOWN_SECONDS),
    "stale keys in an outage": (default(RemoteKeySet, "max_stale"),),
    "answer of an introspection endpoint that is remembered": (
        default(IntrospectionVerifier, "cache_ttl"),
        MAX_TTL,
    ),
    "leeway of clocks": (default(JWTVerifier, "leeway"), MAX_LEEWAY),
    "DPoP proof": (dpop._MAX_PROOF, default(DPoP, "window")),
    "DPoP proofs that are remembered": (default(DPoP, "proofs_per_key"), replays._MAX_PROOFS),
    "`next` in a redirect": (MAX_TARGET,),
    "subprotocols that are read": (MAX_OFFERED,),
    "a revocation in every process": (default(RedisStore, "bound"),),
    "websocket after a logout": (default(AuthGuardMiddleware, "recheck"),),
    "path in a line of the log": (LOGGED_PATH,),
    "lines of the log about refusals, at INFO": (1, by_reason._SECONDS),
    "callers and quotas that are counted in memory": (default(MemoryQuotas, "max_counters"),),
    "body for the identity service": (MAX_BODY_BYTES / KIB, MAX_MEMBERS),
    "password": (MAX_PASSWORD,),
    "imported hash": (MAX_BCRYPT_COST, MAX_SCRYPT_MEMORY / MIB),
    "passwords for one account at a time": (MAX_TURNS, MAX_WAITING, MAX_WAIT_SECONDS),
    "living sessions of an account": (MAX_SESSIONS,),
    "living API keys of an account": (MAX_KEYS,),
    "one-time link": (default(Settings, "link_lifetime"),),
    "answer of a provider of sign-in": (MAX_ANSWER / MIB, default(Provider, "timeout")),
    "report of leaked keys": (MAX_REPORT_BYTES / MIB, MAX_MATCHES),
}


def test_each_bound_is_compared() -> None:
    """Each row of the table has its numbers in this file, except for those without numbers."""
    assert set(ROWS) - SAME_IN_WORDS == set(NUMBERS)


@pytest.mark.parametrize("name", NUMBERS)
def test_a_bound_is_that_of_the_code(name: str) -> None:
    """The numbers of a row are those of the code, in their order."""
    written = [float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", ROWS[name][0])]
    assert written == [float(number) for number in NUMBERS[name]]


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:\w+/)+test_\w+\.py)`", TEXT))))
def test_a_test_that_is_named_is_there(path: str) -> None:
    """A test file that the page names exists and has tests."""
    assert "def test_" in (ROOT / "tests" / path).read_text(encoding="utf-8")


def test_each_line_of_a_table_names_a_test() -> None:
    """Each threat and each bound names a test."""
    rows = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith("|---")]
    heads = ("| threat |", "| bounded thing |")
    assert [row for row in rows if "test_" not in row and not row.startswith(heads)] == []


def test_supported_version() -> None:
    """SECURITY.md names the series of the current release as supported."""
    series = authguard.__version__.rpartition(".")[0]
    assert f"| {series}.x | yes |" in (Path(__file__).parents[2] / "SECURITY.md").read_text(encoding="utf-8")
