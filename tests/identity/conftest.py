"""The two databases: every test of the store and the service runs over both."""

import pytest

from identity_support import Clock, Postbox, empty, postgres_database, service_at, upgrade


@pytest.fixture(scope="session")
def postgres_url():
    with postgres_database() as url:
        upgrade(url)
        yield url


@pytest.fixture(scope="session")
def sqlite_url(tmp_path_factory):
    url = f"sqlite:///{tmp_path_factory.mktemp('identity')}/identity.db"
    upgrade(url)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    """A database with its tables, empty."""
    url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    empty(url)
    return url


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def postbox():
    return Postbox()


@pytest.fixture
def service(url, clock, postbox):
    with service_at(url, clock=clock, postbox=postbox) as service:
        yield service
