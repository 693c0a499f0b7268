"""Windows of periodic jobs: whoever writes the row does the work, so a second beat is harmless."""

from datetime import datetime

from sqlalchemy import Connection, text

TAKE = text("""
insert into schedule_windows (job, window_start)
select :job, :window_start where pg_try_advisory_xact_lock(hashtext('acuse.schedule'), hashtext(:job))
on conflict do nothing
""")

FORGET = text("delete from schedule_windows where window_start < :before")


class WindowRepository:
    """Which windows of which jobs were done."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def take(self, job: str, window_start: datetime) -> bool:
        """True for the one caller that gets the window; it holds the job's lock until its transaction ends."""
        return self.connection.execute(TAKE, {"job": job, "window_start": window_start}).rowcount == 1

    def forget(self, before: datetime) -> None:
        """Drop the rows of windows that began before this time."""
        self.connection.execute(FORGET, {"before": before})
