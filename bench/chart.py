"""Bars for the README: what each contender does in a second, with the spread of the rounds."""

from collections.abc import Sequence
from html import escape

WIDTH, NAMES, BAR, GAP, HEAD = 760, 200, 22, 10, 44
SCALE = WIDTH - NAMES - 150
STYLE = """<style>
text { font: 14px system-ui, sans-serif; fill: #1f2933 } .title { font-weight: 600 } .number { font-variant-numeric: tabular-nums }
.ours { fill: #0b7285 } .peer { fill: #9aa5b1 } .spread { stroke: #1f2933; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) { text { fill: #e4e7eb } .peer { fill: #616e7c } .ours { fill: #3bc9db } .spread { stroke: #e4e7eb } }
</style>"""

Bar = tuple[str, Sequence[float]]


def draw_bars(panels: Sequence[tuple[str, Sequence[Bar]]], ours: str) -> str:
    """An SVG with a panel of bars for each (title, [(name, figure of each round)]); the length is the median.

    What begins with `ours` has its colour.
    """
    parts, top = [], 8
    for title, bars in panels:
        parts.append(f'<text class="title" x="0" y="{top + 18}">{escape(title)}</text>')
        most = max(max(rounds) for _, rounds in bars)
        for number, (name, rounds) in enumerate(bars):
            parts += _draw_bar(
                name, sorted(rounds), most, top + HEAD - 10 + number * (BAR + GAP), name.startswith(ours)
            )
        top += HEAD + len(bars) * (BAR + GAP) + 8
    label = escape("; ".join(title for title, _ in panels))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" role="img" aria-label="{label}">'
    return "\n".join([head, STYLE, *parts, "</svg>", ""])


def _draw_bar(name: str, rounds: Sequence[float], most: float, y: int, is_ours: bool) -> list[str]:
    median = rounds[len(rounds) // 2]
    length, low, high = (NAMES + SCALE * value / most for value in (median, rounds[0], rounds[-1]))
    middle = y + BAR / 2
    return [
        f'<text x="0" y="{y + 16}">{escape(name)}</text>',
        f'<rect class="{"ours" if is_ours else "peer"}" x="{NAMES}" y="{y}" width="{length - NAMES:.1f}" height="{BAR}"/>',
        f'<line class="spread" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>',
        f'<text class="number" x="{max(length, high) + 8:.1f}" y="{y + 16}">{median:,.0f}</text>',
    ]
