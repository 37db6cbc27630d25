"""Define a row for each configuration of users, and the cheapest solution for the same."""
