"""A store in the wrong place is refused with the correct spelling."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from authguard import APIKey, APIKeyVerifier, ConfigurationError, DPoP, Guard
from authguard.stores import RedisStore, SQLiteStore


@pytest.mark.parametrize(
    ("build", "advice"),
    [
        (lambda store: Guard(keys(), revocations=store), "write revocations=store.revocations"),
        (lambda store: DPoP("https://api.example.com", replays=store), "write replays=store.replays"),
    ],
    ids=["revocations", "replays"],
)
def test_a_store_is_not_its_part(build: Callable[[Any], Any], advice: str, tmp_path: Path) -> None:
    """A store instead of its part is refused with the correct part."""
    store = SQLiteStore(tmp_path / "store.db")
    with pytest.raises(ConfigurationError, match=advice):
        build(store)
    store.close()


def keys() -> APIKeyVerifier:
    """Return a verifier with one key."""
    return APIKeyVerifier({"sk_live_0123456789-ann": APIKey("ann")})


@pytest.mark.parametrize("path", ["/x", "/0/1", "/9x"])
def test_a_database_of_redis_is_a_number(path: str) -> None:
    """A path of a Redis URL that is no number is refused, because redis-py would use the database 0."""
    with pytest.raises(ConfigurationError, match="url must be the URL of a Redis server"):
        RedisStore(f"redis://127.0.0.1{path}")
