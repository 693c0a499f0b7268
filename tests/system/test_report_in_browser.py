"""The report and the certificate in a real browser: their charts are drawn, and nothing is asked of anybody."""

import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from schedules.reporting.day_report import read_report
from schedules.reporting.documents import draw_certificate, draw_report
from tests.schedules.books import KEY, NEXT_MORNING, Books
from tests.schedules.full_day import fill_day
from tests.system.test_docs_in_browser import BROWSER, BROWSERS, Canary, run_canary, visit

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason=f"none of {', '.join(BROWSERS)} is installed: no browser to look with"
)

ROWS = 1100  # of the picture, from its top: the charts of states and money are there
BLUE, GREEN, ORANGE = (0x33, 0x61, 0x8F), (0x1F, 0x6F, 0x54), (0xB3, 0x56, 0x0D)  # of style.css, in the light
LEAST_PIXELS = 200  # what is hatched has many half-tones


@pytest.fixture
def canary() -> Iterator[Canary]:
    with run_canary() as running:
        yield running


@pytest.fixture(scope="module")
def pages(make_database: Callable[[], str]) -> Iterator[dict[str, str]]:
    engine = create_engine(make_database())
    books = Books(engine)
    fill_day(books)
    report = draw_report(read_report(books.unit_of_work, KEY, NEXT_MORNING))
    closing = books.close_ready(why="month end").closing
    yield {"report": report, "certificate": draw_certificate(closing, None)}
    engine.dispose()


def save(html: str, folder: Path) -> str:
    """The address of the page as a file."""
    path = folder / "page.html"
    path.write_text(html, encoding="utf-8")
    return path.as_uri()


def count_colours(picture: bytes, rows: int) -> Counter[tuple[int, ...]]:
    """The colours of the first rows of a PNG with 8 bits for each of red, green, blue and perhaps alpha."""
    width, depth, kind = int.from_bytes(picture[16:20]), picture[24], picture[25]
    assert depth == 8 and kind in (2, 6)
    at, packed = 8, b""
    while at < len(picture):
        size = int.from_bytes(picture[at : at + 4])
        if picture[at + 4 : at + 8] == b"IDAT":
            packed += picture[at + 8 : at + 8 + size]
        at += size + 12
    pixel = 3 if kind == 2 else 4
    stride, raw = width * pixel + 1, zlib.decompress(packed)
    above, colours = bytearray(stride - 1), Counter[tuple[int, ...]]()
    for row in range(min(rows, len(raw) // stride)):
        line = bytearray(raw[row * stride + 1 : (row + 1) * stride])
        above = unfilter(raw[row * stride], line, above, pixel)
        colours.update(zip(*(above[part::pixel] for part in range(3)), strict=True))
    return colours


def unfilter(kind: int, line: bytearray, above: bytearray, pixel: int) -> bytearray:
    """The five filters of PNG, undone."""
    for i in range(len(line) if kind else 0):
        left, up, corner = line[i - pixel] if i >= pixel else 0, above[i], above[i - pixel] if i >= pixel else 0
        if kind == 4:
            near = left + up - corner
            guess = min((left, up, corner), key=lambda known: abs(near - known))
        else:
            guess = (0, left, up, (left + up) // 2)[kind]
        line[i] = (line[i] + guess) & 255
    return line


@pytest.mark.parametrize(("name", "colours"), [("report", (BLUE, GREEN, ORANGE)), ("certificate", (BLUE,))])
def test_the_charts_are_drawn_and_nobody_is_asked(
    pages: dict[str, str], name: str, colours: tuple[tuple[int, ...], ...], tmp_path: Path, canary: Canary
) -> None:
    page = visit(save(pages[name], tmp_path), tmp_path, canary)
    assert page.dom.count('<svg class="chart"') == {"report": 4, "certificate": 2}[name]
    seen = count_colours(page.picture, ROWS)
    assert {colour: seen[colour] > LEAST_PIXELS for colour in colours} == dict.fromkeys(colours, True)
    assert page.asked == []
    assert canary.heard == []


@pytest.mark.parametrize("has_policy", [True, False])
def test_it_is_the_policy_that_keeps_the_page_from_asking_for_what_was_smuggled_in(
    pages: dict[str, str], has_policy: bool, tmp_path: Path, canary: Canary
) -> None:
    smuggled = (
        '<img src="http://elsewhere.example/a.png"><script src="http://elsewhere.example/a.js"></script>'
        '<script>document.title = "taken"</script><link rel="stylesheet" href="http://elsewhere.example/a.css">'
    )
    html = pages["report"].replace("<main>", f"<main>{smuggled}")
    page = visit(save(html if has_policy else html.replace("Content-Security-Policy", "x"), tmp_path), tmp_path, canary)
    assert ("<title>taken</title>" in page.dom) is not has_policy
    assert (page.asked == []) is has_policy
    assert (canary.heard == []) is has_policy
