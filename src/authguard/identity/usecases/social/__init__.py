"""Sign in with providers: link or create accounts, and record failures."""
