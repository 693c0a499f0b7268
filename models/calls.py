"""What the callers of PSPs share: whose turn it is, and which keys were used last."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

TAKE_TURN = text("""
insert into call_turns as t (psp, account, tokens, refilled_at)
values (:psp, :account, cast(:burst as float) - 1, clock_timestamp())
on conflict (psp, account) do update set refilled_at = clock_timestamp(), tokens = least(:burst, t.tokens
    + extract(epoch from clock_timestamp() - t.refilled_at)::float * :rate) - 1
where least(:burst, t.tokens + extract(epoch from clock_timestamp() - t.refilled_at)::float * :rate) >= 1
""")

COUNT_KEY_USES = text("""
insert into key_uses as k (psp, account, label, last_used_at, last_event_id)
select psp, account, verified_with, max(received_at), max(id) from inbox_events
where id > (select coalesce(max(last_event_id), 0) from key_uses) and verified_with is not null
group by psp, account, verified_with
on conflict (psp, account, label) do update
set last_used_at = greatest(k.last_used_at, excluded.last_used_at),
    last_event_id = greatest(k.last_event_id, excluded.last_event_id)
""")

KEY_USES = text("select psp, account, label, last_used_at from key_uses")


@dataclass(frozen=True, slots=True)
class CallRepository:
    """The token buckets and the key uses."""

    connection: Connection

    def take_turn(self, psp: str, account: str, rate: float, burst: float) -> bool:
        """Take one token of the account's bucket, which gets `rate` of them a second up to `burst`. False: it is empty."""
        values = {"psp": psp, "account": account, "rate": rate, "burst": burst}
        return self.connection.execute(TAKE_TURN, values).rowcount == 1

    def count_key_uses(self) -> dict[tuple[str, str, str], datetime]:
        """When each (psp, account, key label) last verified a delivery; looks at events that came since the last time."""
        self.connection.execute(COUNT_KEY_USES)
        return {(r.psp, r.account, r.label): r.last_used_at for r in self.connection.execute(KEY_USES)}
