"""Look after accounts from the command line: `authguard users`."""
