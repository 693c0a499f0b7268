"""Small lines that show how something went: numbers as points of a picture."""

from collections.abc import Sequence

WIDTH, HEIGHT = 120, 28
MARGIN = 2


def draw_points(counts: Sequence[int]) -> str:
    """The points of a line from left to right, as SVG wants them; 0 is at the bottom and the most of them at the top."""
    most, steps = max(counts, default=0) or 1, max(len(counts) - 1, 1)
    points = (
        (WIDTH * number / steps, HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * count / most)
        for number, count in enumerate(counts)
    )
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
