"""Half an hour under load with a fault every ten seconds: python -m tests.faults.soak [--minutes 30] [--seed N]

At the end the judge looks at everything, and a table says how memory, descriptors, connections and dead rows went, and how
long each kind of fault took until all was finished again.
"""

import json
import os
import random
import secrets
import signal
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import click
import psycopg2
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from embedded import LOOPBACK
from models.unit_of_work import DatabaseUnavailable
from tests.faults.engines import open_engines
from tests.faults.flood import Flood, Stream
from tests.faults.house import House
from tests.faults.measures import Sample, slope, take_sample
from tests.faults.opening import open_house
from tests.faults.oracle import Verdict, judge, slowest_ms, wait_quietly
from tests.faults.shop import CARD, CASH, PAYOUT, Shop, blame_effects, blame_money
from tests.faults.strikes import FAULTS
from tests.faults.watching import wait_until

EVERY_SECONDS = 10.0
# The numbered ones are never killed: what grows in half an hour is seen in them.
KEPT = ("receiver2", "worker2", "worker_psp2", "api", "worker_notify", "worker_reconcile", "sandbox")
PROGRAMS = ("receiver", "worker", "worker_psp", "beat", *KEPT)
FLOOD_EVENTS, FLOOD_OPTIONS = 600, ("--duplicates", "0.1", "--shuffle", "--delay", "20")
SHARE_OF_REFUNDS = 0.3
PAID_CARDS = "select psp_payment_id from payments where origin = 'api' and method = 'card' and state = 'completed'"
MOST_GROWTH, MOST_DESCRIPTORS, MOST_CONNECTIONS = 25.0, 40, 80  # MiB and descriptors from the second third to the last
LONGEST_RECOVERY = 30.0
PROGRESS = """
select count(*) filter (where received_at > %s and processed_at is not null),
       count(*) filter (where status = 'received' and reason is null and received_at < now() - interval '2 seconds')
from inbox_events
"""


@dataclass
class Soaked:
    """What was seen on the way."""

    recoveries: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    samples: list[Sample] = field(default_factory=list)
    floods: list[Flood] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    effects: int = 0
    late: list[str] = field(default_factory=list)  # faults after which it took too long


def soak(house: House, minutes: float, seed: int, tick: Callable[[float], None]) -> Soaked:
    """Faults in turns and at random while floods follow each other."""
    soaked, chance = Soaked(), random.Random(seed)
    began, ends = time.monotonic(), time.monotonic() + minutes * 60
    waiting: list[str] = []
    targets = tuple(f"http://{LOOPBACK}:{house.port_of(name)}" for name in ("receiver", "receiver2"))
    stream, shop = Stream(house, FLOOD_EVENTS, seed, FLOOD_OPTIONS, 8, targets), Shop(house)
    stream.flow()
    while time.monotonic() < ends:
        due = time.monotonic() + EVERY_SECONDS
        if not waiting:
            waiting = chance.sample(list(FAULTS), len(FAULTS))
        name = waiting.pop()
        house.note(f"fault: {name}")
        FAULTS[name](house, chance)
        soaked.recoveries[name].append(_wait_for_recovery(stream, soaked, name))
        with suppress(psycopg2.OperationalError):
            soaked.samples.append(take_sample(house, time.monotonic() - began))
        _ask_for_payments(shop, chance)
        tick(time.monotonic() - began)
        time.sleep(max(0.0, due - time.monotonic()))
    soaked.floods = stream.finish(400)
    total = sum(len(times) for times in soaked.recoveries.values())
    _settle(house, shop)
    soaked.verdict = judge(
        house, *soaked.floods, faults=f"{total} faults of {len(soaked.recoveries)} kinds", within=120
    )
    soaked.effects = blame_effects(house, soaked.verdict)
    blame_money(house, soaked.verdict)
    _judge_growth(soaked)
    return soaked


def _ask_for_payments(shop: Shop, chance: random.Random) -> None:
    """A card, a voucher and a payout, and now and then a part of a card payment back."""
    with suppress(DatabaseUnavailable, psycopg2.OperationalError):
        for psp, wanted in (("stripe", CARD), ("conekta", CASH), ("stp", PAYOUT)):
            shop.ask(psp, wanted, chance.randint(2_000, 900_000))
        paid = shop.house.query(PAID_CARDS)
        if paid and chance.random() < SHARE_OF_REFUNDS:
            shop.refund(chance.choice(paid)[0], 100)


