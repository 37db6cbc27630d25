"""API keys of the service: their texts, what they may, and the verifier for guards."""
