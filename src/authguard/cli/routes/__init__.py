"""List the routes of an application and who may call them."""
