"""List the routes of an application, and the callers that may use them."""
