"""Verifiers: each turns one kind of credential into a principal, or raises."""
