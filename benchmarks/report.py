"""Write tables of results, and the page with them: RESULTS.md, with versions and machine."""

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PACKAGES = (
    "authguard", "pyjwt", "cryptography", "starlette", "fastapi", "flask", "uvicorn", "httptools", "uvloop", "h11", "gunicorn",
    "sqlalchemy", "argon2-cffi", "aiosqlite", "joserfc", "litestar", "fastapi-users", "authx", "authlib", "mcp", "fastmcp", "flask-jwt-extended",
    "flask-httpauth", "flask-login", "limits", "slowapi", "fastapi-limiter", "keyshield",
)  # fmt: skip
#: The heading of the part that stays when the page is written again.
OTHERS = "## Measured by other commands"


@dataclass
class Table:
    """Hold a table with its heading and its explanation."""

    title: str
    text: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, *cells: str | float) -> None:
        """Append a row; numbers are rounded to significant digits."""
        row = tuple(cell if isinstance(cell, str) else number(cell) for cell in cells)
        self.rows.append(row)
        print("   ", " | ".join(row), flush=True)

    def markdown(self) -> str:
        lines = [f"## {self.title}", "", self.text, ""] if self.title else []
        lines += ["| " + " | ".join(self.header) + " |", "|" + "---|" * len(self.header)]
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        return "\n".join(lines)


@dataclass
class Findings:
    """Hold the results of one part of the benchmark.

    Attributes:
        tables: for the page.
        values: the values for the aims and the picture, by name.
    """

    tables: list[Table] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)

    def table(self, title: str, text: str, *header: str) -> Table:
        print(f"\n{title}\n    {' | '.join(header)}", flush=True)
        self.tables.append(Table(title, text, header))
        return self.tables[-1]


def keep(path: Path, findings: Findings) -> None:
    """Write the results of one part to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(findings)), encoding="utf-8")


def read_kept(path: Path) -> Findings | None:
    """Return the results of one part from its file; None if the part has not run."""
    if not path.exists():
        return None
    kept = json.loads(path.read_text(encoding="utf-8"))
    tables = [
        Table(each["title"], each["text"], tuple(each["header"]), list(map(tuple, each["rows"])))
        for each in kept["tables"]
    ]
    return Findings(tables, kept["values"])


def number(value: float) -> str:
    """Return a number with as many digits as a noisy machine allows."""
    if value != value:  # noqa: PLR0124 (only NaN is not itself)
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}"


def machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores ({model}), {platform.system()} {platform.release()}, load average {load:.1f}"
    )


def versions() -> str:
    return f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in PACKAGES)


def write(path: Path, introduction: str, tables: Iterable[Table]) -> None:
    """Write the page again, except for the results of other commands."""
    head = [
        "# Results",
        introduction,
        f"*Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}.* {versions()}; {machine()}.",
    ]
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    pages = [*head, *(table.markdown() for table in tables), *kept_of(old)]
    path.write_text("\n\n".join(pages) + "\n", encoding="utf-8")


def kept_of(page: str) -> list[str]:
    """Return the part of a page with the results of other commands, if any."""
    _, heading, text = page.partition(OTHERS)
    return [heading + text.rstrip()] if heading else []
