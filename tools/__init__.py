"""Tools for developers of the package, which are no part of it."""
