"""What Banxico answered about SPEI payments, and which differences it is still to be asked about."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Disputed:
    """An open difference without Banxico's word, and the PSP's answer that tells which payment it is about."""

    discrepancy_id: int
    body: bytes


DISPUTED = text("""
select d.id, e.body from discrepancies d
join discrepancy_evidence e on e.discrepancy_id = d.id and e.kind = 'psp'
where d.source = 'reconciliation' and d.closed_at is null and d.psp = :psp and d.account = :account and d.healing <> 'sent'
    and not exists (select from discrepancy_evidence c where c.discrepancy_id = d.id and c.kind = 'cep')
order by d.id desc limit :limit
""")

FIND = text("""
select outcome, body, told_at from cep_answers
where query_digest = :digest and (outcome = 'found' or told_at > :since)
""")

KEEP = text("""
insert into cep_answers (query_digest, outcome, body, told_at) values (:digest, :outcome, :body, :told_at)
on conflict (query_digest) do update set outcome = excluded.outcome, body = excluded.body, told_at = excluded.told_at
""")


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """An answer that was kept."""

    outcome: str
    body: bytes
    told_at: datetime


class CepRepository:
    """Answers by the digest of the question (32 bytes)."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def list_disputed(self, psp: str, account: str, limit: int) -> Sequence[Disputed]:
        """Open differences of the account that Banxico was not asked about, the newest first."""
        rows = self.connection.execute(DISPUTED, {"psp": psp, "account": account, "limit": limit})
        return [Disputed(row.id, bytes(row.body)) for row in rows]

    def find(self, digest: bytes, since: datetime) -> KnownAnswer | None:
        """A proof, however old, or another answer that was given after `since`."""
        row = self.connection.execute(FIND, {"digest": digest, "since": since}).one_or_none()
        return KnownAnswer(row.outcome, bytes(row.body), row.told_at) if row else None

    def keep(self, digest: bytes, answer: KnownAnswer) -> None:
        """Remember an answer in the place of an earlier one."""
        values = {"digest": digest, "outcome": answer.outcome, "body": answer.body, "told_at": answer.told_at}
        self.connection.execute(KEEP, values)
