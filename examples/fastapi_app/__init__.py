"""A small FastAPI application with accounts: it mounts the identity service, and the guard is around it."""
