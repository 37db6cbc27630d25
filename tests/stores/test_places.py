"""The names of stores in repr, health and log lines: equal names for one store, and no credentials."""

from typing import Any

import pytest

from authguard import Principal, VerificationUnavailableError
from authguard.identity.storage.database import Database
from authguard.identity.storage.log import log_name
from authguard.stores import PostgresQuotas, PostgresStore, RedisQuotas, RedisStore

REDIS = "redis://localhost:6379"
POSTGRES = "postgresql://h:5432/app"


def _name(store: Any) -> str:
    health = store.revocations.health() if hasattr(store, "revocations") else store.health()
    assert repr(store) == f"{type(store).__name__}({health.name!r})"
    return str(health.name)


@pytest.mark.parametrize("make", [RedisStore, RedisQuotas])
@pytest.mark.parametrize(
    ("url", "prefix", "name"),
    [
        ("redis://localhost", "authguard", f"{REDIS}/0 (prefix authguard)"),
        ("redis://localhost:6379/0", "authguard", f"{REDIS}/0 (prefix authguard)"),
        ("redis://localhost/9", "zz", f"{REDIS}/9 (prefix zz)"),
        ("redis://localhost?db=9", "zz", f"{REDIS}/9 (prefix zz)"),
        ("redis://ann:s3cret@[::1]:7000/2", "a", "redis://[::1]:7000/2 (prefix a)"),
        ("rediss://h/1?password=s3cret&username=ann", "a", "rediss://h:6379/1 (prefix a)"),
        ("unix://ann:s3cret@/run/redis.sock?db=3", "a", "unix:///run/redis.sock (database 3, prefix a)"),
    ],
)
def test_a_store_in_redis_is_named_by_all_that_must_be_equal(
    make: Any, url: str, prefix: str, name: str
) -> None:
    """The name has address, database number and prefix, regardless of the form of the URL."""
    assert _name(make(url, prefix=prefix)) == name


@pytest.mark.parametrize("make", [PostgresStore, PostgresQuotas])
@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://ann:s3cret@h/app", POSTGRES),
        ("postgres://h:5432/app", POSTGRES),
        ("postgresql+psycopg://h/app?password=s3cret", POSTGRES),
        ("postgresql:///app?host=h&user=ann", POSTGRES),
        ("postgresql://h/app?options=-csearch_path%3Dmy", f"{POSTGRES} (search_path my)"),
        ("postgresql://h/app?options=-c%20search_path%3Dmy%20-cjit%3Doff", f"{POSTGRES} (search_path my)"),
        ("postgresql://h/app?options=--search_path%3Dmy", f"{POSTGRES} (search_path my)"),
        ("postgresql:///app?host=/run/postgresql&port=5433", "postgresql:///run/postgresql:5433/app"),
        ("postgresql://h/a%0Ab", "postgresql://h:5432/a%0Ab"),
        ("postgresql://[::1]/app", "postgresql://[::1]:5432/app"),
    ],
)
def test_a_store_in_postgresql_is_named_by_all_that_must_be_equal(make: Any, url: str, name: str) -> None:
    """The name has address, database and schema, regardless of the form of the URL."""
    assert _name(make(url)) == name


def test_the_database_of_the_service_has_the_name_of_a_store_there() -> None:
    """`log_name` of the service's database is the name of a PostgresStore with the same URL."""
    url = "postgresql://ann:s3cret@h/app?options=-csearch_path%3Dmy"
    assert log_name(Database(url)) == _name(PostgresStore(url))


@pytest.mark.parametrize("use", ["revocations", "replays"])
def test_a_store_that_does_not_answer_is_named_in_the_log_of_the_request(use: str) -> None:
    """The reason of an outage names the store with its address, without the password."""
    store = RedisStore("redis://ann:s3cret@127.0.0.1:9/4", prefix="shop")
    with pytest.raises(VerificationUnavailableError) as raised:
        if use == "replays":
            store.replays("digest", 60)
        else:
            store.revocations.is_revoked(Principal("ada"))
    store.close()
    assert raised.value.reason.startswith("redis://127.0.0.1:9/4 (prefix shop): Redis: ")
