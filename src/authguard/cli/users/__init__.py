"""Manage accounts from the command line: `authguard users`."""
