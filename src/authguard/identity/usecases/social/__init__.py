"""Sign in with providers: accounts that are joined or made, and why it fails."""
