"""Compare the routes of an application with the patterns of a guard."""
