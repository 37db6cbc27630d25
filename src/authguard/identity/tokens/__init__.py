"""Issue and verify the tokens of the service."""
