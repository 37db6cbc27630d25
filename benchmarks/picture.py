"""Draw the picture of RESULTS.md: bars of the cost that authentication adds to a request, as SVG."""

from collections.abc import Mapping
from html import escape
from math import log10
from pathlib import Path

from benchmarks import apps
from benchmarks.rivals import rivals

WIDTH, ROW, LEFT, RIGHT, TOP = 900, 26, 330, 130, 66
LEAST = 1.0  # microseconds at the left edge of the logarithmic axis
# colours of authguard and of others: known, first-seen
COLORS = {True: ("#0a7f5a", "#a5d8c6"), False: ("#7d879b", "#d3d8e2")}
INK, PALE, LINE = "#1d2433", "#5b6475", "#c9ced8"
TITLE = "Microseconds that authentication adds to a request"
SUBTITLE = (
    "HS256, in process, logarithmic. Dark: the same token again. Light: tokens that come for the first time."
)


def write(path: Path, values: Mapping[str, float]) -> None:
    """Draw the rows of HS256, the smallest first."""
    names = [contestant.name for contestant in [*apps.OURS, *rivals()]]
    both = [
        (values[f"{name}, HS256, known µs"], values[f"{name}, HS256, first seen µs"], name) for name in names
    ]
    path.write_text(draw(sorted(both)), encoding="utf-8")


def draw(bars: list[tuple[float, float, str]]) -> str:
    """Return the SVG text, for rows of (known µs, first-seen µs, name)."""
    bottom = TOP + ROW * len(bars)
    longest = max(max(known, first) for known, first, _ in bars) * 1.1

    def x(value: float) -> int:
        return round(
            LEFT + (WIDTH - LEFT - RIGHT) * log10(max(value, LEAST * 1.02) / LEAST) / log10(longest / LEAST)
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 32}" font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{bottom + 32}" fill="#fff"/>',
        _text(12, 26, TITLE, INK, 'font-size="17" font-weight="600"'),
        _text(12, 46, SUBTITLE, PALE),
    ]
    for mark in (1, 10, 100, 1000):
        if mark < longest:
            parts.append(f'<line x1="{x(mark)}" y1="{TOP}" x2="{x(mark)}" y2="{bottom}" stroke="{LINE}"/>')
            parts.append(_text(x(mark), bottom + 18, f"{mark} µs", PALE, 'text-anchor="middle"'))
    for index, (known, first, name) in enumerate(bars):
        y = TOP + ROW * index
        dark, light = COLORS[name.startswith("authguard")]
        parts.append(_text(LEFT - 8, y + 17, name, INK, 'text-anchor="end"'))
        parts.append(
            f'<rect x="{LEFT}" y="{y + 4}" width="{x(first) - LEFT}" height="{ROW - 8}" fill="{light}"/>'
        )
        parts.append(
            f'<rect x="{LEFT}" y="{y + 8}" width="{x(known) - LEFT}" height="{ROW - 16}" fill="{dark}"/>'
        )
        label = f"{_round(known)}, first seen {_round(first)}"
        parts.append(_text(max(x(known), x(first)) + 6, y + 17, label, INK, HALO))
    return "\n".join([*parts, "</svg>", ""])


HALO = 'paint-order="stroke" stroke="#fff" stroke-width="3"'


def _text(x: int, y: int, text: str, color: str, more: str = "") -> str:
    return f'<text x="{x}" y="{y}" fill="{color}" {more}>{escape(text)}</text>'


def _round(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"
