"""Workers that are forked after the guard has followed the log have a follower thread of their own."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from authguard.stores import PostgresStore, RedisStore, SQLiteStore
from stores.servers import RedisServer, store_server, token
from wire.servers import launch, stop

UNTIL = 4_000_000_000.0


@pytest.fixture(name="url", params=["redis", "postgres", "sqlite"])
def _url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a store of this test alone."""
    if request.param == "postgres":
        yield request.getfixturevalue("postgres_url")
    elif request.param == "sqlite":
        yield str(tmp_path / "log.db")
    else:
        server = store_server("redis", tmp_path)
        assert isinstance(server, RedisServer)
        server.start()
        yield server.url
        server.stop()


def store_at(url: str) -> RedisStore | PostgresStore | SQLiteStore:
    """Return the store of a URL, or of a path."""
    kind = url.partition(":")[0]
    return (
        RedisStore(url)
        if kind == "redis"
        else PostgresStore(url)
        if kind == "postgresql"
        else SQLiteStore(url)
    )


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_forked_workers_follow_the_log(url: str) -> None:
    """The workers of gunicorn with --preload each follow the log."""
    server = launch("gunicorn", "stores.forked_app:app", {"STORE_URL": url}, "--preload", "--workers", "2")
    store = store_at(url)

    def ask(name: str) -> Any:
        return server.send("/", f"Authorization: Bearer {token(name)}")

    try:
        with ThreadPoolExecutor(8) as pool:
            for number in range(10):
                name, processes = f"t{number}", set[str]()
                while len(processes) < 2:
                    answers = list(pool.map(ask, [name] * 8))
                    assert {(answer.status, answer.field("x-mode")) for answer in answers} == {
                        (200, "pushed")
                    }
                    processes |= {answer.field("x-process") for answer in answers}
                store.revocations.revoke(token_id=name, until=UNTIL, wait=True)
                assert {answer.status for answer in pool.map(ask, [name] * 16)} == {401}
    finally:
        stop(server)
        store.close()
