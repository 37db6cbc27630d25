"""Provide the database of the service that the client calls."""

from identity.databases import compiled_statements, sqlite_url  # noqa: F401  # fixtures
