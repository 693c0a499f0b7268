"""When webhooks came, and how many of them usually come in an hour of the day."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, text

AccountKey = tuple[str, str]  # psp, account

MEXICO_CITY = ZoneInfo("America/Mexico_City")
ONE_HOUR = timedelta(hours=1)
LEARN_BACK = timedelta(hours=48)
# A delivery is committed a moment after the time that it bears.
SETTLED_AFTER = timedelta(minutes=1)
# A plain mean of the first days; after them a new day counts this much, and what is a week old a fifth.
LEAST_WEIGHT = 0.2


@dataclass(frozen=True, slots=True)
class Rate:
    """The webhooks that an account usually gets in one hour of the day in Mexico City."""

    psp: str
    account: str
    hour: int  # 0 to 23
    per_hour: float
    samples: int  # days that it was learned from


COUNT = text("""
select psp, account, count(*) as arrivals from inbox_events
where source = 'webhook' and received_at >= :start and received_at < :end
group by psp, account
""")

LAST = text("""
select psp, account, max(received_at) as received_at from inbox_events
where source = 'webhook' and received_at >= :since
group by psp, account
""")

ONE_AT_A_TIME = text("select pg_advisory_xact_lock(hashtext('acuse.arrivals'))")

LEARNED_UNTIL = text("select max(learned_until) from arrival_rates")

LEARN = text("""
with heard as (
    select psp, account, count(*) as arrivals from inbox_events
    where source = 'webhook' and received_at >= :start and received_at < :end
    group by psp, account
)
insert into arrival_rates as known (psp, account, hour, per_hour, samples, learned_until)
select psp, account, :hour, coalesce(heard.arrivals, 0), 1, :end
from (select distinct psp, account from arrival_rates) learned full join heard using (psp, account)
on conflict (psp, account, hour) do update set
    per_hour = known.per_hour
        + greatest(1.0 / (known.samples + 1), :least_weight) * (excluded.per_hour - known.per_hour),
    samples = known.samples + 1, learned_until = excluded.learned_until
where known.learned_until < excluded.learned_until
""")

LIST = text("select psp, account, hour, per_hour, samples from arrival_rates order by psp, account, hour")


class ArrivalRepository:
    """Arrivals of webhooks, whatever became of them, and the rates learned from them."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def count(self, start: datetime, end: datetime) -> dict[AccountKey, int]:
        """How many came in [start, end), by (psp, account); an account without any is missing."""
        rows = self.connection.execute(COUNT, {"start": start, "end": end})
        return {(row.psp, row.account): row.arrivals for row in rows}

    def find_last_arrivals(self, since: datetime) -> dict[AccountKey, datetime]:
        """When the last one came, by (psp, account); an account without any since then is missing."""
        rows = self.connection.execute(LAST, {"since": since})
        return {(row.psp, row.account): row.received_at for row in rows}

    def learn(self, now: datetime) -> int:
        """Take every whole hour since the last one that was learned into the rates, 48 at most; how many there were.

        Each hour counts once, whoever else learns at the same time. An account that is known already learns a zero from
        an hour without webhooks. The caller commits.
        """
        self.connection.execute(ONE_AT_A_TIME)
        until = _begin_hour(now - SETTLED_AFTER)
        known: datetime | None = self.connection.execute(LEARNED_UNTIL).scalar()
        start = max(until - LEARN_BACK, known or until - LEARN_BACK)
        hours = max(0, (until - start) // ONE_HOUR)
        for number in range(hours):
            self._learn_hour(start + number * ONE_HOUR)
        return hours

    def _learn_hour(self, start: datetime) -> None:
        values = {"start": start, "end": start + ONE_HOUR, "hour": start.astimezone(MEXICO_CITY).hour}
        self.connection.execute(LEARN, values | {"least_weight": LEAST_WEIGHT})

    def list_rates(self) -> list[Rate]:
        """All rates by psp, account and hour."""
        return [Rate(*row) for row in self.connection.execute(LIST)]


def _begin_hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)
