"""Count the usage of API keys by rule and outcome, in minutes, hours, days and months."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_PERIODS = ("minutes", "hours", "days", "months")
_NOT_ROLLED_UP = sa.text("uses <> rolled")


def upgrade() -> None:
    """Create the tables, and copy the counts of days, as allowed requests."""
    op.create_index("ix_api_keys_readable_id", "api_keys", ["readable_id"])
    for period in _PERIODS:
        _create(f"api_key_usage_{period}")
    op.create_table(
        "api_key_usage_writers",
        sa.Column("writer", sa.String(length=32), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("written_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("writer", name=op.f("pk_api_key_usage_writers")),
    )
    op.create_table(
        "api_key_usage_kept",
        sa.Column("level", sa.String(length=8), nullable=False),
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("level", name=op.f("pk_api_key_usage_kept")),
    )
    # The rule that allowed them is not known. The months are rolled up from the days, as usual.
    op.execute(
        "INSERT INTO api_key_usage_days"
        " (key_id, start, generation, rule, outcome, user_id, uses, rolled)"
        " SELECT key_id, day * 86400, generation, '', 'ok', user_id, uses, 0 FROM api_key_usage"
    )
    op.drop_table("api_key_usage")


def _create(name: str) -> None:
    op.create_table(
        name,
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("rule", sa.String(length=160), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("uses", sa.BigInteger(), nullable=False),
        sa.Column("rolled", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f(f"fk_{name}_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key_id", "start", "generation", "rule", "outcome", name=op.f(f"pk_{name}")),
        sqlite_with_rowid=False,
    )
    op.create_index(f"ix_{name}_user_id", name, ["user_id", "start"])
    op.create_index(f"ix_{name}_start", name, ["start"])
    for suffix, columns in (("left", ["start"]), ("left_of", ["user_id", "start"])):
        op.create_index(
            f"ix_{name}_{suffix}", name, columns, sqlite_where=_NOT_ROLLED_UP, postgresql_where=_NOT_ROLLED_UP
        )


def downgrade() -> None:
    """Undo it; only the stored counts of allowed requests by day are kept."""
    op.create_table(
        "api_key_usage",
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("uses", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_api_key_usage_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key_id", "generation", "day", name=op.f("pk_api_key_usage")),
    )
    op.create_index("ix_api_key_usage_user_id", "api_key_usage", ["user_id", "day"])
    op.execute(
        "INSERT INTO api_key_usage (key_id, generation, day, user_id, uses)"
        " SELECT key_id, generation, start / 86400, max(user_id), sum(uses) FROM ("
        " SELECT key_id, generation, start, user_id, uses FROM api_key_usage_days WHERE outcome = 'ok'"
        " UNION ALL SELECT key_id, generation, start, user_id, uses - rolled FROM api_key_usage_hours"
        " WHERE outcome = 'ok'"
        " UNION ALL SELECT key_id, generation, start, user_id, uses - rolled FROM api_key_usage_minutes"
        " WHERE outcome = 'ok'"
        ") AS counted GROUP BY key_id, generation, start / 86400 HAVING sum(uses) > 0"
    )
    op.drop_table("api_key_usage_kept")
    op.drop_table("api_key_usage_writers")
    for period in reversed(_PERIODS):
        op.drop_table(f"api_key_usage_{period}")
    op.drop_index("ix_api_keys_readable_id", "api_keys")
