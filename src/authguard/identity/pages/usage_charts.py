"""Lay out charts of usage: bars of what passed, with what was refused on top."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from authguard._core.terms import OK, OUTCOMES
from authguard.identity.storage.usage_series import Period

#: Of the drawing, which the page scales; a bar has a tenth less than its place.
WIDTH, HEIGHT = 600, 120
_BAR = 0.8
_MAX_RULES = 50

_TITLES = {"days": "Requests a day, last 30 days", "hours": "Requests an hour, last 24 hours"}


@dataclass(frozen=True, slots=True)
class Bar:
    """Describe the requests of one period, and where they are drawn.

    Attributes:
        label: which period it is.
        ok: how many passed.
        refused: how many did not.
        x: of both parts.
        ok_y: the upper end of what passed.
        ok_height: of what passed.
        refused_y: the upper end of what was refused.
        refused_height: of what was refused.
    """

    label: str
    ok: int
    refused: int
    x: float
    ok_y: float
    ok_height: float
    refused_y: float
    refused_height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Describe a chart.

    Attributes:
        name: tells it from others of the page.
        title: which periods it shows.
        summary: the same in a sentence, for those who do not see it.
        width: of the drawing.
        height: of the drawing.
        bar_width: of each bar.
        bars: one for each period.
        most: how many requests the highest bar stands for.
    """

    name: str
    title: str
    summary: str
    width: int
    height: int
    bar_width: float
    bars: Sequence[Bar]
    most: int


def chart_of(name: str, starts: Sequence[int], periods: Iterable[Period]) -> Chart:
    """Lay a chart out.

    Args:
        name: `days` or `hours`.
        starts: when each period begins.
        periods: what became of the requests.
    """
    counts = {start: [0, 0] for start in starts}
    for period in periods:
        if period.start in counts:
            counts[period.start][period.outcome != OK] += period.uses
    most = max(1, *(ok + refused for ok, refused in counts.values()))
    place = WIDTH / len(starts)
    bars = []
    for index, (start, (ok, refused)) in enumerate(counts.items()):
        # One request of many is still seen.
        ok_height, refused_height = (max(1.0, HEIGHT * n / most) if n else 0.0 for n in (ok, refused))
        refused_height = min(refused_height, HEIGHT - 1)
        ok_height = min(ok_height, HEIGHT - refused_height)
        places = (
            place * (index + (1 - _BAR) / 2),
            HEIGHT - ok_height,
            ok_height,
            HEIGHT - ok_height - refused_height,
            refused_height,
        )
        bars.append(Bar(_label(name, start), ok, refused, *(round(value, 2) for value in places)))
    return Chart(name, _TITLES[name], _summary(bars), WIDTH, HEIGHT, round(place * _BAR, 2), bars, most)


def _summary(bars: Sequence[Bar]) -> str:
    ok, refused = sum(bar.ok for bar in bars), sum(bar.refused for bar in bars)
    if not ok + refused:
        return "There were no requests."
    highest = max(bars, key=lambda bar: bar.ok + bar.refused)
    most = f"{highest.ok + highest.refused:,}"
    return f"{ok:,} passed, {refused:,} refused. Most requests: {most} ({highest.label})."


def _label(name: str, start: int) -> str:
    date = datetime.fromtimestamp(start, UTC)
    day = f"{date.day} {date:%B}"
    return day if name == "days" else f"{day}, {date:%H:%M} UTC"


def by_rule(periods: Iterable[Period]) -> list[tuple[str, str, int]]:
    """Return the rules and outcomes with most requests, and how many: those of all periods together."""
    sums: dict[tuple[str, str], int] = {}
    for period in periods:
        cell = (period.rule, period.outcome)
        sums[cell] = sums.get(cell, 0) + period.uses
    ranked = sorted(sums.items(), key=lambda item: (-item[1], item[0][0], OUTCOMES.index(item[0][1])))
    return [(rule, outcome, uses) for (rule, outcome), uses in ranked[:_MAX_RULES]]
