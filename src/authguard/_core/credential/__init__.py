"""Find the credential that a request presents."""
