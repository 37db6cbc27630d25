"""Delete rows of all tables that are over."""
