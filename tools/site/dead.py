"""Find dead links in a built site, and requests of a browser to other sites."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

#: The attributes by which a page loads files; `href` does so only in `link`.
_LOADING = {("script", "src"), ("img", "src"), ("source", "srcset"), ("link", "href"), ("iframe", "src")}
_LOADED_BY_CSS = re.compile(r"url\(\s*['\"]?(?!data:|#)([^'\")]+)|@import\s+['\"]([^'\"]+)")


class _Reader(HTMLParser):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            elif name in {"href", "src", "srcset"} and value is not None:
                (self.loaded if (tag, name) in _LOADING else self.links).append(value)


def problems(folder: Path) -> list[str]:
    """Return a line for each dead link, dead anchor and request to another site."""
    pages = {path: _Reader(path) for path in sorted(folder.rglob("*.html"))}
    results = []
    for path, page in pages.items():
        where = path.relative_to(folder).as_posix()
        results += [f"{where} loads {target}" for target in page.loaded if _is_elsewhere(target)]
        for target in (*page.links, *page.loaded):
            if not _is_elsewhere(target) and not target.startswith(("mailto:", "data:")):
                results += _dead(target, path, pages, where)
    for style in sorted(folder.rglob("*.css")):
        targets = ["".join(match) for match in _LOADED_BY_CSS.findall(style.read_text(encoding="utf-8"))]
        results += [f"{style.name} loads {target}" for target in targets if _is_elsewhere(target)]
    return results


def _is_elsewhere(target: str) -> bool:
    return target.startswith(("http:", "https:", "//"))


def _dead(target: str, path: Path, pages: dict[Path, _Reader], where: str) -> list[str]:
    name, _, anchor = target.partition("#")
    file = (path.parent / unquote(name.partition("?")[0])).resolve() if name else path
    if not file.is_file():
        return [f"{where} links {target}, which does not exist"]
    if anchor and file in pages and unquote(anchor) not in pages[file].ids:
        return [f"{where} links {target}, which has no such anchor"]
    return []
