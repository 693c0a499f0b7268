"""Log-ins that were tried, counted where every process sees the same count."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import cast

from sqlalchemy import Connection, text

MOST_TRIES = 5
WINDOW = timedelta(minutes=1)

# The database's clock, so that hosts whose clocks differ count the same minute.
SECONDS = """
select max(extract(epoch from tried.tried_at + :window - statement_timestamp()))::float8 as seconds
from unnest(cast(:subjects as bytea[])) as wanted (subject), lateral (
    select t.tried_at from login_tries t
    where t.subject = wanted.subject and t.tried_at > statement_timestamp() - :window
    order by t.tried_at desc offset :most - 1 limit 1) as tried
"""

LOOK = text(SECONDS)

LOCK = text("select pg_advisory_xact_lock(key) from unnest(cast(:keys as bigint[])) as key")

COUNT = text(f"""
with wait as ({SECONDS}), counted as (
    insert into login_tries (subject, tried_at)
    select subject, statement_timestamp() from unnest(cast(:subjects as bytea[])) as subject
    where (select seconds from wait) is null)
select seconds from wait
""")  # noqa: S608 - constants


class LoginTryRepository:
    """Five tries in any minute for each subject, exactly, over all processes."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def count(self, subjects: Sequence[str]) -> float | None:
        """Count one try of all these subjects, or say how many seconds to wait. Commit at once, before anything else.

        A try that is refused is not counted: who goes on trying does not lock anybody out for longer. Raises
        Contention, when the unit of work is left, where too many try at once.
        """
        digests = sorted(hashlib.sha256(subject.encode("utf-8", "surrogatepass")).digest() for subject in set(subjects))
        values = {"subjects": digests, "window": WINDOW, "most": MOST_TRIES}
        seconds: float | None = self.connection.scalar(LOOK, values)
        if seconds is not None:
            return seconds
        keys = [int.from_bytes(digest[:8], signed=True) for digest in digests]
        self.connection.execute(LOCK, {"keys": sorted(keys)})
        return cast(float | None, self.connection.scalar(COUNT, values))
