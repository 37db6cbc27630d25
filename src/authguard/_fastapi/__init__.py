"""Implement `authguard.fastapi`: dependencies, their overrides, and the OpenAPI document."""
