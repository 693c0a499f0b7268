"""The judge: what the sender's log and the PSPs' effects say must be true, against the database, by SQL of its own.

It shares no code with what it judges but the vocabulary: the senders' log says what was acknowledged, the life cycles that
were played say how each payment must end, the effect log of the simulated PSPs says what really happened there.
"""

import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg2

from tests.faults.flood import Flood
from tests.faults.house import House

UNFINISHED = "processed_at is null"
UNFINISHED_EVENTS = f"select psp || ' ' || event_key || ' is ' || status from inbox_events where {UNFINISHED}"
DECIDED_TWICE = """
select 'event ' || event_id || ' decided twice' from transitions where outcome <> 'UNMATCHED'
group by event_id, ordinal having count(*) > 1
union all
select 'payment ' || payment_id || ' applied ' || (facts ->> 'key') || ' twice' from transitions
where outcome = 'APPLIED' group by payment_id, facts ->> 'key', ordinal having count(*) > 1
union all
select 'event ' || split_part(event_key, '~', 1) || ' stored twice' from inbox_events where status <> 'conflict'
group by psp, account, split_part(event_key, '~', 1) having count(*) > 1
union all
select 'payment ' || psp_payment_id || ' is there twice' from payments where psp_payment_id is not null
group by psp, account, psp_payment_id having count(*) > 1
"""
HISTORY = """
select payment_id::text, from_state, to_state, received_minor, refunded_minor, outcome,
       coalesce(reason, '') from transitions
where payment_id is not null order by payment_id, id
"""
PAYMENTS = "select id::text, psp, psp_payment_id, state, received_minor, refunded_minor from payments"
SET_ASIDE = "select psp || ' ' || event_key || ' ' || status || ': ' || coalesce(reason, '') from inbox_events where status = 'parked'"
UNVERIFIED = (
    "select psp || ' ' || event_key from inbox_events where source = 'webhook' and coalesce(verified_with, '') = ''"
)
DUMPED = ("inbox_events", "payments", "transitions", "attempts", "notifications", "reconciliation_runs", "day_closings")
EXAMPLES = 3
PAID = frozenset({"completed", "partially_refunded", "refunded", "disputed", "returned"})
REORDERED = "reordered"  # an older event came late, and the whole history was folded again
STILL_SECONDS = 1.0
STALLED_SECONDS = 15.0  # a lease, a sweep, and the start of a worker


@dataclass
class Verdict:
    """What a scenario found. `faults` proves that the fault landed; without it the rest counts for nothing."""

    faults: str = ""
    sent: int = 0
    lost: int = 0
    doubled: int = 0
    recovery: float = 0.0  # seconds from the end of sending, or of the fault, until all was finished
    violations: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return bool(self.faults) and not self.violations

    def blame(self, invariant: str, found: Iterable[object]) -> int:
        """Add what breaks an invariant; how many there were."""
        found = list(found)
        if found:
            some = ", ".join(map(str, found[:EXAMPLES])) + (" ..." if len(found) > EXAMPLES else "")
            self.violations.append(f"{invariant}: {len(found)} x {some}")
        return len(found)


def judge(house: House, *floods: Flood, faults: str, within: float = 60.0, parked: int = 0) -> Verdict:
    """Wait until everything is finished, at most `within` seconds, and check I1 to I5, I7 and I8; effects at PSPs (I6) are
    judged by tests.faults.shop. `parked` events may be set aside."""
    verdict = Verdict(faults=faults)
    began = max((flood.ended for flood in floods), default=time.monotonic())
    quiet = wait_quietly(house, within)
    verdict.recovery = max(time.monotonic() - began - quiet * STILL_SECONDS, 0.0)
    house.note(f"quiet: {quiet}")
    attempts = [attempt for flood in floods for attempt in flood.attempts]
    _check_acknowledged(house, verdict, attempts)
    verdict.blame("I2", (row[0] for row in house.query(UNFINISHED_EVENTS)))
    aside = [row[0] for row in house.query(SET_ASIDE)]
    if len(aside) != parked:
        verdict.blame("I2", aside or [f"{parked} events should be parked"])
    verdict.doubled = verdict.blame("I3", (row[0] for row in house.query(DECIDED_TWICE)))
    _check_histories(house, verdict)
    _check_ends(house, verdict, [payment for flood in floods for payment in flood.expected])
    _check_model(house, verdict, [payment for flood in floods for payment in flood.model])
    verdict.blame("I7", (row[0] for row in house.query(UNVERIFIED)))
    if verdict.violations:
        dump_tables(house)
    return verdict


def wait_quietly(house: House, within: float) -> bool:
    """Until no inbox event is unfinished, nor a moment later; whether that was in time. A broken build need not be waited for
    once it has stood still for longer than Acuse ever does."""
    deadline, left, since = time.monotonic() + within, -1, time.monotonic()
    while time.monotonic() < deadline:
        unfinished = house.count(UNFINISHED)
        if unfinished != left:
            left, since = unfinished, time.monotonic()
        if not unfinished:
            time.sleep(STILL_SECONDS)
            if house.count(UNFINISHED) == 0:
                return True
        if house.broken and time.monotonic() - since > STALLED_SECONDS:
            return False
        time.sleep(0.1)
    return False


