"""Add an index of the active sessions of an account, in the order of their pages."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    alive = sa.text("ended_at IS NULL")
    op.create_index(
        "ix_sessions_alive",
        "sessions",
        ["user_id", "created_at", "id"],
        sqlite_where=alive,
        postgresql_where=alive,
    )


def downgrade() -> None:
    """Undo it."""
    op.drop_index("ix_sessions_alive", "sessions")
