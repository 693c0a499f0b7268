"""A merchant's payments: read one, list and search, tell their story, sum them up. Every statement names the merchant."""

from collections import defaultdict
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from models.reading import NotFound, Row
from models.search import make_needle, make_tokens

Rows = list[Row]
Conditions = list[str]
Cursor = tuple[datetime, UUID]  # created_at and id of the last payment of a page

CIVIL_ZONE = "America/Mexico_City"

COLUMNS = """p.id, p.psp, p.account, p.psp_payment_id, p.method, p.direction, p.state, p.amount_minor, p.received_minor,
    p.refunded_minor, p.currency, p.livemode, p.origin, p.merchant_reference, p.description, p.payer_reference, p.clabe,
    p.expires_at, p.crypto_asset, p.crypto_network, p.crypto_base_units::text as crypto_base_units, p.crypto_scale,
    p.crypto_tx_hash, p.version, p.created_at, p.updated_at"""

GET = f"""
select {COLUMNS}, a.id as attempt_id, a.status as attempt_status, a.error_code as attempt_error_code, a.instructions
from payments p left join lateral (
    select id, status, error_code, instructions from attempts
    where payment_id = p.id and operation = 'create' order by id desc limit 1) a on true
where p.merchant_id = :merchant_id and p.id = :id
"""  # noqa: S608 - constants

LIST = "select {columns} from {source} p where {conditions} order by p.created_at desc, p.id desc limit :limit"

# The newest ones, among which everything that is in many payments is found soonest.
LATEST = "(select * from payments p where {conditions} order by p.created_at desc, p.id desc limit :latest)"

# Looked up for one payment after the other, in their order, for as long as the page is not full.
IS_SOUGHT = """position(:needle in (
    select s.document from payment_search s where s.merchant_id = :merchant_id and s.payment_id = p.id)) > 0"""

FIND = "select find_payments(cast(:wanted as integer[]), :needle, :most) as id"

IS_FOUND = "p.id = any(:ids)"

LOOKED_AT = 5  # so many payments for each that a page has are looked at before the index is asked
FEW = 1000  # beyond, a page is filled sooner by looking at one payment after the other

CONDITIONS = {
    "state": "p.state = :state",
    "method": "p.method = :method",
    "psp": "p.psp = :psp",
    "currency": "p.currency = :currency",
    "created_from": "p.created_at >= :created_from",
    "created_to": "p.created_at < :created_to",
    "amount_min": "p.amount_minor >= :amount_min",
    "amount_max": "p.amount_minor <= :amount_max",
}

AFTER = "(p.created_at, p.id) < (:cursor_at, :cursor_id)"

IS_THERE = "select id from payments where merchant_id = :merchant_id and id = :id"

TRANSITIONS = """
select t.id, t.event_id, t.ordinal, t.kind, t.from_state, t.to_state, t.outcome, t.reason, t.source, t.received_minor,
       t.refunded_minor, t.occurred_at, t.recorded_at
from payments p join transitions t on t.payment_id = p.id
where p.merchant_id = :merchant_id and p.id = :id order by t.id
"""

ATTEMPT_COLUMNS = """a.id, a.payment_id, a.operation, a.amount_minor, a.status, a.error_code, a.error_message, a.psp_ref,
    a.instructions, a.created_at, a.first_sent_at, a.last_sent_at, a.settled_at"""

ATTEMPTS = f"""
select {ATTEMPT_COLUMNS} from payments p join attempts a on a.payment_id = p.id
where p.merchant_id = :merchant_id and p.id = :id order by a.id
"""  # noqa: S608 - constants

ATTEMPT = f"""
select {ATTEMPT_COLUMNS} from attempts a join payments p on p.id = a.payment_id
where p.merchant_id = :merchant_id and a.id = :id
"""  # noqa: S608 - constants

NOTIFICATIONS = """
select id, sequence, event_type, created_at from notifications
where merchant_id = :merchant_id and payment_id = :id order by sequence
"""

DELIVERIES = """
select d.notification_id, d.endpoint_id, d.status, d.attempts as tries, d.next_attempt_at, d.last_status, d.created_at,
       d.settled_at
from notifications n join notification_deliveries d on d.notification_id = n.id
where n.merchant_id = :merchant_id and n.payment_id = :id and d.merchant_id = :merchant_id
order by n.sequence, d.endpoint_id
"""

CALLS = """
select c.notification_id, c.endpoint_id, c.number, c.sent_at, c.status, c.error, c.latency_ms
from notifications n join notification_attempts c on c.notification_id = n.id
where n.merchant_id = :merchant_id and n.payment_id = :id and c.merchant_id = :merchant_id
order by c.id
"""

SUM_UP = """
select (p.created_at at time zone :zone)::date as day, p.state, p.method, p.direction, p.currency, p.livemode,
       count(*) as count, coalesce(sum(p.amount_minor), 0)::bigint as amount_minor,
       sum(p.received_minor)::bigint as received_minor, sum(p.refunded_minor)::bigint as refunded_minor
from payments p
where p.merchant_id = :merchant_id and p.created_at >= :start and p.created_at < :end
group by 1, 2, 3, 4, 5, 6 order by 1, 2, 3, 4, 5, 6
"""


