"""Serve a small FastAPI application with accounts: it mounts the identity service, inside a guard."""
