"""Run the migrations for Alembic; `upgrade` passes the connection, with its transaction."""

from alembic import context

from authguard.identity.storage.migrations import VERSION_TABLE
from authguard.identity.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    version_table=VERSION_TABLE,
)
context.run_migrations()
