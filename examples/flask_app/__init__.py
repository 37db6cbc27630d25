"""Serve a small website in Flask with a login page of its own, and an API."""
