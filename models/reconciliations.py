"""Reconciliation runs: one at a time for an account, resumed where they stopped; and which payments a run has found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

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
    """A run as it stands. `counts` are integers by name; `attempts` is how many processes have worked on it."""

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
    attempts: int


@dataclass(frozen=True, slots=True)
class LastStart:
    """When an account's runs by the clock began last, and early ones among them; whether a run was left unfinished; when
    a run over a day began or ended last."""

    started_at: datetime | None
    early_at: datetime | None
    is_running: bool
    day_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DayRuns:
    """When a day was tried last, when the last run that came to its end began, and whether the last one is PAUSED."""

    tried_at: datetime
    done_at: datetime | None
    is_paused: bool = False


COLUMNS = "id, psp, account, kind, day, window_start, window_end, reached_at, started_at, counts, attempts"
PAUSED = "paused"  # the error of a run that is to be gone on with
ADD = text(f"""
insert into reconciliation_runs (psp, account, kind, day, window_start, window_end, reached_at, status, started_at)
values (:psp, :account, :kind, :day, :window_start, :window_end, :window_start, 'running', :now)
returning {COLUMNS}
""")  # noqa: S608 - constants

TAKE_UP = text(f"""
update reconciliation_runs set attempts = least(attempts + 1, 1000)
where psp = :psp and account = :account and status = 'running' returning {COLUMNS}
""")  # noqa: S608

# The last run over the day, where it failed: what it has counted and marked is still true.
RESUME_DAY = text(f"""
update reconciliation_runs set status = 'running', error = null, finished_at = null, attempts = least(attempts + 1, 1000)
where id = (select max(id) from reconciliation_runs
            where psp = :psp and account = :account and kind = 'day' and day = :day)
    and status = 'failed' and started_at >= :since
returning {COLUMNS}
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
       max(started_at) filter (where kind = 'early') as early_at, bool_or(status = 'running') as is_running,
       max(greatest(started_at, finished_at)) filter (where kind = 'day') as day_at
from reconciliation_runs where started_at > :since group by psp, account
""")

LAST_DAYS = text("""
select psp, account, day, max(greatest(started_at, finished_at)) as tried_at,
       max(started_at) filter (where status = 'done') as done_at,
       coalesce((array_agg(error order by id desc))[1] = :paused, false) as is_paused
from reconciliation_runs where kind = 'day' and day >= :since group by psp, account, day
""")

FIRST_STARTS = text("""
select k.psp, k.account, r.started_at
from unnest(cast(:psps as text[]), cast(:accounts as text[])) as k (psp, account)
cross join lateral (select started_at from reconciliation_runs where psp = k.psp and account = k.account
                    order by id limit 1) r
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

COUNT_PROPOSED = text("""
select count(*) from discrepancies
where source = 'reconciliation' and closed_at is null and psp = :psp and account = :account and run_id = :run_id
    and healing = 'proposed'
""")


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

    def resume_day(self, run: NewRun, since: datetime) -> Run | None:
        """The last run over this day, running again, where it failed and began at `since` or later. The account must be
        held."""
        values = {"psp": run.psp, "account": run.account, "day": run.day, "since": since}
        found = self.connection.execute(RESUME_DAY, values).one_or_none()
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
        return {(r.psp, r.account): LastStart(r.started_at, r.early_at, r.is_running, r.day_at) for r in rows}

    def list_day_runs(self, since: date) -> dict[tuple[str, str, date], DayRuns]:
        """By (psp, account, day), of days from `since` on."""
        rows = self.connection.execute(LAST_DAYS, {"since": since, "paused": PAUSED})
        return {(r.psp, r.account, r.day): DayRuns(r.tried_at, r.done_at, r.is_paused) for r in rows}

    def list_first_starts(self, accounts: Sequence[tuple[str, str]]) -> dict[tuple[str, str], datetime]:
        """When the first run of each of these accounts began, where there was one."""
        values = {"psps": [psp for psp, _ in accounts], "accounts": [account for _, account in accounts]}
        return {(r.psp, r.account): r.started_at for r in self.connection.execute(FIRST_STARTS, values)}

    def count_proposed(self, run: Run) -> int:
        """How many differences the run opened that wait for a person now."""
        values = {"psp": run.psp, "account": run.account, "run_id": run.id}
        return int(self.connection.scalar(COUNT_PROPOSED, values) or 0)

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
