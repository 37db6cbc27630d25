"""The two databases: whatever stores something is tested over both."""

from collections.abc import Iterator

import pytest

from identity.support import empty, postgres_database, upgrade


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with postgres_database() as url:
        upgrade(url)
        yield url


@pytest.fixture(scope="session")
def sqlite_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('identity')}/identity.db"
    upgrade(url)
    return url


@pytest.fixture(name="url", params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest) -> str:
    """A database with its tables, empty."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    empty(url)
    return url
