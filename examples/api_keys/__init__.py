"""An application that takes the API keys of the identity service."""
