"""Make the pictures of the documentation: one module a picture, each with `pictures()`."""