@dataclass(frozen=True, slots=True)
class PaymentFilters:
    """What listed payments have in common; None: anything. Times and amounts are of creation and in minor units, from
    `created_from` to before `created_to` and from `amount_min` to `amount_max` inclusive."""

    state: str | None = None
    method: str | None = None
    psp: str | None = None
    currency: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    amount_min: int | None = None
    amount_max: int | None = None
    search: str | None = None

    def given(self) -> dict[str, Any]:
        """Those that are set, by their names."""
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}


@dataclass(frozen=True, slots=True)
class Timeline:
    """The story of a payment, each list in its order. A notification has its `deliveries`, a delivery its `calls`."""

    transitions: Rows
    attempts: Rows
    notifications: Rows


@dataclass(frozen=True, slots=True)
class MerchantPayments:
    """Payments as one merchant sees them; of others' there is none. Rows are plain dictionaries."""

    connection: Connection
    merchant_id: UUID

    def get(self, payment_id: UUID) -> Row:
        """One payment, with id, status, error code and instructions of the attempt that made it at the PSP, where there
        was one. Raises NotFound."""
        return self._one(GET, f"payment {payment_id}", id=payment_id)

    def list(self, filters: PaymentFilters, cursor: Cursor | None, limit: int) -> Rows:
        """A page of payments, the newest first, after the cursor. Raises NeedleTooShort."""
        values: dict[str, Any] = filters.given() | {"limit": limit}
        search = values.pop("search", None)
        conditions = ["p.merchant_id = :merchant_id", *(CONDITIONS[name] for name in CONDITIONS if name in values)]
        if cursor is not None:
            conditions.append(AFTER)
            values["cursor_at"], values["cursor_id"] = cursor
        if search is None:
            return self._list("payments", conditions, values)
        return self._search(make_needle(search), conditions, values)

    def _search(self, needle: str, conditions: Conditions, values: dict[str, Any]) -> Rows:
        """A needle that is in many payments fills a page soon, and the index is for one that is in few."""
        values |= {"needle": needle, "latest": LOOKED_AT * values["limit"]}
        latest = LATEST.format(conditions=" and ".join(conditions))
        page = self._list(latest, [IS_SOUGHT], values)
        if len(page) == values["limit"]:
            return page
        wanted = make_tokens(self.merchant_id, needle)
        ids = [row["id"] for row in self._rows(FIND, wanted=wanted, needle=needle, most=FEW)]
        if len(ids) == FEW:
            return self._list("payments", [*conditions, IS_SOUGHT], values)
        return self._list("payments", [*conditions, IS_FOUND], values | {"ids": ids})

    def _list(self, source: str, conditions: Conditions, values: dict[str, Any]) -> Rows:
        query = LIST.format(columns=COLUMNS, source=source, conditions=" and ".join(conditions))
        return self._rows(query, **values)

    def timeline(self, payment_id: UUID) -> Timeline:
        """Everything that was decided, asked and told about a payment. Raises NotFound."""
        self._one(IS_THERE, f"payment {payment_id}", id=payment_id)
        transitions, attempts = self._rows(TRANSITIONS, id=payment_id), self._rows(ATTEMPTS, id=payment_id)
        notifications = self._rows(NOTIFICATIONS, id=payment_id)
        if notifications:
            calls = _group(self._rows(CALLS, id=payment_id), "notification_id", "endpoint_id")
            deliveries = self._rows(DELIVERIES, id=payment_id)
            for one in deliveries:
                one["calls"] = calls[one["notification_id"], one["endpoint_id"]]
            sent = _group(deliveries, "notification_id")
            for one in notifications:
                one["deliveries"] = sent[one["id"],]
        return Timeline(transitions, attempts, notifications)

    def sum_up(self, start: datetime, end: datetime, zone: str = CIVIL_ZONE) -> Rows:
        """Count and sums of the payments made from `start` to before `end`, by the civil day in `zone` of their making,
        state, method, direction, currency and live or test mode. Whoever asks bounds the time."""
        return self._rows(SUM_UP, start=start, end=end, zone=zone)

    def attempt_of(self, attempt_id: UUID) -> Row:
        """One thing that was asked of a PSP about a payment of this merchant. Raises NotFound."""
        return self._one(ATTEMPT, f"attempt {attempt_id}", id=attempt_id)

    def _rows(self, query: str, **values: Any) -> Rows:
        found = self.connection.execute(text(query), {"merchant_id": self.merchant_id, **values})
        return [dict(row) for row in found.mappings()]

    def _one(self, query: str, what: str, **values: Any) -> Row:
        rows = self._rows(query, **values)
        if not rows:
            raise NotFound(f"there is no {what}")
        return rows[0]


def _group(rows: Rows, *names: str) -> dict[tuple[UUID, ...], Rows]:
    groups: dict[tuple[UUID, ...], Rows] = defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in names)].append(row)
    return groups
