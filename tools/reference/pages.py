"""List the pages of docs/reference that come from the code."""

from pathlib import Path

from tools.reference import answers, api, cli, errors

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def pages() -> dict[str, str]:
    """Return the text of each page by its file below docs/reference."""
    return {
        "errors.md": errors.page(),
        "answers.md": answers.page(),
        "cli.md": cli.page(),
        **api.pages(),
    }