def _check_acknowledged(house: House, verdict: Verdict, attempts: list[dict[str, Any]]) -> None:
    genuine = [a for a in attempts if a["kind"] != "forged"]
    verdict.sent = len({(a["psp"], a["event_key"]) for a in genuine})
    acknowledged = {(a["psp"], a["event_key"]) for a in genuine if a["status"] is not None and 200 <= a["status"] < 300}
    stored = {(psp, key.partition("~")[0]) for psp, key in house.query("select psp, event_key from inbox_events")}
    verdict.lost = verdict.blame("I1", sorted(acknowledged - stored))
    verdict.blame("never acknowledged", sorted({(a["psp"], a["event_key"]) for a in genuine} - acknowledged))
    odd = Counter(a["status"] for a in genuine if a["status"] not in (200, 503, None))
    verdict.blame("answers", [f"{count} x {status}" for status, count in odd.items()])
    forged = [a["event_key"] for a in attempts if a["kind"] == "forged" and a["status"] not in (401, 503, None)]
    verdict.blame("I7", forged)


def _check_histories(house: House, verdict: Verdict) -> None:
    """I4 and I5: every history is a chain without a gap that ends where the payment stands."""
    ends: dict[str, tuple[Any, ...]] = {}
    broken, moved, undone = [], [], []
    for payment, before, after, received, refunded, outcome, reason in house.query(HISTORY):
        if ends.get(payment, ("pending",))[0] != before:
            broken.append(payment)
        if before != after and outcome != "APPLIED":
            moved.append(payment)
        if before in PAID and after not in PAID and reason != REORDERED:
            undone.append(f"{payment} from {before} to {after}")
        ends[payment] = (after, received, refunded)
    verdict.blame("I4 gap", broken)
    verdict.blame("I4 moved without a decision", moved)
    verdict.blame("I4 undone by an event alone", undone)
    payments = house.query(PAYMENTS)
    verdict.blame(
        "I4 end", [id for id, *_, state, got, back in payments if ends.get(id, ("pending", 0, 0)) != (state, got, back)]
    )
    verdict.blame("I5", [id for id, *_, got, back in payments if back > got])


def _check_ends(house: House, verdict: Verdict, expected: list[dict[str, Any]]) -> None:
    """I5 and I8: each payment stands where its life cycle ends, whatever the order in which its events came."""
    ours = {(psp, psp_id): rest for _, psp, psp_id, *rest in house.query(PAYMENTS)}
    wrong = []
    for life in expected:
        key = life["psp"], life["psp_payment_id"]
        want = [life["state"], life["received_minor"], life["refunded_minor"]]
        if not life.get("dropped") and ours.get(key) != want:
            wrong.append(f"{key[1]} is {ours.get(key)} and not {want}")
    verdict.blame("I8", wrong)


def _check_model(house: House, verdict: Verdict, model: list[tuple[str, str, str, int, int]]) -> None:
    """I8: each payment stands where the reference model puts the set of its events."""
    ours = {(psp, psp_id): tuple(rest) for _, psp, psp_id, *rest in house.query(PAYMENTS)}
    wrong = [
        f"{psp_id} is {ours.get((psp, psp_id))} and not {want}"
        for psp, psp_id, *want in model
        if ours.get((psp, psp_id)) != tuple(want)
    ]
    verdict.blame("I8 by the model", wrong)


def landed(count: object, text: str) -> str:
    """The proof that a fault landed: what there was of it, which must not be nothing."""
    assert count, f"the fault did not land: {text}"
    return text


def slowest_ms(attempts: list[dict[str, Any]], share: float = 0.99) -> float:
    """A percentile of the latencies of genuine attempts that got an answer."""
    ordered = sorted(a["latency_ms"] for a in attempts if a["kind"] != "forged" and a["status"] is not None) or [0.0]
    return float(ordered[min(len(ordered) - 1, int(len(ordered) * share))])


def count_connections(house: House) -> int:
    """Client connections of this house to Postgres, its own left out."""
    with suppress(psycopg2.OperationalError):
        rows = house.query(
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        )
        return int(rows[0][0])
    return 0


def dump_tables(house: House) -> None:
    """Write the tables that tell what happened beside the logs, for whoever looks into a failure."""
    with suppress(psycopg2.Error):
        connection = psycopg2.connect(house.engines.url_of(house.database))
        with connection, connection.cursor() as cursor:
            for table in DUMPED:
                with (house.folder / f"{table}.csv").open("w") as file:
                    cursor.copy_expert(f"copy {table} to stdout with (format csv, header)", file)
        connection.close()
