"""Decide which paths and methods need which caller."""
