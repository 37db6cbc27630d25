"""Describe the endpoints of the service in an OpenAPI document that is generated from the code."""
