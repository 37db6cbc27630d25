"""Serve the JSON APIs."""
