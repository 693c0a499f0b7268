"""Where a day stands among the closed days of its account. Reads only."""

from dataclasses import asdict
from datetime import date

from sqlalchemy import Connection, text

from models.account_day import ACCOUNT_DAY
from models.closings import DayKey

NEIGHBOURS = text("""
select max(day) filter (where day < :day) as earlier, max(day) as newest, coalesce(bool_or(day = :day), false) as is_closed
from day_closings where psp = :psp and account = :account
""")

NEXT_DAY = text(f"""
select {ACCOUNT_DAY.text} as day from payments
where psp = :psp and account = :account and {ACCOUNT_DAY.text} > :after and {ACCOUNT_DAY.text} < :day
order by {ACCOUNT_DAY.text} limit 1
""")  # noqa: S608 - constants


class ClosingOrder:
    """The closed days of an account, and its days with payments between them."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def find_neighbours(self, key: DayKey) -> tuple[date | None, date | None, bool]:
        """The last closed day before this one, the last of all, and whether this one was ever closed."""
        row = self.connection.execute(NEIGHBOURS, asdict(key)).one()
        return row.earlier, row.newest, row.is_closed

    def find_next_day(self, key: DayKey, after: date) -> date | None:
        """The first day after `after` and before this one that has payments."""
        found: date | None = self.connection.scalar(NEXT_DAY, {**asdict(key), "after": after})
        return found
