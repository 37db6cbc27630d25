"""API keys from a mapping and from a function."""

from datetime import UTC, datetime
from typing import Any

import pytest

from authguard import APIKey, APIKeyVerifier, ConfigurationError, Credential, digest_api_key
from authguard.errors import InvalidAPIKeyError
from support import judge

NOW = 1_800_000_000.0
KEY = "sk_live_0123456789abcdef"


def verify(verifier: APIKeyVerifier, key: str = KEY, now: float = NOW) -> Any:
    """Run the flow of one key."""
    return judge(verifier, Credential(key, "api_key"), now)


def test_the_principal_of_a_key() -> None:
    """Subject, scopes, roles, key id and expiry come from the key."""
    until = datetime(2027, 6, 1, tzinfo=UTC)
    key = APIKey("robot", scopes=["a"], roles=["b"], expires_at=until, key_id="k1")
    verified = verify(APIKeyVerifier({KEY: key}))
    principal = verified.principal
    assert (principal.subject, principal.scopes, principal.roles) == ("robot", {"a"}, {"b"})
    assert (principal.key_id, principal.method) == ("k1", "api_key")
    assert verified.until == principal.expires_at == until.timestamp()


def test_a_key_without_name_has_one() -> None:
    """The key id of a key without one is the start of its digest."""
    assert verify(APIKeyVerifier({KEY: APIKey("robot")})).principal.key_id == digest_api_key(KEY)[:12]


def test_a_key_is_refused_on_the_second_it_expires() -> None:
    """A key is valid before the second of its expiry."""
    verifier = APIKeyVerifier({KEY: APIKey("robot", expires_at=NOW)})
    assert verify(verifier, now=NOW - 0.001).principal.subject == "robot"
    with pytest.raises(InvalidAPIKeyError):
        verify(verifier)


def test_a_function_is_asked_again_after_a_while() -> None:
    """A found key is remembered for `cache_ttl`, and an unknown one for at most ten seconds."""
    calls: list[str] = []

    def find(digest: str) -> APIKey | None:
        calls.append(digest)
        return APIKey("robot") if digest == digest_api_key(KEY) else None

    verifier = APIKeyVerifier(find)
    assert verify(verifier).until == NOW + 30
    for now in (NOW, NOW + 9.9, NOW + 10):
        with pytest.raises(InvalidAPIKeyError):
            verify(verifier, "sk_live_unknown_key_1", now)
    assert len(calls) == 3


def test_no_cache_asks_each_time() -> None:
    """With `cache_ttl=0` neither a found key nor an unknown one is remembered."""
    calls: list[str] = []
    verifier = APIKeyVerifier(calls.append, cache_ttl=0)
    for _ in range(2):
        with pytest.raises(InvalidAPIKeyError):
            verify(verifier)
    assert len(calls) == 2
    assert verify(APIKeyVerifier(lambda _: APIKey("robot"), cache_ttl=0)).until == NOW


