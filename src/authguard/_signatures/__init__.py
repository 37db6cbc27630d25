"""Find `requires` and dependencies that are written where a framework does not call them."""
