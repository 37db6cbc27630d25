"""Configure Sphinx for the site; `python -m tools.site` writes the sources and runs it."""

from pathlib import Path

_THEME = Path(__file__).parent / "theme"

project = "authguard"
author = "the authguard developers"
copyright = author  # noqa: A001 (the name that Sphinx reads)
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = True
highlight_language = "none"
smartquotes = False
# A block may leave out a part by `…`, which is not Python; the tests of docs/ run the complete blocks.
suppress_warnings = ["misc.highlighting_failure"]
# The anchors of headings are those of GitHub, where the pages are also read.
myst_heading_anchors = 6
myst_enable_extensions = ["deflist"]
myst_links_external_new_tab = False

html_theme = "furo"
html_title = "authguard"
html_static_path = [str(_THEME / "static")]
html_css_files = ["site.css"]
html_favicon = str(_THEME / "static" / "icon.svg")
templates_path = [str(_THEME / "templates")]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_show_sphinx = False
html_use_index = False
html_domain_indices = False
html_theme_options = {"navigation_with_keys": False, "top_of_page_buttons": []}
# The page loads nothing from another site: furo uses the fonts of the system, and has its icons in the page.
pygments_style = "tango"
pygments_dark_style = "github-dark"
