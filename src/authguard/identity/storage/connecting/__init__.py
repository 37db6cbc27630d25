"""Keep connections to a database, and say in words why it cannot be asked."""
