"""Let owners change the address of their account, and delete it."""
