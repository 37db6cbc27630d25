"""The two databases: commands about accounts run over both."""

import pytest

from identity_support import empty, postgres_database, upgrade


@pytest.fixture(scope="session")
def postgres_url():
    with postgres_database() as url:
        upgrade(url)
        yield url


@pytest.fixture(scope="session")
def sqlite_url(tmp_path_factory):
    url = f"sqlite:///{tmp_path_factory.mktemp('command')}/identity.db"
    upgrade(url)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    """A database with its tables, empty."""
    url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    empty(url)
    return url


@pytest.fixture
def service(url):
    """The variables with which commands work on the service."""
    from cli_support import ISSUER, SECRET

    return {"AUTHGUARD_DATABASE": url, "AUTHGUARD_SECRET": SECRET, "AUTHGUARD_ISSUER": ISSUER}
