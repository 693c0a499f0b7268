"""Reconciliation runs: one at a time for an account, resumed where they stopped; and which payments a run has found."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from models.states import RunKind, RunStatus


@dataclass(frozen=True, slots=True)
class NewRun:
    """A comparison to be made of [window_start, window_end), aware UTC."""

    psp: str
    account: str
    kind: RunKind
    day: date | None
    window_start: datetime
    window_end: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it stands. `counts` are integers by name."""

    id: int
    psp: str
    account: str
    kind: RunKind
    day: date | None
    window_start: datetime
    window_end: datetime
    reached_at: datetime
    started_at: datetime
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class LastStart:
    """When an account's runs by the clock began last, and early ones among them; whether a run was left unfinished."""

    started_at: datetime | None
    early_at: datetime | None
    is_running: bool


@dataclass(frozen=True, slots=True)
class DayRuns:
    """When the last run over a day began, and the last one that came to its end."""

    tried_at: datetime
    done_at: datetime | None


COLUMNS = "id, psp, account, kind, day, window_start, window_end, reached_at, started_at, counts"
ADD = text(f"""
insert into reconciliation_runs (psp, account, kind, day, window_start, window_end, reached_at, status, started_at)
values (:psp, :account, :kind, :day, :window_start, :window_end, :window_start, 'running', :now)
returning {COLUMNS}
""")  # noqa: S608 - constants

TAKE_UP = text(f"""
update reconciliation_runs set attempts = least(attempts + 1, 1000)
where psp = :psp and account = :account and status = 'running' returning {COLUMNS}
""")  # noqa: S608

ADVANCE = text("""
update reconciliation_runs set reached_at = :reached_at, counts = cast(:counts as jsonb)
where id = :id and status = 'running'
""")

FINISH = text("""
update reconciliation_runs set status = :status, error = :error, finished_at = :now, counts = cast(:counts as jsonb)
where id = :id and status = 'running'
""")

# The end of what was compared without a gap: a run that failed is as good as its reached_at.
SAFE_POINT = text("""
select max(reached_at) from reconciliation_runs
where psp = :psp and account = :account and kind in ('continuous', 'early') and status <> 'running'
""")

LAST_STARTS = text("""
select psp, account, max(started_at) filter (where kind <> 'day') as started_at,
       max(started_at) filter (where kind = 'early') as early_at, bool_or(status = 'running') as is_running
from reconciliation_runs where started_at > :since group by psp, account
""")

LAST_DAYS = text("""
select psp, account, day, max(started_at) as tried_at, max(started_at) filter (where status = 'done') as done_at
from reconciliation_runs where kind = 'day' and day >= :since group by psp, account, day
""")

LIST = text("""
select id, psp, account, kind, day, window_start, window_end, reached_at, status, counts, error, attempts, started_at,
       finished_at
from reconciliation_runs
where (cast(:psp as text) is null or psp = :psp) and (cast(:account as text) is null or account = :account)
order by id desc limit :limit
""")

MARK = text("""
insert into payment_checks as c (payment_id, run_id, checked_at)
select id, :run_id, :now from unnest(cast(:ids as uuid[])) as t (id) order by id
on conflict (payment_id) do update set run_id = excluded.run_id, checked_at = excluded.checked_at
""")

LOCK = text("select pg_try_advisory_lock(hashtext('acuse.reconcile'), hashtext(:name))")
UNLOCK = text("select pg_advisory_unlock(hashtext('acuse.reconcile'), hashtext(:name))")


class AccountBusy(Exception):
    """Another process reconciles this account at this moment."""


@contextmanager
def hold_account(engine: Engine, psp: str, account: str) -> Iterator[None]:
    """Keep every other process from reconciling this account. Raises AccountBusy where one does.

    The lock belongs to a connection of its own, so it ends with the process, however that ends.
    """
    name = {"name": f"{psp}/{account}"}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(LOCK, name):
            raise AccountBusy(f"{psp}/{account} is being reconciled already")
        try:
            yield
        finally:
            try:
                connection.execute(UNLOCK, name)
            except DBAPIError:
                connection.invalidate()


class ReconciliationRepository:
    """The runs, and the marks that they leave at payments."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def add(self, run: NewRun, now: datetime) -> Run:
        """Start a run. The account must be held."""
        values = {name: getattr(run, name) for name in run.__slots__} | {"now": now}
        return _read(self.connection.execute(ADD, values).one()._mapping)

    def take_up(self, psp: str, account: str) -> Run | None:
        """The run that an earlier process left behind; the account must be held, so nobody works on it."""
        found = self.connection.execute(TAKE_UP, {"psp": psp, "account": account}).one_or_none()
        return _read(found._mapping) if found else None

    def advance(self, id: int, reached_at: datetime, counts: Mapping[str, int]) -> None:
        """Everything before `reached_at` is compared; `counts` are those of the whole run so far."""
        self.connection.execute(ADVANCE, {"id": id, "reached_at": reached_at, "counts": _write(counts)})

    def finish(
        self, id: int, status: RunStatus, counts: Mapping[str, int], now: datetime, error: str | None = None
    ) -> None:
        """End a run, well or not."""
        values = {"id": id, "status": status, "counts": _write(counts), "now": now, "error": error}
        self.connection.execute(FINISH, values)

    def find_safe_point(self, psp: str, account: str) -> datetime | None:
        """Until when the account was compared without a gap; None where it never was."""
        found: datetime | None = self.connection.scalar(SAFE_POINT, {"psp": psp, "account": account})
        return found

    def list_last_starts(self, since: datetime) -> dict[tuple[str, str], LastStart]:
        """By (psp, account), of runs that began after `since`."""
        rows = self.connection.execute(LAST_STARTS, {"since": since})
        return {(r.psp, r.account): LastStart(r.started_at, r.early_at, r.is_running) for r in rows}

    def list_day_runs(self, since: date) -> dict[tuple[str, str, date], DayRuns]:
        """By (psp, account, day), of days from `since` on."""
        rows = self.connection.execute(LAST_DAYS, {"since": since})
        return {(r.psp, r.account, r.day): DayRuns(r.tried_at, r.done_at) for r in rows}

    def list(self, psp: str | None, account: str | None, limit: int) -> list[dict[str, Any]]:
        """Runs, the newest first."""
        values = {"psp": psp, "account": account, "limit": limit}
        return [dict(row) for row in self.connection.execute(LIST, values).mappings()]

    def mark(self, run_id: int, payment_ids: Sequence[UUID], now: datetime) -> None:
        """These payments are known at the PSP, by this run."""
        if payment_ids:
            self.connection.execute(MARK, {"run_id": run_id, "ids": list(set(payment_ids)), "now": now})


def _write(counts: Mapping[str, int]) -> str:
    return orjson.dumps(dict(counts)).decode()


def _read(row: Mapping[Any, Any]) -> Run:
    return Run(**{**row, "kind": RunKind(row["kind"]), "counts": dict(row["counts"])})
