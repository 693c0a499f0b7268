"""Events that can go again: found by a filter, loaded with what arrived, and set going by runs that the database remembers."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, TextClause, bindparam
from sqlalchemy.dialects.postgresql import JSONB

from models.claimed_events import open_payload
from models.engine import look_up_only
from models.payload_vault import PayloadVault, find_vault
from models.replay_statements import (
    ADD,
    ADD_BATCH,
    FIND,
    HOLD,
    LIST,
    LIST_RUNNING,
    LOAD,
    LOAD_OF_PAYMENT,
    MOVE,
    NOTE_FAILURE,
    PAYMENTS_OF_EVENTS,
    SCAN,
    SWITCH,
)
from models.replays import (
    DAWN,
    MOMENT,
    MOST_FAILURES,
    Cursor,
    NewReplay,
    ReplayFilter,
    ReplayRun,
    ReplayStep,
    Scan,
    StoredEvent,
)
from models.states import Decision, ReplayState, Source
from models.work import ClaimedEvent


class ReplayRepository:
    """Events that can go again, and the runs."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def scan(self, wanted: ReplayFilter, after: Cursor, until: datetime, limit: int, window: int) -> Scan:
        """Up to `limit` events that fit, among the next `window` parked and ignored ones; its payment is not looked at."""
        look_up_only(self.connection)
        reason = wanted.reason or ""
        after_at, after_id = max(after, (wanted.received_from or DAWN, 0))
        values = {
            "psp": wanted.psp,
            "account": wanted.account,
            "status": wanted.status,
            "reason": None if reason.endswith("*") else wanted.reason,
            "reason_begins": reason[:-1] if reason.endswith("*") else "",
            "may_be_dismissed": reason == "dismissed",
            "after_at": after_at,
            "after_id": after_id,
            "until": min(until, wanted.received_to or until),
            "limit": limit,
            "window": window,
        }
        found = self.connection.execute(SCAN, values).all()
        ids = [row.id for row in found if row.fits]
        last = found[-1] if found else None
        if len(ids) == limit:
            last = next(row for row in found if row.id == ids[-1])
            return Scan(ids, (last.received_at, last.id), False)
        return Scan(ids, (last.received_at, last.id) if last else after, last is None or last.seen < window)

    def load(self, ids: Sequence[int]) -> list[StoredEvent]:
        """These events, in the order of their arrival."""
        return self._load(LOAD, ids=list(ids))

    def load_of_payment(self, payment_id: Any) -> list[StoredEvent]:
        """Every event about which something was decided for this payment."""
        return self._load(LOAD_OF_PAYMENT, id=payment_id)

    def list_payments(self, after_id: int, wanted: ReplayFilter, window: int) -> tuple[list[Any], int | None]:
        """The payments that the next `window` events in id order were about, of those that fit; the last id, None at the end."""
        values = {
            "psp": wanted.psp,
            "account": wanted.account,
            "from_at": wanted.received_from,
            "to_at": wanted.received_to,
            "after_id": after_id,
            "window": window,
        }
        row = self.connection.execute(PAYMENTS_OF_EVENTS, values).one()
        return list(row.payment_ids or []), row.last_id

    def _load(self, statement: TextClause, **values: Any) -> list[StoredEvent]:
        vault = find_vault(self.connection)
        return [_read_stored(vault, row) for row in self.connection.execute(statement, values)]

    def add_run(self, new: NewReplay) -> ReplayRun:
        """Start a run; events that come from now on are not meant."""
        until = new.now + MOMENT
        values = {**asdict(new), "wanted": new.wanted.to_json(), "until": until, "dawn": DAWN}
        statement = ADD.bindparams(bindparam("wanted", type_=JSONB))
        return _read_run(self.connection.execute(statement, values).mappings().one())

    def hold_run(self, run_id: int) -> ReplayRun | None:
        """Lock a run until the transaction ends; None where it does not run, or somebody else is at it just now."""
        row = self.connection.execute(HOLD, {"id": run_id}).mappings().one_or_none()
        return _read_run(row) if row else None

    def find_run(self, run_id: int) -> ReplayRun | None:
        """One run."""
        row = self.connection.execute(FIND, {"id": run_id}).mappings().one_or_none()
        return _read_run(row) if row else None

    def list_runs(self, limit: int) -> list[ReplayRun]:
        """The newest first."""
        return [_read_run(row) for row in self.connection.execute(LIST, {"limit": limit}).mappings()]

    def list_running(self, limit: int) -> list[int]:
        """The ids of those that are not paused and not over, the oldest first."""
        return list(self.connection.scalars(LIST_RUNNING, {"limit": limit}))

    def move_run(self, run: ReplayRun, step: ReplayStep, event_ids: Sequence[int], now: datetime) -> None:
        """Write down a step of a run that is held, and which events it set going."""
        at, id = step.cursor
        ended_at = now if step.state in (ReplayState.STOPPED, ReplayState.DONE) else None
        values = asdict(step) | {"id": run.id, "after_at": at, "after_id": id, "ended_at": ended_at}
        values.pop("cursor")
        self.connection.execute(MOVE, values)
        if event_ids:
            batch = {
                "run_id": run.id,
                "number": run.replayed + len(event_ids),
                "event_ids": list(event_ids),
                "now": now,
            }
            self.connection.execute(ADD_BATCH.bindparams(bindparam("event_ids", type_=JSONB)), batch)

    def note_failure(self, run_id: int, kind: str) -> None:
        """Count a step that failed with this kind of error, and pause the run after a few in a row. What does not run is left."""
        self.connection.execute(NOTE_FAILURE, {"id": run_id, "failing_with": kind, "most": MOST_FAILURES})

    def switch_run(self, run_id: int, state: ReplayState, now: datetime) -> bool:
        """Pause, go on, which forgets what failed, or stop; whether it did: a run that is over stays so. It waits for a step that
        is being made."""
        ended_at = now if state in (ReplayState.STOPPED, ReplayState.DONE) else None
        values = {"id": run_id, "state": state, "now": now, "ended_at": ended_at}
        return self.connection.execute(SWITCH, values).rowcount == 1


def _read_run(row: Any) -> ReplayRun:
    return ReplayRun(**{**row, "wanted": ReplayFilter.from_json(row["wanted"]), "state": ReplayState(row["state"])})


def _read_stored(vault: PayloadVault, row: Any) -> StoredEvent:
    headers, body, locked = open_payload(vault, row)
    event = ClaimedEvent(
        id=row.id,
        psp=row.psp,
        account=row.account,
        event_key=row.event_key,
        source=Source(row.source),
        attempts=0,
        received_at=row.received_at,
        decision=Decision(row.decision) if row.decision else None,
        has_waited=False,
        headers=headers,
        body=body,
        locked=locked,
    )
    return StoredEvent(
        event,
        row.status,
        row.reason,
        row.verified_with,
        has_payload=row.has_payload,
        redacted=bool(row.redacted),
        body_sha256=bytes(row.body_sha256 or b""),
    )
