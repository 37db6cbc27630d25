"""Create the tables of the lifetimes of access tokens, and of the marks that another store has."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "access_lifetimes",
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("seconds", name=op.f("pk_access_lifetimes")),
    )
    op.create_table(
        "marks_elsewhere",
        sa.Column("store", sa.String(length=64), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("store", name=op.f("pk_marks_elsewhere")),
    )


def downgrade() -> None:
    """Undo it. Marks that were not written to another store are not written later."""
    op.drop_table("marks_elsewhere")
    op.drop_table("access_lifetimes")
