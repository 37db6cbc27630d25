"""Record events of API keys, disable and enable keys, and notify their owners by mail."""
