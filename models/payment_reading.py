"""What the console asks about payments: lists a page at a time, and the story of one of them. By index, and never without a limit."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from models.console_reading import LARGEST_ID
from models.engine import look_up_only
from models.reading import ATTEMPTS, DECISIONS, Reader, Row

MOST_LOOKED_AT = 20_000  # payments, for one page: the next goes on where this one stopped
MOST_OF_PAYMENT = 200  # decisions and calls of one payment, for one page

COLUMNS = "id, psp, psp_payment_id, method, state, amount_minor, received_minor, refunded_minor, currency, created_at"

# Ids begin with their time. A filter that nothing fits ends after so many rows.
PAGE = f"""
select {COLUMNS} from (
    select * from payments where cast(:before as uuid) is null or id < :before order by id desc limit :most) p
where (cast(:psp as text) is null or psp = :psp) and (cast(:state as text) is null or state = :state)
order by id desc limit :limit
"""  # noqa: S608 - constants
REACH = """
select id as last, created_at as back_to from payments where id = (
    select id from payments where cast(:before as uuid) is null or id < :before order by id desc offset :most - 1 limit 1)
"""

# The newest of each merchant, by the index that begins with the merchant: in some states there is nothing for months.
IN_STATE = f"""
select {COLUMNS} from (select p.* from merchants m cross join lateral (
    select * from payments where merchant_id = m.id and state = :state
        and (cast(:before as uuid) is null
             or (created_at, id) < ((select created_at from payments where id = :before), :before))
    order by created_at desc, id desc limit :limit) p) found
order by created_at desc, id desc limit :limit
"""  # noqa: S608 - constants

DECIDED = DECISIONS.format(condition="t.payment_id = :id and t.id < :before order by t.id desc limit :limit")
CALLED = ATTEMPTS.format(condition="payment_id = :id and (cast(:before as uuid) is null or id < :before)")
CALLED = f"{CALLED} desc limit :limit"


@dataclass(frozen=True, slots=True)
class PaymentPage:
    """A page of payments, the newest first. `older` is where the next page begins: None if there is none. `back_to` is told
    where a page is short and not the last: everything that was made since then (aware UTC) was looked at."""

    rows: list[Row]
    older: UUID | None
    back_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class PaymentReader:
    """Look-ups over one connection; rows are plain dictionaries."""

    connection: Connection

    def list_page(
        self, psp: str | None, state: str | None, limit: int, before: UUID | None = None, most: int = MOST_LOOKED_AT
    ) -> PaymentPage:
        """Those that are wanted before an id; with a PSP, of the `most` newest. Such a page may be short and not be the last."""
        look_up_only(self.connection)
        if state and not psp:
            rows = self._rows(IN_STATE, state=state, before=before, limit=limit)
            return PaymentPage(rows, rows[-1]["id"] if len(rows) == limit else None)
        rows = self._rows(PAGE, psp=psp, state=state, before=before, limit=limit, most=most)
        if len(rows) == limit:
            return PaymentPage(rows, rows[-1]["id"])
        reach = self._rows(REACH, before=before, most=most)
        return PaymentPage(rows, reach[0]["last"], reach[0]["back_to"]) if reach else PaymentPage(rows, None)

    def get(
        self, payment_id: str, before: int = LARGEST_ID, before_call: UUID | None = None, limit: int = MOST_OF_PAYMENT
    ) -> Row:
        """One payment, by our id or the PSP's, with the newest of its `transitions` before an id and of its `attempts` before
        one, in the order of their ids; `older` and `older_call` say where those before begin, None if there are none.
        Raises NotFound."""
        payment = Reader(self.connection).find_payment(payment_id)
        look_up_only(self.connection)
        values = {"id": payment["id"], "limit": limit + 1}
        decisions = self._rows(DECIDED, **values, before=before)
        calls = self._rows(CALLED, **values, before=before_call)
        return payment | {
            "transitions": decisions[:limit][::-1],
            "older": decisions[limit - 1]["id"] if len(decisions) > limit else None,
            "attempts": calls[:limit][::-1],
            "older_call": calls[limit - 1]["id"] if len(calls) > limit else None,
        }

    def _rows(self, query: str, **values: Any) -> list[Row]:
        return [dict(row) for row in self.connection.execute(text(query), values).mappings()]
