"""Run the use cases, independent of HTTP, each in one transaction."""
