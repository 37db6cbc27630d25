"""Measure the cost that the guard adds to a request, in comparison with other packages: `make bench`."""
