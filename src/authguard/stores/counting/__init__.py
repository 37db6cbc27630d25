"""Count quotas: in memory, and in stores that processes share."""
