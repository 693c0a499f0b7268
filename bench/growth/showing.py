"""The results as tables."""

from typing import Any

from rich.console import Console, Group
from rich.table import Table

AUDIT, AUDIT_LATELY = "audit", "audit of the last hour"
TARGET = 0.9


def show(results: dict[str, Any]) -> None:
    """Rates, then plans, the audit, retention and sizes; last what missed its target."""
    console = Console(width=160) if not Console().is_terminal else Console()
    console.print(
        f"[bold]{results['machine']}[/bold]; {results['small events']:,} and {results['big events']:,} stored events,"
        f" bodies of {results['body bytes']} bytes",
        highlight=False,
    )
    tables = (_show_rates, _show_plans, _show_audit, _show_retention, _show_sizes)
    console.print(Group(*(part for table in tables for part in (table(results), ""))))
    for one in results["plans"]:
        if one["fault"] and one["question"] != AUDIT:
            print(f"\n== {one['question']}: {one['statement']}", *one["nodes"], sep="\n")
    for fault in results["faults"]:
        console.print("missed:", fault, style="red", highlight=False, markup=False)


def _show_rates(results: dict[str, Any]) -> Table:
    table = Table("rate", "small", "big", "big / small", "rounds", box=None, title="in turns, the median of the rounds")
    for name, one in results["rates"].items():
        rounds = "  ".join(f"{small:,.0f}/{big:,.0f}" for small, big in zip(one["small"], one["big"], strict=True))
        table.add_row(name, f"{one['medians'][0]:,.1f}", f"{one['medians'][1]:,.1f}", f"{one['ratio']:.2f}", rounds)
    return table


def _show_plans(results: dict[str, Any]) -> Table:
    table = Table("asked", "statements", "blocks, small", "blocks, big", "ms, big", "fault", box=None, title="plans")
    for question in dict.fromkeys(one["question"] for one in results["plans"]):
        verdicts = [one for one in results["plans"] if one["question"] == question]
        blocks = [f"{sum(one[size] for one in verdicts):,}" for size in ("small_blocks", "big_blocks")]
        faults = "\n".join(one["fault"] for one in verdicts if one["fault"])
        if question == AUDIT:
            faults = f"{sum(bool(one['fault']) for one in verdicts)} checks look at all that is stored, as it is meant"
        milliseconds = f"{sum(one['big_milliseconds'] for one in verdicts):,.1f}"
        table.add_row(question, str(len(verdicts)), *blocks, milliseconds, faults)
    return table


def _show_audit(results: dict[str, Any]) -> Table:
    table = Table("audit (all of it is read: see the plans)", "small", "big", box=None, title="the audit")
    small, big = results["audit"]["small"], results["audit"]["big"]
    for name in big:
        table.add_row(name, *(str(one[name]) if name == "broken" else f"{one[name]:,.1f}" for one in (small, big)))
    return table


def _show_retention(results: dict[str, Any]) -> Table:
    names = list(results["retention"][0]) if results["retention"] else []
    table = Table(*names, box=None, title="dropping a month of payloads while inserts go on")
    for one in results["retention"]:
        table.add_row(*(f"{one[name]:,.2f}" if isinstance(one[name], float) else str(one[name]) for name in names))
    return table


def _show_sizes(results: dict[str, Any]) -> Table:
    seeded, real = results["bytes per event"]["seeded"], results["bytes per event"]["written by the product"]
    table = Table(
        "bytes per event", "table", "indexes", "table, as written", "indexes, as written", box=None,
        title="seeded in one go, and as receiver and workers leave it before any vacuum",
    )  # fmt: skip
    for name in seeded | real:
        cells = [f"{one.get(name, {}).get(part, 0):,.0f}" for one in (seeded, real) for part in ("table", "indexes")]
        table.add_row(name, *cells)
    totals = [
        f"{sum(each[part] for each in one.values()):,.0f}" for one in (seeded, real) for part in ("table", "indexes")
    ]
    table.add_row("all", *totals, style="bold")
    return table
