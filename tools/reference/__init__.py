"""Write the pages of docs/reference that come from the code: `make reference`."""
