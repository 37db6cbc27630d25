"""A small Flask application with a login page, an API and an upload."""
