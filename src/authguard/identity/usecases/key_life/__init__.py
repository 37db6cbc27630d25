"""Note what happens to API keys, switch them off and on, and tell their owners by mail."""
