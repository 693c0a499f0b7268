"""Runs of reconciliation and the closing of a day, as `acuse` commands that are killed at a crash point, and what must come of it."""

import signal
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from functools import partial

from models.closings import DayKey
from models.unit_of_work import UnitOfWork
from sandbox.flows import play_flow
from sandbox.identity import Identity
from sandbox.payment import Played
from schedules.calendar.days import civil_day
from schedules.closing.service import CloseRequest, close_day
from schedules.closing.verifying import verify_chain
from tests.faults.house import House
from tests.faults.oracle import Verdict
from tests.faults.shop import Shop

# Each at a PSP of its own, so that nobody else is on the account's way.
RECONCILE = {
    "reconcile.begun": ("mercadopago", "oxxo.paid"),
    "reconcile.compared": ("openpay", "oxxo.paid"),
    "reconcile.advanced": ("bitso", "spei.paid"),
    "reconcile.before_finish": ("transak", "crypto.bought"),
    "reconcile.finished": ("stp", "spei.deposit"),
}
CLOSE = ("close.read", "close.before_commit", "close.closed")

PLANTED = 4  # payments that a run finds
WHY = "the day is a rehearsal"
RUN = "select id, status, attempts, counts from reconciliation_runs where psp = %s order by id"
DONE = "select count(*) from reconciliation_runs where status = 'done'"  # what was left, and a new one, at each PSP


def start_runs(house: House, seed: int, points: Sequence[str]) -> dict[str, list[Played]]:
    """`acuse reconcile` goes to its death over payments that no webhook has told of; what was planted, by point."""
    now, chosen = int(time.time()), {point: RECONCILE[point] for point in RECONCILE if point in points}
    names = Identity(seed, now)
    played = {
        point: [play_flow(flow, names, now - 3600, psp) for _ in range(PLANTED)]
        for point, (psp, flow) in chosen.items()
    }
    house.ask_sandbox("PUT", "payments", [asdict(one.payment) for lives in played.values() for one in lives])
    for point, (psp, _) in chosen.items():
        _start_armed(house, point, "reconcile", "--psp", psp, "--json")
    return played


def _start_armed(house: House, point: str, *command: str) -> None:
    house.options[point] = ("--at", point, "--do", "kill group", "--marker", str(house.marker(point)))
    house.start_command(point, *command)


def expect_death(house: House, point: str) -> None:
    """Raises AssertionError unless the command that was armed with this point was killed there."""
    code = house.wait_for_end(point, 60)
    assert code == -signal.SIGKILL, f"not killed at {point}: {house.log_end(point)}"
    assert house.marker(point).exists(), point


def check_runs(house: House, verdict: Verdict, played: dict[str, list[Played]]) -> None:
    """Who goes on with a run counts what it counted; whatever it died over, each payment is there once and stands right."""
    for point, lives in played.items():
        psp = RECONCILE[point][0]
        runs = house.query(RUN, psp)
        verdict.blame("I2", [f"run {row[0]} of {psp} is {row[1]}" for row in runs if row[1] != "done"])
        hands = 1 if point == "reconcile.finished" else 2
        _, _, attempts, counts = runs[0]
        if (attempts, counts.get("theirs")) != (hands, len(lives)):
            verdict.blame("I3", [f"{attempts} processes for {psp}, which counted {counts} of {len(lives)}"])
        ours = {i: rest for i, *rest in house.query(
            "select psp_payment_id, state, received_minor, refunded_minor from payments where psp = %s", psp)}  # fmt: skip
        wanted = {one.expected.psp_payment_id: one.expected for one in lives if one.expected}
        wrong = [
            f"{psp} {i} is {ours.get(i)}" for i, one in wanted.items()
            if ours.get(i) != [one.state, one.received_minor, one.refunded_minor]
        ]  # fmt: skip
        verdict.blame("I8", wrong)


def close(house: House, shop: Shop, verdict: Verdict, points: Sequence[str]) -> None:
    """A day is closed once, whoever dies over it, behind the certificate of the day before."""
    psp, today = RECONCILE["reconcile.compared"][0], civil_day(datetime.now(UTC) - timedelta(hours=1))
    _close_before(shop, psp, today - timedelta(days=1))
    which = ("--psp", psp, "--date", today.isoformat())
    command = ("close", *which, "--force", "--reason", WHY, "--by", "tests", "--json")
    chosen = [point for point in CLOSE if point in points]
    for group in ([p for p in chosen if p != "close.closed"], [p for p in chosen if p == "close.closed"]):
        for point in group:
            _start_armed(house, point, *command)
        for point in group:
            expect_death(house, point)
    house.start_command("closed again", *command)
    house.start_command("audit", "audit", "--json")
    codes = [house.wait_for_end(name, 60) for name in ("closed again", "audit")]
    said = [house.log_end(name) for name in ("closed again", "audit")]
    verdict.blame("close and audit", said if codes != [int("close.closed" in chosen), 0] else [])
    versions = house.query("select day::text, version from day_closings where psp = %s order by day", psp)
    wanted = [((today - timedelta(days=1)).isoformat(), 1), (today.isoformat(), 1)]
    verdict.blame("certificates", [f"{versions} and not {wanted}"] if versions != wanted else [])
    links = verify_chain(partial(UnitOfWork, shop.engine), psp, "default")
    verdict.blame("certificates", [link for link in links if not link.is_sound or link.change])


def _close_before(shop: Shop, psp: str, day: date) -> None:
    request = CloseRequest(DayKey(psp, "default", day), "tests", "tests", WHY)
    close_day(partial(UnitOfWork, shop.engine), request, datetime.now(UTC))
