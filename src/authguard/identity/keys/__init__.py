"""Make API keys of the service, say what they may, and verify them for guards."""
