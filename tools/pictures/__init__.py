"""Make the pictures of the documentation: `make pictures`.

Each picture has a module with a function `pictures()`.

`pictures()` returns the bytes of each file below docs/pictures by its name. A module whose pictures need a
browser has `NEEDS_BROWSER = True`: they differ between versions of the browser, so no test compares them.
"""
