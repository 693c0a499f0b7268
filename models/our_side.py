"""Our payments as reconciliation compares them: by the PSP's ids, by their own reference, and those of a day that a run
has not found at the PSP."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from models.tables import ACCOUNT_DAY


@dataclass(frozen=True, slots=True)
class Ours:
    """One payment as we have it."""

    id: UUID
    psp_payment_id: str | None
    state: str
    method: str
    direction: str
    origin: str
    amount_minor: int | None
    received_minor: int
    refunded_minor: int
    fee_minor: int | None
    currency: str | None
    livemode: bool
    clabe: str | None
    merchant_reference: str | None
    expires_at: datetime | None
    operating_day: date | None
    account_day: date
    created_at: datetime
    updated_at: datetime


COLUMNS = f"""p.id, p.psp_payment_id, p.state, p.method, p.direction, p.origin, p.amount_minor, p.received_minor,
       p.refunded_minor, p.fee_minor, p.currency, p.livemode, p.clabe, p.merchant_reference, p.expires_at, p.operating_day,
       {ACCOUNT_DAY.text} as account_day, p.created_at, p.updated_at"""

BY_PSP_ID = text(f"""
select {COLUMNS} from payments p
where p.psp = :psp and p.account = :account and p.psp_payment_id = any(:keys)
""")  # noqa: S608 - constants

BY_REFERENCE = text(f"""
select r.psp_ref as key, {COLUMNS} from payment_references r join payments p on p.id = r.payment_id
where r.psp = :psp and r.account = :account and r.psp_ref = any(:keys)
""")  # noqa: S608

BY_ID = text(f"select {COLUMNS} from payments p where p.id = any(:keys)")  # noqa: S608

# What a run over these days should have found at the PSP and did not. A payment without a PSP id is not there yet.
UNSEEN = text(f"""
select {COLUMNS} from payments p
where p.psp = :psp and p.account = :account and p.psp_payment_id is not null
    and {ACCOUNT_DAY.text} between :first_day and :last_day
    and ({ACCOUNT_DAY.text}, p.id) > (:after_day, :after_id)
    and coalesce(p.psp_created_at, p.created_at) < :before
    and (cast(:since as timestamptz) is null or coalesce(p.psp_created_at, p.created_at) >= :since)
    and not exists (select from payment_checks c where c.payment_id = p.id and c.run_id = :run_id)
order by {ACCOUNT_DAY.text}, p.id limit :limit
""")  # noqa: S608


class OurSide:
    """Reads payments in sets; writes nothing."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def find_by_psp_id(self, psp: str, account: str, keys: Collection[str]) -> dict[str, Ours]:
        """By the PSP's payment ids."""
        if not keys:
            return {}
        rows = self.connection.execute(BY_PSP_ID, {"psp": psp, "account": account, "keys": list(keys)}).mappings()
        return {row["psp_payment_id"]: Ours(**row) for row in rows}

    def find_by_reference(self, psp: str, account: str, keys: Collection[str]) -> dict[str, Ours]:
        """By other PSP ids, or by our own reference behind models.requests.OWN."""
        if not keys:
            return {}
        rows = self.connection.execute(BY_REFERENCE, {"psp": psp, "account": account, "keys": list(keys)}).mappings()
        return {row["key"]: Ours(**{name: row[name] for name in Ours.__slots__}) for row in rows}

    def find_by_id(self, ids: Collection[UUID]) -> dict[UUID, Ours]:
        """By our own ids."""
        if not ids:
            return {}
        return {row["id"]: Ours(**row) for row in self.connection.execute(BY_ID, {"keys": list(ids)}).mappings()}

    def list_unseen(
        self,
        run: Any,
        days: tuple[date, date],
        since: datetime | None,
        before: datetime,
        after: tuple[date, UUID],
        limit: int,
    ) -> Sequence[Ours]:
        """Payments of these account days (both included), made in [since, before), that the run has not found; in order
        of (day, id), those after `after`. `run` is a models.reconciliations.Run."""
        values = {
            "psp": run.psp,
            "account": run.account,
            "run_id": run.id,
            "first_day": days[0],
            "last_day": days[1],
            "since": since,
            "before": before,
            "after_day": after[0],
            "after_id": after[1],
            "limit": limit,
        }
        return [Ours(**row) for row in self.connection.execute(UNSEEN, values).mappings()]
