"""Attempts: what PSPs are asked to do, written down before they are asked, and the answer after."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, TextClause, text

from models.search import AGAIN
from models.states import AttemptStatus, Operation
from models.work import LeaseLost

AccountKey = tuple[str, str]  # psp, account


@dataclass(frozen=True, slots=True)
class ClaimedAttempt:
    """One attempt under our lease."""

    id: UUID
    payment_id: UUID
    psp: str
    account: str
    operation: Operation
    idempotency_key: str
    request: dict[str, Any]
    status: AttemptStatus
    generation: int
    baseline_minor: int | None
    sends: int
    queries: int
    first_sent_at: datetime | None
    last_sent_at: datetime | None
    psp_payment_id: str | None  # of the payment, as far as it is known


COLUMNS = """a.id, a.payment_id, a.psp, a.account, a.operation, a.idempotency_key, a.request, a.status, a.generation,
    a.baseline_minor, a.sends, a.queries, a.first_sent_at, a.last_sent_at"""

# At most `most` calls of one account are under way at a time, so that a PSP which hangs holds few workers.
CLAIM = text(f"""
update attempts a set lease_until = :until, lease_token = :token
from payments p
where p.id = a.payment_id and a.id = (
    select id from attempts
    where psp = :psp and account = :account and settled_at is null and next_attempt_at <= :now
        and (lease_until is null or lease_until < :now)
        and (select count(*) from attempts where psp = :psp and account = :account and settled_at is null
             and lease_until >= :now) < :most
    order by next_attempt_at limit 1 for update skip locked)
returning {COLUMNS}, p.psp_payment_id
""")  # noqa: S608 - constants

# Of what was asked for, what the PSP's answer has as well, or must be kept by nobody.
DROPPED_WHEN_SETTLED = ["card_token", "payer", "beneficiary", "clabe", "wallet_address"]

BEGIN = text("""
update attempts set status = 'sending', sends = least(sends + 1, 30000), queries = 0, baseline_minor = :baseline,
    first_sent_at = coalesce(first_sent_at, :now), last_sent_at = :now
where id = :id and lease_token = :token and status = 'ready'
""")

LATER = text("""
update attempts set status = :status, next_attempt_at = :at, queries = :queries, generation = :generation,
    error_code = :code, error_message = :message, lease_until = null, lease_token = null
where id = :id and lease_token = :token and settled_at is null
""")

SETTLE = text("""
update attempts set status = :status, settled_at = :now, request = request - cast(:dropped as text[]), psp_ref = :psp_ref, instructions = cast(:instructions as jsonb),
    event_id = :event_id, error_code = :code, error_message = :message, lease_until = null, lease_token = null
where id = :id and lease_token = :token and settled_at is null
""")

# Whether the payment is known by then or its answer cannot even be read: the id must not be lost.
BIND = text(f"""
with bound as (
    update payments p set psp_payment_id = :psp_payment_id from attempts a
    where a.id = :id and p.id = a.payment_id and p.psp_payment_id is null and not exists (
        select from payments q where (q.psp, q.account, q.psp_payment_id) = (a.psp, a.account, :psp_payment_id))
    returning p.id)
insert into search_queue select id from bound {AGAIN}
""")  # noqa: S608 - constants

DUE_ACCOUNTS = text("""
select psp, account from attempts
where settled_at is null and next_attempt_at <= :now and (lease_until is null or lease_until < :now)
group by psp, account
""")

IN_FLIGHT = text("""
select distinct a.psp, a.account, p.direction from attempts a join payments p on p.id = a.payment_id
where a.settled_at is null and a.operation = 'create' and a.first_sent_at is not null
    and (a.psp, a.account) in (select * from unnest(cast(:psps as text[]), cast(:accounts as text[])))
""")


class AttemptRepository:
    """Attempts as the workers need them: every change is fenced by the lease token of the claim."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def claim_next(
        self, psp: str, account: str, token: UUID, now: datetime, until: datetime, most: int
    ) -> ClaimedAttempt | None:
        """Take the lease of the attempt that has been due longest; None where none is due or `most` are under way."""
        values = {"psp": psp, "account": account, "token": token, "now": now, "until": until, "most": most}
        row = self.connection.execute(CLAIM, values).mappings().one_or_none()
        if row is None:
            return None
        named = {"operation": Operation(row["operation"]), "status": AttemptStatus(row["status"])}
        return ClaimedAttempt(**{**row, **named})

    def begin(self, attempt_id: UUID, token: UUID, now: datetime, baseline_minor: int | None) -> None:
        """Say that the call is about to be made; commit before making it. Raises LeaseLost."""
        self._fenced(BEGIN, id=attempt_id, token=token, now=now, baseline=baseline_minor)

    def put_off(
        self,
        attempt: ClaimedAttempt,
        token: UUID,
        status: AttemptStatus,
        at: datetime,
        queries: int,
        generation: int,
        error: tuple[str, str],
    ) -> None:
        """Let go until the next send (READY) or query (UNKNOWN). Raises LeaseLost."""
        code, message = error
        values = {"status": status, "at": at, "queries": queries, "generation": generation}
        self._fenced(LATER, id=attempt.id, token=token, code=code, message=message, **values)

    def settle(
        self,
        attempt_id: UUID,
        token: UUID,
        now: datetime,
        status: AttemptStatus,
        event_id: int | None,
        psp_payment_id: str | None = None,
        psp_ref: str | None = None,
        instructions: dict[str, Any] | None = None,
        error: tuple[str | None, str | None] = (None, None),
    ) -> None:
        """Give an attempt its final status, and its payment the PSP's id. Raises LeaseLost."""
        code, message = error
        written = orjson.dumps(instructions).decode() if instructions else None
        values = {"status": status, "event_id": event_id, "psp_ref": psp_ref, "instructions": written}
        self._fenced(
            SETTLE,
            id=attempt_id,
            token=token,
            now=now,
            code=code,
            message=message,
            dropped=DROPPED_WHEN_SETTLED,
            **values,
        )
        if psp_payment_id:
            self.connection.execute(BIND, {"id": attempt_id, "psp_payment_id": psp_payment_id})

    def _fenced(self, statement: TextClause, **values: Any) -> None:
        if self.connection.execute(statement, values).rowcount != 1:
            raise LeaseLost("the attempt is no longer under this lease")

    def list_due_accounts(self, now: datetime) -> list[AccountKey]:
        """Accounts that have an attempt whose time has come and that nobody works on."""
        return [(row.psp, row.account) for row in self.connection.execute(DUE_ACCOUNTS, {"now": now})]

    def find_in_flight(self, accounts: Collection[AccountKey]) -> set[tuple[str, str, str]]:
        """(psp, account, direction) of those with a create that was sent and is not settled."""
        if not accounts:
            return set()
        psps, names = (list(column) for column in zip(*accounts, strict=True))
        rows = self.connection.execute(IN_FLIGHT, {"psps": psps, "accounts": names})
        return {(row.psp, row.account, row.direction) for row in rows}
