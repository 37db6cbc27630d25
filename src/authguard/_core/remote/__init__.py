"""Speak with remote servers: fetched keys and introspection, without the network itself."""
