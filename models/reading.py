"""What people look up: events, payments and their stories. Reads only, by index, in pages."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

EVENTS = """
select id, psp, account, event_key, source, status, reason, attempts, received_at, processed_at, next_attempt_at
from inbox_events
where (cast(:psp as text) is null or psp = :psp) and (cast(:status as text) is null or status = :status)
order by id desc limit :limit
"""

EVENT = """
select e.id, e.psp, e.account, e.event_key, e.source, e.status, e.reason, e.attempts, e.received_at, e.processed_at,
       e.next_attempt_at, e.verified_with, e.decision, p.redacted, encode(p.body_sha256, 'hex') as body_sha256,
       octet_length(p.body) as body_bytes
from inbox_events e left join inbox_payloads p on p.event_id = e.id and p.received_at = e.received_at
where e.id = :id
"""

DECISIONS = """
select t.id, t.payment_id, t.event_id, t.kind, t.from_state, t.to_state, t.outcome, t.reason, t.source,
       t.received_minor, t.refunded_minor, t.occurred_at, t.recorded_at
from transitions t where {condition} order by t.id
"""

PAYMENTS = """
select id, merchant_id, psp, account, psp_payment_id, method, direction, state, amount_minor, received_minor,
       refunded_minor, currency, origin, merchant_reference, created_at, updated_at
from payments
where (cast(:psp as text) is null or psp = :psp) and (cast(:state as text) is null or state = :state)
order by id desc limit :limit
"""

PAYMENT = """
select id, merchant_id, psp, account, psp_payment_id, method, direction, state, amount_minor, received_minor,
       refunded_minor, currency, livemode, origin, merchant_reference, expires_at, crypto_asset, crypto_network,
       crypto_base_units::text as crypto_base_units, crypto_scale, crypto_tx_hash, created_at, updated_at
from payments where id::text = :id or psp_payment_id = :id
"""

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

    def list_events(self, psp: str | None, status: str | None, limit: int) -> list[Row]:
        """Inbox events, the newest first."""
        return self._rows(EVENTS, psp=psp, status=status, limit=limit)

    def get_event(self, event_id: int) -> Row:
        """One inbox event with its decisions. Raises NotFound."""
        return self._one(EVENT, f"event {event_id}", id=event_id) | {
            "decisions": self._rows(DECISIONS.format(condition="t.event_id = :id"), id=event_id)
        }

    def list_payments(self, psp: str | None, state: str | None, limit: int) -> list[Row]:
        """Payments, the newest first."""
        return self._rows(PAYMENTS, psp=psp, state=state, limit=limit)

    def get_payment(self, payment_id: str) -> Row:
        """One payment, by our id or the PSP's, with its transitions, attempts and discrepancies. Raises NotFound."""
        payment = self._one(PAYMENT, f"payment {payment_id}", id=payment_id)
        return payment | {
            "transitions": self._rows(DECISIONS.format(condition="t.payment_id = :id"), id=payment["id"]),
            "attempts": self._rows(ATTEMPTS.format(condition="payment_id = :id"), id=payment["id"]),
            "discrepancies": self._rows(DISCREPANCIES, id=payment["id"]),
        }

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
