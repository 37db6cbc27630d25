"""Verify credentials: each verifier turns one kind into a principal, or raises an error."""
