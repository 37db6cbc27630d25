"""Store the log in PostgreSQL and SQLite."""
