"""Whether what happens by the clock happens: for the numbers of /metrics. Reads only, by index."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from models.engine import look_up_only

LAST_WINDOWS = text("""
select j.job, w.window_start
from unnest(cast(:jobs as text[])) as j (job)
cross join lateral (select window_start from schedule_windows where job = j.job order by window_start desc limit 1) w
""")

# Of the last thousand runs: three days and more by the clock.
LAST_SUCCESSES = text("""
select k.psp, k.account, r.finished_at
from unnest(cast(:psps as text[]), cast(:accounts as text[])) as k (psp, account)
left join lateral (
    select finished_at from (select id, status, finished_at from reconciliation_runs
                             where psp = k.psp and account = k.account order by id desc limit 1000) latest
    where status = 'done' order by id desc limit 1) r on true
""")

OPEN_DIFFERENCES = text("""
select psp, kind, count(*) from discrepancies
where source = 'reconciliation' and closed_at is null group by psp, kind order by psp, kind
""")


class OversightRepository:
    """Reads only."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def list_last_windows(self, jobs: Sequence[str]) -> dict[str, datetime]:
        """The start of the last window of each of these jobs that somebody worked on; a job that never ran is missing."""
        look_up_only(self.connection)
        return {row.job: row.window_start for row in self.connection.execute(LAST_WINDOWS, {"jobs": list(jobs)})}

    def list_last_successes(self, accounts: Sequence[tuple[str, str]]) -> list[tuple[str, str, datetime | None]]:
        """(psp, account, end of its last run that came to its end) of each of these accounts."""
        values = {"psps": [psp for psp, _ in accounts], "accounts": [account for _, account in accounts]}
        look_up_only(self.connection)
        return [tuple(row) for row in self.connection.execute(LAST_SUCCESSES, values)]

    def count_open_differences(self) -> list[tuple[str, str, int]]:
        """(psp, class, how many are open) of what reconciliation found."""
        look_up_only(self.connection)
        return [tuple(row) for row in self.connection.execute(OPEN_DIFFERENCES)]
