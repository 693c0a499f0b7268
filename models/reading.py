"""What people look up: events, payments and their stories. Reads only, by index, in pages."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from models.engine import look_up_only
from models.queues import MOST_COUNTED
from models.states import InboxStatus

EVENTS = """
select id, psp, account, event_key, source, status, reason, attempts, received_at, processed_at, next_attempt_at
from {source} where (cast(:psp as text) is null or psp = :psp) and (cast(:before as bigint) is null or id < :before)
order by id desc limit :limit
"""

ALL_EVENTS = EVENTS.format(source="inbox_events")
IN_STATUS = EVENTS.format(source="(select * from inbox_events where status = :status) e")
# The index of what is unfinished has another order. `offset 0` keeps the planner from looking for it among all that is stored.
UNFINISHED = EVENTS.format(source="(select * from inbox_events where status = :status offset 0) e")

# The index of keys begins with PSP and account, of which there are few.
BY_KEY = """
select e.id, e.psp, e.account, e.event_key, e.source, e.status, e.reason, e.attempts, e.received_at, e.processed_at, e.next_attempt_at
from unnest(cast(:psps as text[]), cast(:accounts as text[])) as a (psp, account)
join inbox_events e on (e.psp, e.account, e.event_key) = (a.psp, a.account, :key) order by e.id desc
"""

# Of the newest, so that it takes as long with a million of them.
PARKED = """
with few as materialized (
    select psp, reason, received_at from inbox_events where status = 'parked' order by id desc limit :most)
select psp, reason, count(*) as count, min(received_at) as oldest, max(received_at) as newest,
       (select count(*) = :most from few) as is_least
from few group by psp, reason order by count(*) desc, psp, reason limit :limit
"""

PARKED_FOR = """
select id from inbox_events where status = 'parked' and psp = :psp and reason = :reason order by id limit :limit
"""

ERASED_PAYLOAD = "a person was erased from its payload"
EVENT = f"""
select e.id, e.psp, e.account, e.event_key, e.source, e.status, e.reason, e.attempts, e.received_at, e.processed_at,
       e.next_attempt_at, e.lease_until, e.verified_with, e.decision, p.redacted, encode(p.body_sha256, 'hex') as body_sha256,
       octet_length(p.body) as body_bytes, p.key_id as sealed_with,
       case when p.event_id is null then 'its payload was dropped by retention'
            when p.erased_at is not null then '{ERASED_PAYLOAD}' else 'stored' end as payload
from inbox_events e left join inbox_payloads p on p.event_id = e.id and p.received_at = e.received_at
where e.id = :id
"""  # noqa: S608 - constants

DECISIONS = """
select t.id, t.payment_id, t.event_id, t.kind, t.from_state, t.to_state, t.outcome, t.reason, t.source,
       t.received_minor, t.refunded_minor, t.occurred_at, t.recorded_at
from transitions t where {condition}
"""

OF_PAYMENT = DECISIONS.format(condition="t.payment_id = :id") + "order by t.id"

# One part for each partial index.
OF_EVENT = f"""
{DECISIONS.format(condition="t.event_id = :id and t.outcome <> 'UNMATCHED'")}
union all {DECISIONS.format(condition="t.event_id = :id and t.outcome = 'UNMATCHED'")}
order by id
"""

PAYMENTS = """
select id, merchant_id, psp, account, psp_payment_id, method, direction, state, amount_minor, received_minor,
       refunded_minor, currency, origin, merchant_reference, created_at, updated_at
from {source} where cast(:psp as text) is null or psp = :psp order by id desc limit :limit
"""

ALL = PAYMENTS.format(source="payments")

# The newest of each merchant, by the index that begins with the merchant: in some states there is nothing for months.
IN_STATE = PAYMENTS.format(
    source="""(select p.* from merchants m cross join lateral (
        select * from payments
        where merchant_id = m.id and state = :state and (cast(:psp as text) is null or psp = :psp)
        order by created_at desc, id desc limit :limit) p) found"""
)

PAYMENT = """
select id, merchant_id, psp, account, psp_payment_id, method, direction, state, amount_minor, received_minor,
       refunded_minor, currency, livemode, origin, merchant_reference, expires_at, crypto_asset, crypto_network,
       crypto_base_units::text as crypto_base_units, crypto_scale, crypto_tx_hash, created_at, updated_at
