"""Keep the log of a store in PostgreSQL and SQLite."""
