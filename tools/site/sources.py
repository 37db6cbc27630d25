"""Write the sources of the site: the pages, with links inside the site, and the files that they link."""

import os
import shutil
from collections import deque
from pathlib import Path, PurePosixPath

from tools.site import markdown
from tools.site.pages import DOCS, HOME, ROOT, Page, Section, place_of, sections

LANGUAGES = {
    ".py": "python",
    ".toml": "toml",
    ".sh": "sh",
    ".html": "html",
    ".json": "json",
    ".conf": "nginx",
}
_PICTURES = {".svg", ".png"}
_TREE = "```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{places}\n```\n"


class DeadLinkError(ValueError):
    """Tell that pages link files or headings that do not exist; one line for each link."""


class Sources:
    """Collect the pages of the site, with those of the files that they link.

    Attributes:
        texts: the Markdown of each page, by its place in the site, links rewritten.
        pictures: the file of each picture, by its place.
        listed: the sections of the navigation.
    """

    def __init__(self, docs: Path = DOCS, root: Path = ROOT) -> None:
        self._docs, self._root = docs, root
        self.listed = sections(docs, root)
        self.texts: dict[str, str] = {}
        self.pictures: dict[str, Path] = {}
        self._named = {page.place for section in self.listed for page in section.pages} | {"index.md"}
        self._waiting: deque[Path] = deque()
        self._dead: list[str] = []
        home = docs / HOME.name
        for page in (Page(home, "index.md"), *(page for section in self.listed for page in section.pages)):
            self.texts[page.place] = self._with_links(page.text, page.source, page.place)
        for section in self.listed:
            if section.place not in self.texts:
                self.texts[section.place] = _landing(section)
        while self._waiting:
            self._add_file(self._waiting.popleft())
        if self._dead:
            raise DeadLinkError("\n".join(self._dead))

    def _with_links(self, text: str, source: Path, place: str) -> str:
        return markdown.replace_links(text, lambda target: self._target(target, source, place))

    def _target(self, target: str, source: Path, place: str) -> str:
        """Return the target of a link in the site; the file that it names gets a place there."""
        path, mark, anchor = target.partition("#")
        if ":" in path:
            return target
        file = Path(os.path.normpath(source.parent / path)) if path else source
        if not file.exists() or not file.is_relative_to(self._root):
            return self._note_dead(f"{target} must be a file of the repository", source)
        if anchor and anchor not in markdown.anchors(file.read_text(encoding="utf-8")):
            return self._note_dead(f"{target} must be a heading of {file.name}", source)
        return f"{_relative(self._placed(file), place) if path else ''}{mark}{anchor}"

    def _note_dead(self, problem: str, source: Path) -> str:
        self._dead.append(f"{source.relative_to(self._root)}: {problem}")
        return ""

    def _placed(self, file: Path) -> str:
        place = place_of(file, self._docs, self._root)
        if file.suffix in _PICTURES:
            self.pictures[place] = file
            return place
        if file.is_dir():
            place += "/index.md"
        elif file.suffix != ".md":
            place += ".md"
        if place not in self._named:
            self._named.add(place)
            self._waiting.append(file)
        return place

    def _add_file(self, file: Path) -> None:
        """Add a page that shows a file, or lists a folder."""
        place = self._placed(file)
        name = file.relative_to(self._root).as_posix()
        if file.is_dir():
            shown = [entry for entry in sorted(file.iterdir()) if entry.is_file()]
            lines = [f"* [`{entry.name}`]({_relative(self._placed(entry), place)})" for entry in shown]
            self.texts[place] = f"# `{name}/`\n\nThe files of this folder.\n\n" + "\n".join(lines) + "\n"
        elif file.suffix == ".md":
            self.texts[place] = self._with_links(file.read_text(encoding="utf-8"), file, place)
        else:
            language = LANGUAGES.get(file.suffix, "text")
            text = file.read_text(encoding="utf-8")
            self.texts[place] = f"# `{name}`\n\n~~~~{language}\n{text.rstrip()}\n~~~~\n"

    def write(self, folder: Path) -> None:
        """Write the input of Sphinx: the pages with the trees of the navigation, and the pictures."""
        for place, text in self.texts.items():
            tree, is_listed = self._tree(place), any(place == page for page in self._in_trees())
            head = "" if is_listed or place == "index.md" else "---\norphan: true\n---\n\n"
            _write(folder / place, head + text + tree)
        for place, file in self.pictures.items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, folder / place)

    def _in_trees(self) -> set[str]:
        return {page.place for section in self.listed for page in section.pages} | {
            section.place for section in self.listed
        }

    def _tree(self, place: str) -> str:
        """Return the tree of the pages below a page, in the syntax of MyST; empty for most pages."""
        if place == "index.md":
            places = [f"{section.title} </{section.place[:-3]}>" for section in self.listed]
        else:
            below = next((section for section in self.listed if section.place == place), None)
            if below is None or len(below.pages) == 1:
                return ""
            places = [f"/{page.place[:-3]}" for page in below.pages]
        return "\n```{toctree}\n:hidden:\n\n" + "\n".join(places) + "\n```\n"


def _landing(section: Section) -> str:
    """Return the page that lists the pages of a section, each with its first sentence."""
    rows = [
        f"[{page.title}]({_relative(page.place, section.place)})\n: {page.summary}\n"
        for page in section.pages
    ]
    return f"# {section.title}\n\n" + "\n".join(rows)


def _relative(place: str, start: str) -> str:
    return PurePosixPath(os.path.relpath(place, PurePosixPath(start).parent)).as_posix()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
