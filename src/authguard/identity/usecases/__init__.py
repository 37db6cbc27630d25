"""Run the use cases, free of HTTP, each in one transaction."""