from payments where {condition}
"""

BY_ID = PAYMENT.format(condition="id = :id")

# The index of PSPs' ids begins with PSP and account: it is asked for each account, of which there are few, and every payment
# is spared an index of its own for a look-up that only people make.
BY_PSP_ID = f"""
with recursive accounts as (
    (select psp, account from payments order by psp, account limit 1)
    union all
    select next.psp, next.account from accounts a cross join lateral (
        select p.psp, p.account from payments p where (p.psp, p.account) > (a.psp, a.account)
        order by p.psp, p.account limit 1) next
)
select found.* from accounts a cross join lateral (
    {PAYMENT.format(condition="(payments.psp, payments.account, psp_payment_id) = (a.psp, a.account, :id)")}
) found
"""  # noqa: S608 - constants

ATTEMPTS = """
select id, payment_id, operation, status, amount_minor, sends, queries, error_code, error_message, psp_ref, instructions,
       event_id, created_at, first_sent_at, last_sent_at, next_attempt_at, settled_at
from attempts where {condition} order by id
"""

DISCREPANCIES = """
select id, event_id, kind, ours, theirs, opened_at, closed_at, closed_reason from discrepancies
where payment_id = :id order by id
"""


class NotFound(Exception):
    """There is no such event or payment."""


Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reader:
    """Look-ups over one connection; rows are plain dictionaries in the order of their columns."""

    connection: Connection

    def list_events(self, psp: str | None, status: str | None, limit: int, before: int | None = None) -> list[Row]:
        """Inbox events, the newest first; of those before an id where it is given."""
        if status is None:
            return self._rows(ALL_EVENTS, psp=psp, limit=limit, before=before)
        look_up_only(self.connection)
        is_unfinished = status in (InboxStatus.RECEIVED, InboxStatus.HINT)
        query = UNFINISHED if is_unfinished else IN_STATUS
        return self._rows(query, psp=psp, status=status, limit=limit, before=before)

    def find_events(self, key: str, accounts: Collection[tuple[str, str]]) -> list[Row]:
        """Events with this key at one of these (psp, account)."""
        return self._rows(BY_KEY, key=key, psps=[psp for psp, _ in accounts], accounts=[name for _, name in accounts])

    def group_parked(self, limit: int, most: int = MOST_COUNTED) -> list[Row]:
        """Of the `most` newest that were set aside, by PSP and reason, the most first; `is_least` where there may be more."""
        look_up_only(self.connection)
        return self._rows(PARKED, limit=limit, most=most)

    def list_parked_for(self, psp: str, reason: str, limit: int) -> list[int]:
        """The ids of one such group, the oldest first."""
        look_up_only(self.connection)
        return [row["id"] for row in self._rows(PARKED_FOR, psp=psp, reason=reason, limit=limit)]

    def get_event(self, event_id: int) -> Row:
        """One inbox event with its decisions. Raises NotFound."""
        return self._one(EVENT, f"event {event_id}", id=event_id) | {"decisions": self._rows(OF_EVENT, id=event_id)}

    def list_payments(self, psp: str | None, state: str | None, limit: int) -> list[Row]:
        """Payments, the newest first."""
        if state is None:
            return self._rows(ALL, psp=psp, limit=limit)
        return self._rows(IN_STATE, psp=psp, state=state, limit=limit)

    def get_payment(self, payment_id: str) -> Row:
        """One payment, by our id or the PSP's, with its transitions, attempts and discrepancies. Raises NotFound."""
        payment = self.find_payment(payment_id)
        return payment | {
            "transitions": self._rows(OF_PAYMENT, id=payment["id"]),
            "attempts": self._rows(ATTEMPTS.format(condition="payment_id = :id"), id=payment["id"]),
            "discrepancies": self._rows(DISCREPANCIES, id=payment["id"]),
        }

    def find_payment(self, payment_id: str) -> Row:
        """One payment alone, by our id or the PSP's: some PSPs' ids are UUIDs too. Raises NotFound."""
        with suppress(ValueError):
            if rows := self._rows(BY_ID, id=UUID(payment_id)):
                return rows[0]
        return self._one(BY_PSP_ID, f"payment {payment_id}", id=payment_id)

    def get_payment_id(self, payment_id: str) -> UUID:
        """Our id of a payment, by our id or the PSP's. Raises NotFound."""
        found: UUID = self.find_payment(payment_id)["id"]
        return found

    def get_attempt(self, attempt_id: UUID) -> Row:
        """One attempt. Raises NotFound."""
        return self._one(ATTEMPTS.format(condition="id = :id"), f"attempt {attempt_id}", id=attempt_id)

    def _rows(self, query: str, **values: Any) -> list[Row]:
        return [dict(row) for row in self.connection.execute(text(query), values).mappings()]

    def _one(self, query: str, what: str, **values: Any) -> Row:
        rows = self._rows(query, **values)
        if not rows:
            raise NotFound(f"there is no {what}")
        return rows[0]
