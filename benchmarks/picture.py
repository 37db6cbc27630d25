"""The picture that the README shows: bars of what authentication adds to a request, as SVG."""

from collections.abc import Mapping
from html import escape
from math import log10
from pathlib import Path

from benchmarks import apps
from benchmarks.rivals import rivals

WIDTH, ROW, LEFT, RIGHT, TOP = 900, 26, 330, 150, 64
LEAST = 1.0  # microseconds at the left edge of the logarithmic axis
OURS, THEIRS, TEXT, LINE = "#0a7f5a", "#8a93a6", "#5b6475", "#c9ced8"


def write(path: Path, values: Mapping[str, float]) -> None:
    """Draw HS256, known tokens, least first."""
    names = [one.name for one in [*apps.OURS, *rivals()]]
    bars = sorted(
        (values[f"{name}, HS256, known µs"], values[f"{name}, HS256, known ×"], name) for name in names
    )
    path.write_text(draw(bars), encoding="utf-8")


def draw(bars: list[tuple[float, float, str]]) -> str:
    """The SVG text, for bars of (added µs, × bare, name)."""
    height = TOP + ROW * len(bars) + 34
    longest = max(bar[0] for bar in bars)
    decades = range(int(log10(longest)) + 2)

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * log10(max(value, LEAST) / LEAST) / log10(longest * 1.1 / LEAST)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        '<text x="12" y="26" font-size="17" font-weight="600" fill="#1d2433">Microseconds that authentication adds to a request</text>',
        f'<text x="12" y="46" fill="{TEXT}">HS256, the same token again, in process; logarithmic; in brackets the whole beside the bare application</text>',
    ]
    bottom = TOP + ROW * len(bars)
    for power in decades:
        if x(10**power) <= WIDTH - RIGHT:
            parts.append(
                f'<line x1="{x(10**power):.0f}" y1="{TOP}" x2="{x(10**power):.0f}" y2="{bottom}" stroke="{LINE}"/>'
            )
            parts.append(
                f'<text x="{x(10**power):.0f}" y="{bottom + 18}" fill="{TEXT}" text-anchor="middle">{10**power} µs</text>'
            )
    for index, (added, ratio, name) in enumerate(bars):
        y = TOP + ROW * index
        color = OURS if name.startswith("authguard") else THEIRS
        parts.append(
            f'<text x="{LEFT - 8}" y="{y + 17}" text-anchor="end" fill="#1d2433">{escape(name)}</text>'
        )
        parts.append(
            f'<rect x="{LEFT}" y="{y + 4}" width="{max(x(added) - LEFT, 2):.0f}" height="{ROW - 8}" fill="{color}"/>'
        )
        parts.append(
            f'<text x="{max(x(added), LEFT + 2) + 6:.0f}" y="{y + 17}" fill="#1d2433">{added:.1f} ({ratio:.2f} ×)</text>'
        )
    return "\n".join([*parts, "</svg>", ""])
