"""What must hold after every step, read from the tables with SQL of its own: nothing of models/audit.py."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from sqlalchemy import Engine, Row, text

MUST_BE_EMPTY = {
    "I2: an event without an end has no date of it": """
        select id from inbox_events where (status in ('received', 'hint')) <> (processed_at is null)""",
    "I2: what is processed was decided, or says what it led to": """
        select id from inbox_events e where status = 'processed' and reason is null
        and not exists (select 1 from transitions t where t.event_id = e.id and t.outcome <> 'UNMATCHED')""",
    "I2: what is not processed has decided nothing": """
        select e.id, e.status from inbox_events e join transitions t on t.event_id = e.id
        where e.status <> 'processed' and t.outcome <> 'UNMATCHED'""",
    "I3: a part of an event is decided once": """
        select event_id, ordinal from transitions where outcome <> 'UNMATCHED'
        group by event_id, ordinal having count(*) > 1""",
    "I3: the same webhook is decided once, under whatever key it is kept": """
        select e.psp, e.content_digest, t.ordinal from inbox_events e join transitions t on t.event_id = e.id
        where e.source = 'webhook' and t.outcome <> 'UNMATCHED'
        group by e.psp, e.content_digest, t.ordinal having count(*) > 1""",
    "I4: no decision but an applied one moves a payment": """
        select id from transitions where payment_id is not null and from_state <> to_state and outcome <> 'APPLIED'""",
    "I5: nothing goes back that has not come": """
        select id, received_minor, refunded_minor from payments where refunded_minor > received_minor
        or refunded_minor < 0""",
    "I7: what decides was verified": """
        select e.id from inbox_events e join transitions t on t.event_id = e.id
        where e.source = 'webhook' and e.verified_with is null""",
    "one payment at the PSP is one of ours": """
        select psp, psp_payment_id from payments group by psp, psp_payment_id having count(*) > 1""",
}
ALL = " union all ".join(
    f"select '{what}' as what, row_to_json(q)::text as row from ({query}) q" for what, query in MUST_BE_EMPTY.items()
)
HISTORY = """
    select t.id, p.id as payment, t.from_state, t.to_state, t.outcome, t.received_minor, t.refunded_minor,
        p.state, p.received_minor as received, p.refunded_minor as refunded
    from payments p left join transitions t on t.payment_id = p.id order by p.id, t.id"""
WRITTEN = "select id, md5(t::text) from transitions t order by id"
FINAL = "select id, status from inbox_events where status in ('processed', 'conflict') order by id"


@dataclass
class Watch:
    """Remembers what was seen, so that it sees also what changes that must not change."""

    engine: Engine
    history: list[Any] = field(default_factory=list)
    ends: dict[int, str] = field(default_factory=dict)

    def check(self) -> None:
        """Raises AssertionError, which says what is broken and shows the rows."""
        broken = self.rows(ALL)
        assert not broken, f"{broken[0].what}: {[one.row for one in broken[:3]]}"
        self._check_history()
        self._check_what_is_over()

    def rows(self, query: str, **values: Any) -> Sequence[Row[Any]]:
        with self.engine.connect() as connection:
            return connection.execute(text(query), values).all()

    def _check_history(self) -> None:
        by_payment: dict[Any, list[Any]] = {}
        for row in self.rows(HISTORY):
            by_payment.setdefault(row.payment, []).append(row)
        for payment, story in by_payment.items():
            assert story[0].id is not None, f"I4: payment {payment} was made by nothing"
            assert story[0].from_state == "pending", f"I4: the story of {payment} lacks its beginning"
            for before, after in pairwise(story):
                assert before.to_state == after.from_state, f"I4: the story of {payment} has a gap before {after.id}"
            for row in story:
                assert row.refunded_minor <= row.received_minor, f"I5: transition {row.id} gives back more than came"
            last = story[-1]
            told, stands = last[3:4] + last[5:7], last[7:10]
            assert told == stands, f"I4: payment {payment} stands at {stands} and its story ends at {told}"
        written = [tuple(row) for row in self.rows(WRITTEN)]
        assert written[: len(self.history)] == self.history, "I4: history was rewritten"
        self.history = written

    def _check_what_is_over(self) -> None:
        ends = {row.id: row.status for row in self.rows(FINAL)}
        changed = {id: ends.get(id) for id, status in self.ends.items() if ends.get(id) != status}
        assert not changed, f"I2: what was over has another end now: {changed}"
        self.ends = ends
