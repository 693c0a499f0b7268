"""Events that wait for their payment to be fetched: claimed one at a time, account by account."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from models.work import ClaimedEvent, WorkRepository

# At most `most` fetches of one account are under way at a time, so that a PSP which hangs holds few workers.
CLAIM = text("""
update inbox_events set attempts = least(attempts + 1, 1000), lease_until = :until, lease_token = :token, fetch_until = :until
where id = (
    select id from inbox_events
    where status = 'hint' and psp = :psp and account = :account and next_attempt_at <= :now
        and (lease_until is null or lease_until < :now)
        and (select count(*) from inbox_events where psp = :psp and account = :account and fetch_until >= :now) < :most
    order by next_attempt_at limit 1 for update skip locked)
returning id
""")

DUE_ACCOUNTS = text("""
select psp, account from inbox_events
where status = 'hint' and next_attempt_at <= :now and (lease_until is null or lease_until < :now)
group by psp, account
""")


LAST_ANSWER = text("""
select e.content_digest from payments p
join transitions t on t.payment_id = p.id and t.source in ('fetch', 'submission')
join inbox_events e on e.id = t.event_id
where (p.psp, p.account, p.psp_payment_id) = (:psp, :account, :psp_payment_id)
order by t.id desc limit 1
""")

GIVE_BACK = text("""
update inbox_events set status = 'received', attempts = 0, next_attempt_at = :now, lease_until = null, lease_token = null,
    fetch_until = null
where id = :id and lease_token = :token
""")


class HintRepository:
    """Hints as work. They are finished and postponed like other events (models.work)."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def claim_next(
        self, psp: str, account: str, token: UUID, now: datetime, until: datetime, most: int
    ) -> ClaimedEvent | None:
        """Take the lease of the hint that has been due longest; None where none is due or `most` are under way."""
        values: dict[str, Any] = {"psp": psp, "account": account, "token": token, "now": now, "until": until}
        taken = self.connection.execute(CLAIM, values | {"most": most}).scalar()
        claimed = WorkRepository(self.connection).list_claimed([taken], token) if taken is not None else []
        return claimed[0] if claimed else None

    def find_last_digest(self, psp: str, account: str, psp_payment_id: str | None) -> bytes | None:
        """The content digest of the PSP's own answer that was applied last to this payment."""
        values = {"psp": psp, "account": account, "psp_payment_id": psp_payment_id}
        digest = self.connection.execute(LAST_ANSWER, values).scalar()
        return bytes(digest) if digest is not None else None

    def give_back(self, event_id: int, token: UUID, now: datetime) -> None:
        """It is no hint after all: those who apply events shall read it again."""
        self.connection.execute(GIVE_BACK, {"id": event_id, "token": token, "now": now})

    def list_due_accounts(self, now: datetime) -> list[tuple[str, str]]:
        """(psp, account) of those with a hint whose time has come and that nobody works on."""
        return [(row.psp, row.account) for row in self.connection.execute(DUE_ACCOUNTS, {"now": now})]
