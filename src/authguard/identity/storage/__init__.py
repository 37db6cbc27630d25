"""Store the data in SQLite or PostgreSQL."""
