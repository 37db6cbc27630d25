"""Keep the data in SQLite or PostgreSQL."""
