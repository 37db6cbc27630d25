"""Issue and inspect tokens."""
