"""Draw boxes, arrows and texts as SVG that is legible on light and dark pages."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

# The picture has a background of its own, so it is legible if the themes of page and system differ.
_STYLE = """\
.ground{fill:#fbfbfd;stroke:#d9dce3}.box{fill:#fff;stroke:#7b8496}.good{fill:#e3f4ec;stroke:#2f8f6b}
.bad{fill:#fdeaea;stroke:#c2484d}.accent{fill:#e6eefc;stroke:#3565c0}text{fill:#1c2230}.small{fill:#4c5568}
.arrow{stroke:#5a6376;fill:none}.head{fill:#5a6376}
@media (prefers-color-scheme:dark){.ground{fill:#181b21;stroke:#343a46}.box{fill:#232831;stroke:#8a94a8}
.good{fill:#173a2c;stroke:#57b98f}.bad{fill:#42211f;stroke:#e27d78}.accent{fill:#1d2d4d;stroke:#7aa5f0}
text{fill:#e8ebf2}.small{fill:#b4bccb}.arrow{stroke:#a7b0c2}.head{fill:#a7b0c2}}"""
_FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans',sans-serif"
_CODE_FONT = "ui-monospace,Menlo,Consolas,monospace"
_LINE = 17


@dataclass
class Drawing:
    """Collect the parts of a picture.

    Attributes:
        width: in pixels.
        height: in pixels.
        title: the name of the picture, for readers who do not see it.
        description: a description of the picture, for the same readers.
    """

    width: int
    height: int
    title: str
    description: str
    _parts: list[str] = field(default_factory=list)

    def box(  # noqa: PLR0917 (place and size come first everywhere)
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        title: str,
        lines: Sequence[str] = (),
        kind: str = "box",
    ) -> None:
        """Draw a box with a title and smaller lines below it, all in its middle.

        Args:
            x: of its left side.
            y: of its top.
            width: of the box.
            height: of the box.
            title: the first line.
            lines: the lines below.
            kind: `box`, `good`, `bad` or `accent`.
        """
        self._parts.append(
            f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8"/>'
        )
        top = y + height / 2 - len(lines) * _LINE / 2 + 5
        self.text(x + width / 2, top, title, weight="600")
        for number, line in enumerate(lines, 1):
            self.text(x + width / 2, top + number * _LINE, line, size=12, kind="small")

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: int = 14,
        anchor: str = "middle",
        weight: str = "400",
        kind: str = "",
    ) -> None:
        """Write one line; names in backticks have letters of the same width."""
        spans = text.split("`")
        content = "".join(
            f'<tspan font-family="{_CODE_FONT}" font-size="{size - 1}">{escape(span)}</tspan>'
            if place % 2
            else escape(span)
            for place, span in enumerate(spans)
        )
        attribute = f' class="{kind}"' if kind else ""
        self._parts.append(
            f'<text{attribute} x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" '
            f'text-anchor="{anchor}">{content}</text>'
        )

    def arrow(
        self,
        points: Sequence[tuple[float, float]],
        label: Sequence[str] = (),
        at: tuple[float, float] | None = None,
        anchor: str = "middle",
    ) -> None:
        """Draw an arrow along points.

        Args:
            points: from the start to the end.
            label: lines beside it.
            at: where the first line of the label stands.
            anchor: `start`, `middle` or `end`: which part of the label is there.
        """
        path = "M" + " L".join(f"{x:g} {y:g}" for x, y in points)
        self._parts.append(f'<path class="arrow" d="{path}" stroke-width="1.6" marker-end="url(#head)"/>')
        for number, line in enumerate(label):
            x, y = at or points[0]
            self.text(x, y + number * 15, line, size=12, anchor=anchor, kind="small")

    def render(self) -> bytes:
        """Return the file."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" role="img" aria-label={quoteattr(self.title)} '
            f'font-family="{_FONT}">\n'
            f"<title>{escape(self.title)}</title>\n<desc>{escape(self.description)}</desc>\n<style>{_STYLE}</style>\n"
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto-start-reverse"><path class="head" d="M0 0L8 4L0 8z"/></marker></defs>\n'
        )
        width, height = self.width - 1, self.height - 1
        ground = f'<rect class="ground" x="0.5" y="0.5" width="{width}" height="{height}" rx="10"/>\n'
        return f"{head}{ground}{chr(10).join(self._parts)}\n</svg>\n".encode()
