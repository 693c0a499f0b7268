"""The figures as a table for the terminal, and as documents."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.chart import draw_bars
from bench.results import JUDGED, OURS, Results

Row = tuple[str, str, str, str, str]
HOW = (
    "Made by `make bench` on one machine that ran everything: load, receiver, workers, Postgres and Redis. "
    "The ratios are what to compare."
)
TITLES = {
    "acknowledged per s": "Durable acknowledgements per second",
    "drained per s": "Stored events applied per second",
}


def list_rows(results: Results) -> Iterator[Row]:
    """(contender, figure, median, spread, how many times that Acuse does)."""
    ratios = results.ratios()
    for who, figures in results.figures.items():
        for name, rounds in figures.items():
            ratio = ratios.get(name, {}).get(who)
            spread = f"{_number(min(rounds))} to {_number(max(rounds))}"
            yield who, name, _number(results.median(who, name) or 0), spread, f"{ratio:.2f}" if ratio else ""


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"


def show(results: Results, console: Console) -> None:
    table = Table("", "figure", "median", "spread", "Acuse / it", box=None, title=results.machine)
    before = ""
    for who, *rest in list_rows(results):
        table.add_row(who if who != before else "", *rest)
        before = who
    console.print(table)


def write_documents(results: Results, skips: Mapping[str, str], folder: Path) -> None:
    """benchmarks.md, benchmarks.json and benchmarks.svg in this folder."""
    lines = [
        "# Benchmarks", "", HOW, "", results.machine + f", {results.rounds} rounds in turns.", "",
        "![What each does in a second](benchmarks.svg)", "",
        "| | what it does and skips |", "|---|---|", *(f"| {who} | {text} |" for who, text in skips.items()), "",
        "| | figure | median | spread | Acuse / it |", "|---|---|---:|---|---:|",
        *(f"| {' | '.join(row)} |" for row in list_rows(results)), "",
    ]  # fmt: skip
    (folder / "benchmarks.md").write_text("\n".join(lines), encoding="utf-8")
    (folder / "benchmarks.json").write_text(json.dumps(results.as_dict(), indent=1) + "\n", encoding="utf-8")
    panels = [
        (TITLES[name], [(who, figures[name]) for who, figures in results.figures.items() if name in figures])
        for name in JUDGED
    ]
    (folder / "benchmarks.svg").write_text(draw_bars(panels, OURS), encoding="utf-8")
