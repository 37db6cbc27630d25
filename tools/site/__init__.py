"""Build the documentation site from the Markdown files of this repository: `make docs`."""
