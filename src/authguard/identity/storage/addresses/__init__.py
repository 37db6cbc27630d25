"""Keep the addresses that owners of accounts want to change to, until they have shown to read mail there."""
