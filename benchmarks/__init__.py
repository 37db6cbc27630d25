"""What the guard adds to a request, beside what a user would pick instead: `make bench`."""
