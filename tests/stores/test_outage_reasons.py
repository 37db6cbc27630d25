"""The reason of an outage names the part of the URL that is wrong."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from authguard import Principal, Quota
from authguard.errors import QuotaUnavailableError, VerificationUnavailableError
from authguard.stores import PostgresQuotas, PostgresStore, SQLiteStore
from stores.quota_world import takes

ANN = Principal("ann", token_id="1")


def other_host(url: str) -> str:
    """Return the URL with an unknown host."""
    return url.replace(urlsplit(url).hostname or "", "no-such-host.invalid")


def other_port(url: str) -> str:
    """Return the URL with a port without a server."""
    return url.replace(str(urlsplit(url).port), "1")


def other_database(url: str) -> str:
    """Return the URL with another name of a database."""
    return urlsplit(url)._replace(path="/authguard_missing").geturl()


def other_user(url: str) -> str:
    """Return the URL with a user that the server does not have."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    return urlsplit(url)._replace(netloc=f"authguard_nobody:s3cret@{host}").geturl()


FAULTS = pytest.mark.parametrize(
    ("change", "reason"),
    [
        (other_host, "the host of the URL is not known"),
        (other_port, "no server listens at the host and port of the URL"),
        (other_database, "the server has no database of the name in the URL"),
        (other_user, "the server has no user of the name in the URL"),
    ],
)


@FAULTS
def test_a_log_of_revocations_names_the_wrong_part(
    postgres_url: str, change: Callable[[str], str], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The log line names the wrong part, without the password and the text of the driver."""
    store = PostgresStore(change(postgres_url))
    with pytest.raises(VerificationUnavailableError, match=f"PostgreSQL: {reason}"):
        store.revocations.is_revoked(ANN)
    store.close()
    assert f"PostgreSQL: {reason}" in caplog.text
    assert "s3cret" not in caplog.text and "FATAL" not in caplog.text


@FAULTS
def test_a_store_of_quotas_names_the_wrong_part(
    postgres_url: str, change: Callable[[str], str], reason: str
) -> None:
    """The error of a store of quotas names the wrong part."""
    store = PostgresQuotas(change(postgres_url))
    with pytest.raises(QuotaUnavailableError) as raised:
        store.take(takes([Quota(10, 60)]))
    store.close()
    assert f"PostgreSQL: {reason}" in str(raised.value.reason)


def test_a_folder_that_was_removed(tmp_path: Path) -> None:
    """A folder that was removed is an outage with the reason of the system."""
    folder = tmp_path / "data"
    folder.mkdir()
    store = SQLiteStore(folder / "logouts.db")
    folder.rmdir()
    with pytest.raises(VerificationUnavailableError, match="SQLite: No such file or directory"):
        store.revocations.is_revoked(ANN)
    store.close()
