"""Hold the parts of `authguard.asgi`: requests, refusals, websockets."""
