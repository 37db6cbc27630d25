"""Hold what `authguard.asgi` is made of: requests, refusals, websockets."""
