"""Store new addresses for accounts until their owners have proved that they receive mail there."""
