"""Create the table of events of API keys, and note when owners are notified of the expiry of their keys."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_DAY = 86_400
# seconds before the expiry; copied, because a migration must not change with the code
_NOTICE_DAYS = (30, 7, 1, 0)


def upgrade() -> None:
    """Create the table and the columns. Owners of usable keys will get the notices that are still due."""
    op.add_column("api_keys", sa.Column("disabled_by", sa.String(length=16), nullable=True))
    op.add_column("api_keys", sa.Column("switches", sa.Integer(), server_default="0", nullable=False))
    op.add_column("api_keys", sa.Column("notice_at", sa.Double(), nullable=True))
    cases = " ".join(
        f"WHEN expires_at - {days * _DAY} > :now THEN expires_at - {days * _DAY}" for days in _NOTICE_DAYS
    )
    op.get_bind().execute(
        sa.text(f"UPDATE api_keys SET notice_at = CASE {cases} END WHERE revoked_at IS NULL"),  # noqa: S608
        {"now": time.time()},
    )
    op.create_index(
        "ix_api_keys_notice_at",
        "api_keys",
        ["notice_at"],
        sqlite_where=sa.text("notice_at IS NOT NULL"),
        postgresql_where=sa.text("notice_at IS NOT NULL"),
    )
    op.create_table(
        "api_key_events",
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("actor", sa.String(length=16), nullable=False),
        sa.Column("actor_key_id", sa.String(length=64), nullable=True),
        sa.Column("mail_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["key_id"], ["api_keys.id"], name=op.f("fk_api_key_events_key_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key_id", "name", "number", name=op.f("pk_api_key_events")),
    )
    op.create_index(
        "ix_api_key_events_mail_at",
        "api_key_events",
        ["mail_at"],
        sqlite_where=sa.text("mail_at IS NOT NULL"),
        postgresql_where=sa.text("mail_at IS NOT NULL"),
    )


def downgrade() -> None:
    """Undo it. Disabled keys stay disabled."""
    op.drop_table("api_key_events")
    op.drop_index("ix_api_keys_notice_at", table_name="api_keys")
    for name in ("notice_at", "switches", "disabled_by"):
        op.drop_column("api_keys", name)
