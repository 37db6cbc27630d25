"""Hold tools for developers of the package, which are not part of it."""
