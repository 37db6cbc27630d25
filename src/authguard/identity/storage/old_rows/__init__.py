"""Delete expired rows of all tables."""
