"""Find the credential of a request."""
