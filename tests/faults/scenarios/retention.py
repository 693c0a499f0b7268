"""Months of payloads go while deliveries flow, and what was over long ago is told again."""

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import create_engine

from models.schema import add_partitions, months_from, name_partition
from tests.faults.flood import start_flood
from tests.faults.house import House, wait_until
from tests.faults.oracle import Verdict, judge, landed
from tests.faults.post import Post, play
from tests.faults.scene import Scene, scenario
from workers.app import create_producer

KEPT_MONTHS = 13
# How many months ago: all of it finished or in conflict; some of it unfinished; some of it set aside.
OVER, UNFINISHED, PARKED = KEPT_MONTHS + 2, KEPT_MONTHS + 3, KEPT_MONTHS + 4
HELD = 5  # events that somebody seems to work on for an hour
HOLD = """
update inbox_events set lease_until = now() + interval '1 hour'
where id = any(array(select id from inbox_events where received_at >= %s and received_at < %s order by id limit %s))
returning id
"""
LET_GO = "update inbox_events set lease_until = null, next_attempt_at = now() where id = any(%s)"
EVENTS = "select id, event_key from inbox_events order by id"
MOVE = (
    "update inbox_payloads set received_at = %s where event_id = any(%s)",
    "update inbox_events set received_at = %s where id = any(%s)",
)
BODIES = "select p.body from inbox_payloads p where p.received_at >= %s and p.received_at < %s order by p.event_id"
OLD_ONES = """
select e.id, e.status, e.reason, e.attempts, e.processed_at,
    (select count(*) from transitions t where t.event_id = e.id)
from inbox_events e where e.received_at < %s order by e.id
"""
OLD_PAYMENTS = """
select p.id::text, p.state, p.received_minor, p.refunded_minor, p.version, p.updated_at from payments p
where p.id in (select payment_id from transitions t join inbox_events e on e.id = t.event_id where e.received_at < %s)
order by p.id
"""
ODD_ONES = "select id, event_key, status, reason, received_at from inbox_events where status <> 'processed'"
AGAIN = "delete from schedule_windows where job = 'housekeeping'"


@dataclass(frozen=True)
class Month:
    """A month of long ago."""

    start: datetime
    end: datetime

    @classmethod
    def ago(cls, months: int) -> "Month":
        this = months_from(datetime.now(UTC), 1)[0]
        years, month = divmod(this.year * 12 + this.month - 1 - months, 12)
        return cls(*months_from(this.replace(year=years, month=month + 1), 2))

    def is_there(self, house: House) -> bool:
        return bool(house.query("select to_regclass(%s) is not null", name_partition(self.start))[0][0])


@scenario(
    18,
    "months of payloads are dropped while deliveries flow, and what they held comes again",
    broken="drops_every_month",
)
def retention(scene: Scene) -> Verdict:
    """The month that nobody needs goes, the others stay; late duplicates are answered 200 and change nothing."""
    over, unfinished, parked = (Month.ago(months) for months in (OVER, UNFINISHED, PARKED))
    with scene.house("receiver") as house, Post(house) as post:
        old = start_flood(house, "old", 120, scene.seed, psps="stripe", connections=4).finish()
        original, other = _send_odd_ones(post, scene.seed)
        _send_back(house, over, unfinished, parked)
        held = [row[0] for row in house.query(HOLD, unfinished.start, unfinished.end, HELD)]
        house.start("worker", "beat")
        wait_until(lambda: house.count("processed_at is null") == len(held), "the old events are over", 60)
        late = [bytes(row[0]) for row in house.query(BODIES, over.start, over.end) if bytes(row[0]) != other]
        flood = start_flood(
            house, "flood", scene.events(600), scene.seed + 1, "--delay", str(6 * scene.scale), psps="stripe,stp"
        )
        flood.wait_for(20)
        runs = _keep_house(house, over)
        months = [month.is_there(house) for month in (unfinished, parked)]
        changed = _tell_again(house, post, late, original)
        house.query(LET_GO, held)
        flood.finish()
        faults = f"{len(late)} payloads dropped in {runs} runs, all told again; {len(held)} events unfinished meanwhile"
        verdict = judge(house, old, flood, faults=faults, within=scene.patience, parked=1)
        verdict.blame("retention", changed)
        if not all(months):
            verdict.blame("retention", [f"months with unfinished and parked events: {months}"])
        answers = [f"{name} was answered {status}" for name, status in post.answers if status != 200]
        answers += [f"{a['event_key']}: {a['status']}" for a in flood.attempts if a["status"] != 200]
        verdict.blame("answers", answers)
        return verdict


def _send_odd_ones(post: Post, seed: int) -> tuple[bytes, bytes]:
    """One that cannot be read and is parked, and one that is in conflict with another; the bodies of these two."""
    post.send("stripe", b'{"id": "evt_unreadable_%d", "type": ' % seed, "one that cannot be read")
    original = play("stripe", "card.paid", seed + 7).webhooks[-1].body
    other = original.replace(b'"currency": "mxn"', b'"currency": "usd"')
    post.send("stripe", original, "a genuine event")
    post.send("stripe", other, "another content")
    return original, other


def _send_back(house: House, over: Month, unfinished: Month, parked: Month) -> None:
    """As if all that is there had come long ago: a third in each month, what is odd where it belongs."""
    url = house.engines.url_of(house.database).replace("postgresql://", "postgresql+psycopg2://")
    engine = create_engine(url)
    with engine.begin() as connection:
        add_partitions(connection, [month.start for month in (parked, unfinished, over)])
    engine.dispose()
    *events, unreadable, original, other = [row[0] for row in house.query(EVENTS)]
    for month, ids in (
        (over, [*events[0::3], original, other]),
        (unfinished, events[1::3]),
        (parked, [*events[2::3], unreadable]),
    ):
        for statement in MOVE:
            house.query(statement, month.start.replace(day=15), ids)


def _keep_house(house: House, over: Month) -> int:
    """Have a worker keep house until the month is gone, which a reader may put off; in how many runs."""
    producer = create_producer(house.environment["ACUSE_BROKER_URL"])
    for run in range(1, 11):
        house.query(AGAIN)
        producer.send_task("schedules.keep_house")
        ends = time.monotonic() + 3
        while time.monotonic() < ends:
            if not over.is_there(house):
                return run
            time.sleep(0.1)
    raise AssertionError("the month was not dropped")


def _set_apart(house: House) -> bool:
    with suppress(AssertionError):
        wait_until(lambda: house.count("status = 'conflict'") == 2, "both are set apart", 10)
    return bool(house.count("status = 'conflict'") == 2)


def _tell_again(house: House, post: Post, late: list[bytes], original: bytes) -> list[str]:
    """Send what was dropped once more, and one of it with another content; what changed that should not have."""
    recent = Month.ago(1).start
    before = house.query(OLD_ONES, recent), house.query(OLD_PAYMENTS, recent)
    for body in late:
        post.send("stripe", body, "a late duplicate")
    third = original.replace(b'"currency": "mxn"', b'"currency": "eur"')
    post.send("stripe", third, "a late other content")
    landed(
        _set_apart(house), f"the other content, answered {post.answers[-1]}, is not set apart: {house.query(ODD_ONES)}"
    )
    after = house.query(OLD_ONES, recent), house.query(OLD_PAYMENTS, recent)
    return [
        f"{was} became {now}"
        for one, two in zip(before, after, strict=True)
        for was, now in zip(one, two, strict=True)
        if was != now
    ]
