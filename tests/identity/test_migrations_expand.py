"""Migrations that keep the columns that an older release reads and writes."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import create_engine, inspect

from authguard.identity import storage
from authguard.identity.storage.migrations import upgrade

VERSIONS = Path(str(storage.__file__)).parent / "migrations" / "versions"
REVISIONS = sorted(path.name[:4] for path in VERSIONS.glob("0*.py"))
PAGE = (Path(__file__).parents[2] / "docs" / "production.md").read_text(encoding="utf-8")
#: Migrations that remove something, which docs/production.md names.
CONTRACTING = re.findall(r"`(\d{4})`", PAGE.partition("remove something: ")[2].partition(".")[0])

pytestmark = pytest.mark.one_database


class Columns(NamedTuple):
    """The columns of all tables, and those that a row must have."""

    all: set[str]
    required: set[str]


def columns_of(path: Path) -> Columns:
    """Return `table.column` of all columns, and of those that need a value."""
    engine = create_engine(f"sqlite:///{path}")
    inspector = inspect(engine)
    every = [
        (table, column) for table in inspector.get_table_names() for column in inspector.get_columns(table)
    ]
    engine.dispose()
    needed = {f"{t}.{c['name']}" for t, c in every if not c["nullable"] and c["default"] is None}
    return Columns({f"{t}.{c['name']}" for t, c in every}, needed)


def steps(folder: Path) -> dict[str, tuple[Columns, Columns]]:
    """Return the columns before and after each migration."""
    database, before, results = folder / "old.db", Columns(set(), set()), {}
    for revision in REVISIONS:
        upgrade(f"sqlite:///{database}", _full_name(revision))
        after = columns_of(database)
        results[revision], before = (before, after), after
    return results


def _full_name(revision: str) -> str:
    (path,) = VERSIONS.glob(f"{revision}_*.py")
    (name,) = re.findall(r'^revision = "(.+)"', path.read_text(encoding="utf-8"), re.MULTILINE)
    return str(name)


@pytest.mark.slow
def test_migrations_only_add_but_for_those_that_the_page_names(tmp_path: Path) -> None:
    """Each migration that removes or requires a column is named in docs/production.md."""
    contracting = []
    for revision, (before, after) in steps(tmp_path).items():
        tables = {name.partition(".")[0] for name in before.all}
        new_needs = {name for name in after.required - before.required if name.partition(".")[0] in tables}
        if before.all - after.all or new_needs:
            contracting.append(revision)
    assert contracting == CONTRACTING
