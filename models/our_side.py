"""Our payments as reconciliation compares them: by the PSP's ids, by their own reference, and those of a day that a run
has not found at the PSP."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from models.account_day import ACCOUNT_DAY


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
    psp_created_at: datetime | None
    operating_day: date | None
    account_day: date
    created_at: datetime
    updated_at: datetime


COLUMNS = f"""p.id, p.psp_payment_id, p.state, p.method, p.direction, p.origin, p.amount_minor, p.received_minor,
       p.refunded_minor, p.fee_minor, p.currency, p.livemode, p.clabe, p.merchant_reference, p.expires_at,
       p.psp_created_at, p.operating_day,
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

# What a run over these days should have found at the PSP and did not. A payment without a PSP id is not there yet, and
# one that we have learnt of since the run began was told by the run itself.
UNSEEN = text(f"""
select {COLUMNS} from payments p
where p.psp = :psp and p.account = :account and p.psp_payment_id is not null
    and {ACCOUNT_DAY.text} between :first_day and :last_day
    and ({ACCOUNT_DAY.text}, p.id) > (:after_day, :after_id)
    and coalesce(p.psp_created_at, p.created_at) < :before and p.created_at < :started_at
    and (cast(:since as timestamptz) is null or coalesce(p.psp_created_at, p.created_at) >= :since)
    and not exists (select from payment_checks c where c.payment_id = p.id and c.run_id = :run_id)
order by {ACCOUNT_DAY.text}, p.id limit :limit
""")  # noqa: S608


# No state and no money: the day in the books of a payment whose webhooks did not tell it.
FILL = text("""
update payments p set psp_created_at = coalesce(p.psp_created_at, t.made_at),
    operating_day = coalesce(p.operating_day, t.operating_day)
from unnest(cast(:ids as uuid[]), cast(:made as timestamptz[]), cast(:days as date[])) as t (id, made_at, operating_day)
where p.id = t.id and (p.psp_created_at is null or p.operating_day is null)
""")


class OurSide:
    """Reads payments in sets, and fills in what only the PSP's list has told."""

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

    def fill(self, told: Sequence[tuple[UUID, datetime | None, date | None]]) -> None:
        """When these payments were made and their operating dates, where we were never told."""
        if told:
            ids, made, days = (list(column) for column in zip(*sorted(told, key=lambda one: one[0]), strict=True))
            self.connection.execute(FILL, {"ids": ids, "made": made, "days": days})

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
            "started_at": run.started_at,
            "after_day": after[0],
            "after_id": after[1],
            "limit": limit,
        }
        return [Ours(**row) for row in self.connection.execute(UNSEEN, values).mappings()]
