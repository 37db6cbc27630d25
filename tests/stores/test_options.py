"""The options of stores, and the text that they show."""

import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from authguard import ConfigurationError, Principal
from authguard.stores import PostgresStore, RedisQuotas, RedisStore, SQLiteQuotas, SQLiteStore


@pytest.mark.parametrize("make", [RedisStore, RedisQuotas])
@pytest.mark.parametrize("prefix", ["", "a}b", "{a", "a b", "a\n", "é", "x" * 101])
def test_a_prefix_that_would_break_the_hash_tag_is_refused(make: Any, prefix: str) -> None:
    """A prefix with braces, spaces or other characters is refused, because it is part of a hash tag."""
    with pytest.raises(ConfigurationError, match="prefix must be letters, digits"):
        make("redis://localhost", prefix=prefix)


@pytest.mark.parametrize("down", ["stale", ("stale",), ("stale", -1), ("stale", "5"), ("deny", 5), None, 5])
def test_another_way_to_treat_an_outage_is_refused(tmp_path: Path, down: Any) -> None:
    """Another value of `revocations_down` is refused with the correct ones."""
    with pytest.raises(ConfigurationError, match="revocations_down must be"):
        SQLiteStore(tmp_path / "a.db", revocations_down=down)


def test_durations_are_taken(tmp_path: Path) -> None:
    """Durations may be timedeltas."""
    store = SQLiteStore(
        tmp_path / "a.db", bound=timedelta(seconds=2), revocations_down=("stale", timedelta(minutes=5))
    )
    assert repr(store) == f"SQLiteStore({str(tmp_path / 'a.db')!r})"


@pytest.mark.parametrize(
    ("make", "url"),
    [(RedisStore, "redis://ann:s3cret@h:6380/0"), (PostgresStore, "postgresql://ann:s3cret@h/app")],
)
def test_no_text_of_a_store_shows_its_password(make: Any, url: str) -> None:
    """The repr and the health of a store do not show its password."""
    store = make(url)
    assert "s3cret" not in f"{store!r} {store.revocations.health()!r}"


@pytest.mark.parametrize(
    ("make", "url"),
    [
        (RedisStore, "redis://ann:s3cret@h:port/0"),
        (RedisQuotas, "redis://ann:s3cret@h:port/0"),
        (PostgresStore, "postgresql://ann:s3cret@h/app?user=%zzs3cret"),
    ],
)
def test_a_url_that_its_library_cannot_read_is_refused(make: Any, url: str) -> None:
    """A URL that the library of the store cannot parse is refused at once, without its password."""
    with pytest.raises(ConfigurationError, match="url must be the URL of") as raised:
        make(url)
    assert "s3cret" not in str(raised.value)


@pytest.mark.slow
def test_a_new_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    """The files of a SQLite store are readable by their owner alone, because they have names of users."""
    store = SQLiteStore(tmp_path / "a.db")
    store.revocations.is_revoked(Principal("ada"))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    store.close()
    assert set(modes.values()) == {0o600}, modes


@pytest.mark.parametrize("make", [SQLiteQuotas, SQLiteStore])
@pytest.mark.parametrize("url", ["sqlite:///quotas.db", "postgresql://ann:s3cret@h/app"])
def test_a_url_in_the_place_of_a_path_is_refused(make: Any, url: str) -> None:
    """A URL instead of a path is refused, without its password."""
    with pytest.raises(ConfigurationError, match=r'write ".*\.db", got a URL') as raised:
        make(url)
    assert "s3cret" not in str(raised.value)
