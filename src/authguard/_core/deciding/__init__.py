"""Decide about requests; `Guard` combines these modules."""