def _settle(house: House, shop: Shop) -> None:
    """The faults are over: every attempt finds its end, and the banks carry out the payouts."""
    wait_until(lambda: shop.count_unsettled() == 0, "every attempt is settled", 180, every=0.5)
    wait_quietly(house, 60)
    shop.settle_payouts("stp")
    shop.fetch_all()


def _wait_for_recovery(stream: Stream, soaked: Soaked, name: str) -> float:
    """Seconds until the receiver answers, something that came after the fault is applied, and nothing else waits."""
    began, since = time.monotonic(), datetime.now(UTC)
    while time.monotonic() - began < LONGEST_RECOVERY:
        stream.flow()
        with suppress(psycopg2.OperationalError, OSError):
            [(applied, waiting)] = stream.house.query(PROGRESS, since)
            if applied and not waiting and stream.house.answers("receiver"):
                return time.monotonic() - began
        time.sleep(0.1)
    soaked.late.append(name)
    return LONGEST_RECOVERY


def _judge_growth(soaked: Soaked) -> None:
    """What was never killed must not grow, and nothing may go beyond what it is given."""
    verdict = soaked.verdict
    verdict.blame("I9 no recovery", soaked.late)
    for what in KEPT:
        for unit, most, values in (
            ("MiB", MOST_GROWTH, [sample.memory.get(what, 0.0) for sample in soaked.samples]),
            ("descriptors", MOST_DESCRIPTORS, [float(sample.descriptors.get(what, 0)) for sample in soaked.samples]),
        ):
            middle, last = slope(values)
            verdict.blame("I9", [f"{what} grew from {middle:.0f} to {last:.0f} {unit}"] if last > middle + most else [])
    most = max(sample.connections for sample in soaked.samples)
    verdict.blame("I9", [f"{most} connections to Postgres"] if most > MOST_CONNECTIONS else [])


def show(soaked: Soaked, console: Console) -> None:
    table = Table("fault", "times", "recovery p50", "longest", box=None)
    for name, times in sorted(soaked.recoveries.items()):
        table.add_row(name, str(len(times)), f"{statistics.median(times):.1f} s", f"{max(times):.1f} s")
    console.print(table)
    table = Table("measure", "second third", "last third", box=None)
    rows: dict[str, list[float]] = {}
    for sample in soaked.samples:
        for name, value in sample.flat().items():
            rows.setdefault(name, []).append(value)
    for name, values in rows.items():
        middle, last = slope(values)
        table.add_row(name, f"{middle:.0f}", f"{last:.0f}")
    console.print(table)
    verdict = soaked.verdict
    attempts = [attempt for flood in soaked.floods for attempt in flood.attempts]
    console.print(
        f"{verdict.faults}: {verdict.sent} events in {len(attempts)} attempts, {soaked.effects} effects at PSPs, "
        f"lost {verdict.lost}, doubled {verdict.doubled}, "
        f"p99 of answers {slowest_ms(attempts):.0f} ms, all finished {verdict.recovery:.1f} s after the last"
    )
    for what in verdict.violations:
        console.print(what, markup=False)


@click.command()
@click.option("--minutes", default=30.0, show_default=True)
@click.option("--seed", type=int, help="Random without it.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write what was seen there.")
def main(minutes: float, seed: int | None, json_file: Path | None) -> None:
    """Soak a whole stack. Exit 1 unless every invariant held."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    seed = secrets.randbelow(10**6) if seed is None else seed
    console = Console(width=None if sys.stdout.isatty() else 160)
    columns = (TextColumn("soaking"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with (
        tempfile.TemporaryDirectory(prefix="acuse-soak-") as folder,
        open_engines(Path(folder)) as engines,
        open_house(engines, Path(folder) / "house") as house,
        Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress,
    ):
        house.start(*PROGRAMS)
        task = progress.add_task("", total=minutes * 60)
        soaked = soak(house, minutes, seed, lambda seconds: progress.update(task, completed=seconds))
    show(soaked, console)
    console.print(f"seed {seed}, {minutes:.0f} minutes on {os.cpu_count()} cores")
    if json_file:
        told = {"seed": seed, "recoveries": soaked.recoveries, "samples": [s.flat() for s in soaked.samples]}
        json_file.write_text(json.dumps(told | {"violations": soaked.verdict.violations}))
    sys.exit(0 if soaked.verdict.holds else 1)


if __name__ == "__main__":
    main()
