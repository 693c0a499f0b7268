"""The figures as a table for the terminal, and as documents."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.chart import Bar, draw_bars
from bench.results import JUDGED, OURS, Results

HOW = (
    "Made by `make bench` on one machine that ran everything: load, receiver, workers, Postgres and Redis. "
    "Rates depend on the machine and on its day; the ratios, seen side by side, are what to compare. Of a flow it is told how long "
    "events wait from their arrival until the worker begins to write what it decided; its commit comes milliseconds later."
)
TITLES = {
    "acknowledged per s": "Durable acknowledgements per second",
    "drained per s": "Stored events applied per second",
}
OF_EACH_PSP = "Durable acknowledgements per second, by whose signature is verified (one round)"
# Heading and figure of each column; the rest is in the list of all figures.
COLUMNS = {
    "acknowledged/s": "acknowledged per s",
    "p99 ms": "p99 ms",
    "p50 ms at half our peak": "paced p50 ms",
    "p99 ms at half our peak": "paced p99 ms",
    "drained/s": "drained per s",
    "receiver CPU s/1000": "receiving, cpu receiver per 1000",
    "Postgres CPU s/1000": "receiving, cpu Postgres per 1000",
    "WAL kB/event": "receiving, WAL bytes per 1000",
    "receiver MiB": "receiver MiB",
}
NEARLY = 0.95
FACTORS = {"receiving, WAL bytes per 1000": 1e-6}


def list_summary(results: Results) -> Iterator[list[str]]:
    """A row for each contender: its name and the medians of the columns; where they are compared, with the spread of the
    rounds and how many times that Acuse does."""
    for who in results.figures:
        cells = [_cell(results, who, name) for name in COLUMNS.values()]
        if any(cells):
            yield [who, *cells]


def _cell(results: Results, who: str, name: str) -> str:
    median = results.median(who, name)
    if median is None:
        return ""
    text = _number(median * FACTORS.get(name, 1))
    if name.startswith("paced") and (reached := results.median(who, "paced per s") or 0) < NEARLY * _half(results):
        text += f" (at {_number(reached)}/s, which is all that it took)"
    if name in JUDGED:
        rounds, ratio = results.figures[who][name], results.ratios()[name].get(who)
        text += f" ({_number(min(rounds))} to {_number(max(rounds))})" + (f", Acuse {ratio:.2f} x" if ratio else "")
    return text


def _half(results: Results) -> float:
    return results.median(OURS, "paced per s") or 0


def list_rows(results: Results) -> Iterator[list[str]]:
    """(contender, figure, median, least, most, rounds) of everything."""
    for who, figures in results.figures.items():
        for name, rounds in figures.items():
            numbers = (results.median(who, name) or 0, min(rounds), max(rounds))
            yield [who, name, *(_number(number) for number in numbers), str(len(rounds))]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"


def show(results: Results, console: Console) -> None:
    """The summary, a line for each figure and a column for each contender."""
    rows = list(list_summary(results))
    table = Table("", *(who for who, *_ in rows), box=None, title=results.machine)
    for number, heading in enumerate(COLUMNS, 1):
        table.add_row(heading, *(row[number] for row in rows))
    console.print(table)


def write_documents(results: Results, skips: Mapping[str, str], folder: Path) -> None:
    """benchmarks.md, benchmarks.json and benchmarks.svg in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        "# Benchmarks", "", HOW, "", results.machine + f", {results.rounds} rounds in turns (drains and flows: at most 3): medians, and the spread of the rounds.", "",
        "![What each does in a second](benchmarks.svg)", "",
        *_table("", *COLUMNS, rows=list_summary(results)), "",
        "## What each does and skips", "", *_table("", "", rows=([who, text] for who, text in skips.items())), "",
        "## All figures", "", *_table("", "figure", "median", "least", "most", "rounds", rows=list_rows(results)), "",
    ]  # fmt: skip
    (folder / "benchmarks.md").write_text("\n".join(lines), encoding="utf-8")
    (folder / "benchmarks.json").write_text(json.dumps(results.as_dict(), indent=1) + "\n", encoding="utf-8")
    panels = [(title, _list_bars(results, name, f"{OURS}, ", is_among=False)) for name, title in TITLES.items()]
    panels.append((OF_EACH_PSP, _list_bars(results, "acknowledged per s", f"{OURS}, ", is_among=True)))
    (folder / "benchmarks.svg").write_text(draw_bars([panel for panel in panels if panel[1]], OURS), encoding="utf-8")


def _list_bars(results: Results, name: str, prefix: str, is_among: bool) -> list[Bar]:
    """(contender, rounds) of this figure, of those whose name begins like that, or of the others."""
    return [
        (who, figures[name])
        for who, figures in results.figures.items()
        if name in figures and who.startswith(prefix) == is_among
    ]


def _table(*headings: str, rows: Iterable[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield "|" + "---|" * len(headings)
    for row in rows:
        yield f"| {' | '.join(row)} |"
