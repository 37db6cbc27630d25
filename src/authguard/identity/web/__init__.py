"""Hold the HTTP parts that the APIs and the pages share."""
