"""Create the table of waiting mails."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "mails",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=True),
        sa.Column("address", sa.String(length=320), nullable=True),
        sa.Column("details", sa.String(length=300), nullable=False),
        sa.Column("asked_at", sa.Double(), nullable=False),
        sa.Column("try_at", sa.Double(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_mails_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mails")),
    )
    op.create_index(op.f("ix_mails_user_id"), "mails", ["user_id"])
    op.create_index(op.f("ix_mails_try_at"), "mails", ["try_at"])


def downgrade() -> None:
    """Undo it. Waiting mails are not sent."""
    op.drop_table("mails")
