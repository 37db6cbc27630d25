"""The error about a missing database, which says whether its name is the default."""

import pytest

from authguard.errors import ConfigurationError
from authguard.identity.storage import migrations
from authguard.identity.storage.database import Database


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("name", "advice"),
    [
        (
            "authguard.db",
            "got 'authguard.db', the default: set AUTHGUARD_DATABASE, or, for a new database, run",
        ),
        ("other.db", "got 'other.db': correct the name, or, for a new database, run `authguard db upgrade`"),
    ],
)
def test_a_database_that_is_not_there(tmp_path, monkeypatch, name, advice):
    """A missing database is not created, and the error suggests the variable only for the default name."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as refused:
        migrations.check(Database(f"sqlite:///{name}"))
    assert advice in str(refused.value)
    assert not (tmp_path / name).exists()
