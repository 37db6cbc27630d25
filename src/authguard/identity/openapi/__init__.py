"""Describe the endpoints of the service by an OpenAPI document, which is made from the code that answers."""
