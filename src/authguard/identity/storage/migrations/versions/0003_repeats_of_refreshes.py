"""Note the origin and the repeats of the refreshes of a session, and the time of a sign-in at a provider."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns; existing sessions begin without repeats and without a known origin."""
    for column in (
        sa.Column("refreshed_network", sa.String(length=64)),
        sa.Column("refreshed_agent", sa.String(length=200)),
        sa.Column("repeats", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("repeated", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("authenticated_at", sa.Double()),
    ):
        op.add_column("sessions", column)


def downgrade() -> None:
    """Undo it."""
    for name in ("refreshed_network", "refreshed_agent", "repeats", "repeated", "authenticated_at"):
        op.drop_column("sessions", name)
