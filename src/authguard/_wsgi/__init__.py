"""Hold the parts of `authguard.wsgi`: requests, and warnings about several processes."""
