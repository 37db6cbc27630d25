"""Add several roles and scopes to accounts, and the table of tasks that one process does for all."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, and create the table."""
    op.add_column("users", sa.Column("further_roles", sa.Text(), nullable=False, server_default=""))
    op.add_column("users", sa.Column("scopes", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "background_tasks",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("next_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_background_tasks")),
    )


def downgrade() -> None:
    """Undo it. Accounts keep their first role, and lose their scopes."""
    op.drop_table("background_tasks")
    op.drop_column("users", "scopes")
    op.drop_column("users", "further_roles")
