"""What events wait for: the PSP ids by which they would find a payment that was not known yet."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from models.payments import PspReference
from models.rows import to_json

WAITING = "waiting for its payment"  # the reason of an event that is put off until then


@dataclass(frozen=True, slots=True)
class WaitingReference:
    """An event and one PSP id that would lead it to its payment."""

    psp: str
    account: str
    psp_ref: str
    event_id: int


ADD = text("""
insert into waiting_references (psp, account, psp_ref, event_id)
select psp, account, psp_ref, event_id from json_to_recordset(cast(:rows as json)) as t (
    psp text, account text, psp_ref text, event_id bigint)
order by psp, account, psp_ref, event_id
on conflict (psp, account, psp_ref, event_id) do update set event_id = excluded.event_id -- locked, so that who takes it waits for us
""")

TAKE = text("""
delete from waiting_references w using json_to_recordset(cast(:rows as json)) as r (
    psp text, account text, psp_ref text, payment_id uuid)
where (w.psp, w.account, w.psp_ref) = (r.psp, r.account, r.psp_ref)
returning w.event_id
""")

FIND = text("""
select w.event_id from json_to_recordset(cast(:rows as json)) as r (psp text, account text, psp_ref text, payment_id uuid)
join waiting_references w on (w.psp, w.account, w.psp_ref) = (r.psp, r.account, r.psp_ref)
""")

TAKE_KNOWN = text("""
delete from waiting_references w using payment_references r
where (w.psp, w.account, w.psp_ref) = (r.psp, r.account, r.psp_ref)
returning w.event_id
""")


DISMISS = text("""
update inbox_events set status = 'ignored', reason = 'dismissed' where id = any(:ids) and status = 'parked' returning id
""")

FORGET = text("delete from waiting_references where event_id = any(:ids)")

HURRY = text("""
update inbox_events set next_attempt_at = :now
where id = any(:ids) and processed_at is null and status <> 'hint' and next_attempt_at > :now and lease_until is null
""")


class WaitingRepository:
    """Events that wait, or were parked, because nothing led to their payment."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def add(self, waiting: Sequence[WaitingReference]) -> None:
        """Remember what events wait for."""
        if waiting:
            self.connection.execute(ADD, {"rows": to_json(waiting)})

    def take(self, references: Sequence[PspReference], now: datetime) -> list[int]:
        """The events that waited for one of these references, which are known now; nobody gets them again. Those that were not
        parked yet are due at once."""
        if not references:
            return []
        return self._hurry(self.connection.scalars(TAKE, {"rows": to_json(references)}), now)

    def find(self, references: Sequence[PspReference]) -> set[int]:
        """The events that `take` would give, left where they are."""
        return set(self.connection.scalars(FIND, {"rows": to_json(references)})) if references else set()

    def take_known(self, now: datetime) -> list[int]:
        """The same for every reference that is known by now: for what a race between two workers left behind."""
        return self._hurry(self.connection.scalars(TAKE_KNOWN), now)

    def dismiss(self, ids: Sequence[int]) -> list[int]:
        """Have parked events wait for nothing any more; the ids that were. They can still be replayed."""
        dismissed = list(self.connection.scalars(DISMISS, {"ids": list(ids)}))
        self.connection.execute(FORGET, {"ids": dismissed})
        return dismissed

    def _hurry(self, found: Iterable[int], now: datetime) -> list[int]:
        ids = sorted(set(found))
        if ids:
            self.connection.execute(HURRY, {"ids": ids, "now": now})
        return ids
