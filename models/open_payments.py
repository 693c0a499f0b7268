"""Open payments whose time is over: what became of them is to be asked at their PSP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

from models.states import Direction, Method, PaymentState


@dataclass(frozen=True, slots=True)
class OverdueRules:
    """How long an open payment may take, and how often its PSP is asked after that."""

    after_expiry: timedelta  # beyond the expiry that the PSP told
    after_creation: Mapping[Method, timedelta]  # where it told none; Method.UNKNOWN is for methods that are missing
    in_processing: timedelta  # since the last change, whatever its expiry
    share_of_age: float  # not asked again before this part of the payment's age has passed since the last time ...
    shortest_pause: timedelta  # ... which is at least this ...
    longest_pause: timedelta  # ... and at most this


@dataclass(frozen=True, slots=True)
class OpenPayment:
    """A payment that is open, and when it was last seen at its PSP."""

    id: UUID
    psp_payment_id: str
    method: Method
    direction: Direction
    state: PaymentState
    expires_at: datetime | None
    checked_at: datetime | None


OVERDUE = text("""
select p.id, p.psp_payment_id, p.method, p.direction, p.state, p.expires_at, c.checked_at
from payments p left join payment_checks c on c.payment_id = p.id
where p.psp = :psp and p.account = :account and p.state in ('pending', 'processing') and p.psp_payment_id is not null
    and :now >= case
        when p.state = 'processing' then p.updated_at + :in_processing
        when p.expires_at is not null then p.expires_at + :after_expiry
        else coalesce(p.psp_created_at, p.created_at) + make_interval(secs => coalesce(
            cast(cast(:after_creation as jsonb) ->> p.method as float8),
            cast(cast(:after_creation as jsonb) ->> 'unknown' as float8)))
        end
    and (c.checked_at is null or :now >= c.checked_at + least(greatest(
        (:now - coalesce(p.psp_created_at, p.created_at)) * :share_of_age, :shortest_pause), :longest_pause))
order by c.checked_at nulls first, p.created_at, p.id limit :limit
""")


class OpenPayments:
    """Reads open payments; writes nothing. Who asks a PSP remembers it in payment_checks."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def list_overdue(
        self, psp: str, account: str, now: datetime, limit: int, rules: OverdueRules
    ) -> Sequence[OpenPayment]:
        """Those of the account that are overdue and not asked about a moment ago; never seen at the PSP or longest not
        seen there first. One without an id at its PSP is not among them."""
        after_creation = {method.value: time.total_seconds() for method, time in rules.after_creation.items()}
        values = {
            "psp": psp,
            "account": account,
            "now": now,
            "limit": limit,
            "after_expiry": rules.after_expiry,
            "after_creation": orjson.dumps(after_creation).decode(),
            "in_processing": rules.in_processing,
            "share_of_age": rules.share_of_age,
            "shortest_pause": rules.shortest_pause,
            "longest_pause": rules.longest_pause,
        }
        return [_read(*row) for row in self.connection.execute(OVERDUE, values)]


def _read(
    id: UUID,
    psp_payment_id: str,
    method: str,
    direction: str,
    state: str,
    expires_at: datetime | None,
    checked_at: datetime | None,
) -> OpenPayment:
    return OpenPayment(
        id, psp_payment_id, Method(method), Direction(direction), PaymentState(state), expires_at, checked_at
    )
