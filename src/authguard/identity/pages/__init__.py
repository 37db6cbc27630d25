"""Serve the sign-in and account pages."""
