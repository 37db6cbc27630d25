"""Implement `authguard.flask`."""
