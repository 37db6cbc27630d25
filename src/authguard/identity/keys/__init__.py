"""Create API keys of the service, decide their scopes, and verify them for guards."""
