"""Handle the answers of remote servers, for fetched keys and introspection; the drivers send the requests."""
