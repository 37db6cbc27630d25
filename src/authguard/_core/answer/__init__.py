"""Build decisions, refusals and redirects."""
