"""Decide about requests, in parts that `Guard` puts together."""
