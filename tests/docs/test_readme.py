"""README is short, its links lead somewhere, and the changelog has the version."""

import re

import authguard
from docs.blocks import ROOT, read

README = read("README.md")


def test_changelog_has_the_version() -> None:
    """The changelog has a section for the version that the package says it is."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(authguard.__version__)}\]", changelog, re.MULTILINE)
