"""Manage connections to a database, and describe why it does not answer."""
