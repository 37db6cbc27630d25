"""Make the pictures of the documentation: `make pictures`. One module a picture; each has `pictures()`.

`pictures()` returns the bytes of each file below docs/pictures by its name. A module whose pictures need a
browser says so by `NEEDS_BROWSER = True`: they differ between its versions, so no test compares them.
"""
