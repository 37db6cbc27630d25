"""Hold what `authguard.fastapi` is made of: dependencies, their overrides, and the OpenAPI document."""