def test_a_function_that_returns_something_else() -> None:
    """A function for keys that returns a row of a database is an error."""
    with pytest.raises(TypeError, match="APIKey or None"):
        verify(APIKeyVerifier(lambda _: {"subject": "robot"}))  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: APIKeyVerifier({}), "empty"),
        (lambda: APIKeyVerifier(KEY), "a mapping of key text"),  # type: ignore[arg-type]
        (lambda: APIKeyVerifier({"short": APIKey("x")}), "at least 16"),
        (lambda: APIKeyVerifier({"caf\xe9" * 8: APIKey("x")}), "visible ASCII"),
        (lambda: APIKeyVerifier({None: APIKey("x")}), "got None: is the variable set that it is read from"),
        (lambda: APIKeyVerifier({"with a space in it, long": APIKey("x")}), "visible ASCII"),
        (lambda: APIKeyVerifier({KEY: "x"}), r"text to APIKey, .*: write APIKey\('x'\)\Z"),  # type: ignore[dict-item]
        (lambda: APIKeyVerifier({KEY: 7}), r"text to APIKey, .*: write APIKey\(…\)\Z"),  # type: ignore[dict-item]
        (lambda: APIKeyVerifier({KEY: APIKey("x")}, header="Authorization"), "must be a field"),
        (lambda: APIKeyVerifier({KEY: APIKey("x")}, header="X_API Key"), "must be a field"),
        (lambda: APIKeyVerifier({KEY: APIKey("x")}, prefixes="sk_"), "must be a list"),
        (lambda: APIKeyVerifier({KEY: APIKey("x")}, prefixes=["a"]), "at least three"),
        (lambda: APIKeyVerifier({KEY: APIKey("x")}, cache_ttl=-1), "between 0 and 3600"),
        (lambda: APIKeyVerifier({KEY: APIKey("x")}, cache_ttl=True), "between 0 and 3600"),
        (lambda: APIKey("x", key_id=""), "key_id of the API key of 'x' must"),
        (lambda: APIKey(""), "subject of an API key must"),
        (lambda: APIKey("x", scopes="read"), "of the API key of 'x' must be a list.*: write scopes="),
        (lambda: APIKey("x", scopes=["a b"]), r"scopes of the API key .*: write scopes=\['a', 'b'\]"),
        (lambda: APIKey("x", roles="a b, c"), r"roles of the API key .*: write roles=\['a b', 'c'\]"),
        (lambda: APIKey("x", disabled="no"), "True or False"),  # type: ignore[arg-type]
        (lambda: APIKey("x", expires_at=datetime(2027, 1, 1)), "time zone"),
        (lambda: APIKey("x", expires_at="soon"), "seconds since the epoch"),  # type: ignore[arg-type]
        (lambda: APIKey("x", expires_at=3600), r"before 2001: write time\.time\(\) \+ 3600"),
    ],
    ids=range(23),
)
def test_a_mistake_is_named_when_it_is_built(build: Any, says: str) -> None:
    """Invalid options are errors with advice."""
    with pytest.raises(ConfigurationError, match=says):
        build()


def test_header_and_prefix_of_ones_own() -> None:
    """The field and the prefixes of a verifier can be chosen."""
    verifier = APIKeyVerifier({KEY: APIKey("x")}, header="X-Token", prefixes=["ak_"])
    assert (verifier.header, verifier.prefixes) == ("X-Token", ("ak_",))
    assert repr(verifier) == "APIKeyVerifier(header='X-Token')"


@pytest.mark.parametrize("key", [f"{KEY},", f",{KEY}", f"{KEY},{KEY}", ",,,,,,,,,,,,,,,,,,,,"], ids=str)
def test_a_key_with_a_comma_is_refused_when_it_is_given(key: str) -> None:
    """A key with a comma, which could be two joined fields, is refused without being shown."""
    with pytest.raises(ConfigurationError, match="must have no comma") as caught:
        APIKeyVerifier({key: APIKey("robot")})
    assert key not in str(caught.value)


@pytest.mark.parametrize("prefix", ["sk,live", "sk_live_,", ",abc", "a,b"], ids=str)
def test_a_prefix_with_a_comma_is_refused(prefix: str) -> None:
    """A prefix with a comma, with which no key begins, is refused."""
    with pytest.raises(ConfigurationError, match="prefix"):
        APIKeyVerifier({KEY: APIKey("robot")}, prefixes=[prefix])


@pytest.mark.parametrize("key", ["\ud800", "sk_live_\udfff", "a" * 40 + "\udcff"])
def test_a_key_that_cannot_be_encoded_is_refused(key):
    """Half of a pair of surrogates has no encoding, and no request can have it. No error shows the key."""
    with pytest.raises(ConfigurationError, match="^key must be text that can be encoded") as caught:
        digest_api_key(key)
    assert caught.value.__cause__ is None
    assert key not in str(caught.value)
