"""Manage OAuth clients, and issue, introspect and revoke tokens for them."""
