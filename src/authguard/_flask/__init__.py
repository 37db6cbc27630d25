"""Hold the parts of `authguard.flask`."""
