"""A small FastAPI application with a login page, an API, an upload and a websocket."""
