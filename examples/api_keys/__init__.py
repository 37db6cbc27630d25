"""Accept the API keys of the identity service in an application."""
