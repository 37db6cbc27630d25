"""Move revocations to the log that processes follow, in the tables of `authguard.stores`."""

import sqlalchemy as sa
from alembic import op

from authguard.identity.storage.marks import dialect_of, execute_by
from authguard.stores.marks import Mark
from authguard.stores.sql import sql_log, sql_tables

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_OLD = ("token", "key", "session", "subject")  # marks with a meaning, without decoys


def upgrade() -> None:
    """Create the tables of the log, unless a store has created them, and copy the revocations to it."""
    connection = op.get_bind()
    execute, spell = execute_by(connection), dialect_of(connection).spell
    unlogged = "UNLOGGED" if connection.dialect.name == "postgresql" else ""
    sql_log.create_tables(execute, spell, unlogged=unlogged)
    rows = connection.execute(sa.text("SELECT kind, name, revoked_at, until FROM revocations")).all()
    marks = [
        Mark(kind, "", name, revoked_at if kind == "subject" else None, until)
        for kind, name, revoked_at, until in rows
        if kind in _OLD
    ]
    if marks:
        sql_log.append(execute, spell, marks)
    op.drop_table("revocations")


def downgrade() -> None:
    """Undo it; revocations for a single issuer are lost."""
    connection = op.get_bind()
    op.create_table(
        "revocations",
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("revoked_at", sa.Double(), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name"),
    )
    op.create_index("ix_revocations_until", "revocations", ["until"])
    connection.execute(
        sa.text(
            "INSERT INTO revocations (kind, name, revoked_at, until)"
            " SELECT kind, name, coalesce(issued_before, 0), until FROM authguard_marks"
            " WHERE issuer = '' AND kind <> 'all'"
        )
    )
    for statement in sql_tables.TABLES:
        words = statement.split()
        if "TABLE" in words:
            op.drop_table(words[words.index("EXISTS") + 1])
