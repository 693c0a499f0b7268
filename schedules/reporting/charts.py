"""Small charts as inline SVG. Widths are in percent and texts in pixels, so they fit a telephone and a sheet of paper alike.

Colours come from the page's style sheet by class, in light, dark and print; each kind also has a pattern of its own, and
every number stands beside its bar, so that nothing depends on colour.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from markupsafe import Markup

ROW, BAR = 34, 11
HEIGHT, TOP, BOTTOM = 168, 14, 22
GAP = 0.22  # of a column
LEFT = 5  # percent that are kept for the numbers of the scale
MARKS = 6  # names of days under the columns


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: from `start` to `end` on the scale of its chart, which may begin below zero."""

    label: str
    told: str  # what stands at its right: the number for people
    start: int
    end: int
    kind: str = "plain"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of parts that stand on one another: (kind, number)."""

    label: str
    parts: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        """All parts together."""
        return sum(number for _, number in self.parts)


def draw_bars(id: str, title: str, desc: str, bars: Sequence[Bar]) -> Markup:
    """Horizontal bars, one beneath the other, each with its label and number above it."""
    low = min([0, *(min(bar.start, bar.end) for bar in bars)])
    span = max([0, *(max(bar.start, bar.end) for bar in bars)]) - low or 1
    rows = [_draw_bar(id, at, bar, low, span) for at, bar in enumerate(bars)]
    zero = _percent(-low, span)
    axis = Markup('<line class="axis" x1="{0}%" x2="{0}%" y1="0" y2="{1}"/>').format(zero, len(bars) * ROW)
    return _frame(id, title, desc, len(bars) * ROW, [*(rows or []), axis if low else Markup()])


def draw_columns(id: str, title: str, desc: str, columns: Sequence[Column]) -> Markup:
    """Columns side by side, each of stacked parts; the highest tells its number."""
    most = max((column.total for column in columns), default=0)
    floor, width = HEIGHT - BOTTOM, (100 - LEFT) / max(len(columns), 1)
    drawn: list[Markup] = [
        Markup('<line class="axis" x1="0" x2="100%" y1="{0}" y2="{0}"/>').format(floor),
        *(_draw_grid(most, floor) if most else ()),
    ]
    every = max(1, -(-len(columns) // MARKS))
    for at, column in enumerate(columns):
        drawn += _draw_column(id, column, LEFT + at * width, width, most)
        if (len(columns) - 1 - at) % every == 0:
            drawn.append(_draw_mark(column.label, at, width, len(columns)))
    return _frame(id, title, desc, HEIGHT, drawn)


def _draw_bar(id: str, at: int, bar: Bar, low: int, span: int) -> Markup:
    x, width = _percent(min(bar.start, bar.end) - low, span), _percent(abs(bar.end - bar.start), span)
    return Markup(
        '<text x="0" y="{label_y}">{label}</text><text class="number" x="100%" y="{label_y}">{told}</text>'
        '<rect class="track" x="0" y="{y}" width="100%" height="{bar}"/>'
        '<rect class="fill-{kind}" x="{x}%" y="{y}" width="{width}%" height="{bar}"/>{pattern}'
    ).format(
        label=bar.label,
        told=bar.told,
        label_y=at * ROW + 13,
        y=at * ROW + 18,
        bar=BAR,
        kind=bar.kind,
        x=x,
        width=width,
        pattern=_lay_pattern(id, bar.kind, x, at * ROW + 18, width, BAR),
    )


def _draw_column(id: str, column: Column, left: float, width: float, most: int) -> list[Markup]:
    room, floor = HEIGHT - BOTTOM - TOP, HEIGHT - BOTTOM
    x, wide = round(left + width * GAP / 2, 3), round(width * (1 - GAP), 3)
    tops = list(accumulate((number for _, number in column.parts), initial=0))
    drawn = []
    for (kind, number), below in zip(column.parts, tops, strict=False):
        if number:
            y, high = round(floor - (below + number) / most * room, 2), round(number / most * room, 2)
            rect = Markup(
                '<rect class="fill-{}" x="{}%" y="{}" width="{}%" height="{}"><title>{}: {} {}</title></rect>'
            )
            drawn += [
                rect.format(kind, x, y, wide, high, column.label, number, kind),
                _lay_pattern(id, kind, x, y, wide, high),
            ]
    return drawn


def _draw_grid(most: int, floor: int) -> list[Markup]:
    """A line at the top of the highest column, and one in the middle, with their numbers."""
    lines = []
    for number in sorted({most, most // 2} - {0}):
        y = round(floor - number / most * (HEIGHT - BOTTOM - TOP), 2)
        drawn = '<line class="grid" x1="0" x2="100%" y1="{0}" y2="{0}"/><text class="small" x="0" y="{1}">{2}</text>'
        lines.append(Markup(drawn).format(y, y - 3, f"{number:,}"))  # nosec B704 # noqa: S704 - the text is ours
    return lines


def _draw_mark(label: str, at: int, width: float, of: int) -> Markup:
    """The last one ends with the chart."""
    x, anchor = (100.0, "end") if at == of - 1 else (LEFT + at * width + width / 2, "middle")
    mark = '<text class="small" x="{}%" y="{}" text-anchor="{}">{}</text>'
    return Markup(mark).format(round(x, 3), HEIGHT - 6, anchor, label)  # nosec B704 # noqa: S704 - the text is ours


def _lay_pattern(id: str, kind: str, x: float, y: float, width: float, height: float) -> Markup:
    if kind not in PATTERNS:
        return Markup()
    laid = '<rect x="{}%" y="{}" width="{}%" height="{}" fill="url(#{}-{})"/>'
    return Markup(laid).format(x, y, width, height, id, kind)  # nosec B704 # noqa: S704 - the text is ours


PATTERNS = {
    "open": '<path class="hatch" d="M-1,7 l8,-8 M-1,1 l2,-2 M5,7 l2,-2"/>',
    "dismissed": '<circle class="dot" cx="3" cy="3" r="1.1"/>',
    "explained": '<path class="hatch" d="M0,3 h6"/>',
    "out": '<path class="hatch" d="M-1,7 l8,-8 M-1,1 l2,-2 M5,7 l2,-2"/>',
}


def draw_swatch(id: str, kind: str) -> Markup:
    """A little square with the colour and pattern of a kind of the chart `id`, for the words that explain it."""
    swatch = '<svg class="swatch" aria-hidden="true" width="12" height="12"><rect class="fill-{}" width="12" height="12"/>{}</svg>'
    over = Markup('<rect width="12" height="12" fill="url(#{}-{})"/>').format(id, kind)
    return Markup(swatch).format(kind, over if kind in PATTERNS else "")  # nosec B704 # noqa: S704 - the text is ours


def _frame(id: str, title: str, desc: str, height: int, drawn: Sequence[Markup]) -> Markup:
    patterns = [
        Markup('<pattern id="{}-{}" width="6" height="6" patternUnits="userSpaceOnUse">{}</pattern>').format(
            id,
            kind,
            Markup(shape),  # nosec B704 # noqa: S704 - the text is ours
        )
        for kind, shape in PATTERNS.items()
    ]
    return Markup(
        '<svg class="chart" role="img" aria-labelledby="{id}-title {id}-desc" width="100%" height="{height}">'
        '<title id="{id}-title">{title}</title><desc id="{id}-desc">{desc}</desc><defs>{patterns}</defs>{drawn}</svg>'
    ).format(id=id, height=height, title=title, desc=desc, patterns=Markup().join(patterns), drawn=Markup().join(drawn))


def _percent(part: int, whole: int) -> float:
    return round(part / whole * 100, 3)
