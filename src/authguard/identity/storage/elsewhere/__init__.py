"""Write the marks of the log to another store as well."""
