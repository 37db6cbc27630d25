"""List the pages of the site and their sections, as docs/navigation.toml names them."""

import re
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tools.site import markdown

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
HOME = DOCS / "index.md"


@dataclass(frozen=True)
class Page:
    """Hold a Markdown file of the repository that is a page of the site.

    Attributes:
        source: the file.
        place: the path of the page in the site, with `.md`.
    """

    source: Path
    place: str

    @cached_property
    def text(self) -> str:
        """Return the text of the page."""
        return self.source.read_text(encoding="utf-8")

    @property
    def title(self) -> str:
        """Return the first heading."""
        return markdown.title(self.text)

    @property
    def summary(self) -> str:
        """Return the first sentence."""
        return markdown.summary(self.text)


@dataclass(frozen=True)
class Section:
    """Hold a part of the navigation: its title, and its pages in order."""

    title: str
    pages: tuple[Page, ...]

    @property
    def place(self) -> str:
        """Return the path of the page that lists the section's pages, or of its only page."""
        if len(self.pages) == 1:
            return self.pages[0].place
        return "sections/" + re.sub(r"\W+", "-", self.title.lower()).strip("-") + ".md"


def place_of(source: Path, docs: Path = DOCS, root: Path = ROOT) -> str:
    """Return the path in the site of a file of the repository."""
    if source.is_relative_to(docs):
        return source.relative_to(docs).as_posix()
    return "files/" + source.relative_to(root).as_posix()


def sections(docs: Path = DOCS, root: Path = ROOT) -> list[Section]:
    """Return the sections of the navigation that have pages.

    A page that docs/navigation.toml names and that is not written yet is left out.

    Args:
        docs: the folder of the pages.
        root: the folder of the repository.
    """
    entries = tomllib.loads((docs / "navigation.toml").read_text(encoding="utf-8"))["section"]
    named = {entry for section in entries for entry in section["pages"] if not entry.endswith("/*")}
    results = []
    for section in entries:
        sources: list[Path] = []
        for entry in section["pages"]:
            if entry.startswith("/"):
                sources.append(root / entry[1:])
            elif entry.endswith("/*"):
                folder = sorted((docs / entry[:-2]).glob("*.md"))
                sources += [path for path in folder if place_of(path, docs, root)[:-3] not in named]
            else:
                sources.append(docs / f"{entry}.md")
        pages = tuple(Page(path, place_of(path, docs, root)) for path in sources if path.exists())
        if pages:
            results.append(Section(section["title"], pages))
    return results


def missing(docs: Path = DOCS, root: Path = ROOT) -> list[str]:
    """Return the pages below docs/ that no section has."""
    placed = {page.place for section in sections(docs, root) for page in section.pages}
    everything = {place_of(path, docs, root) for path in docs.rglob("*.md")}
    return sorted(everything - placed - {"index.md"})
