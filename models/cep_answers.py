"""What Banxico answered about SPEI payments, and which differences it is still to be asked about."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from models.payload_vault import find_vault
from models.sealed_answers import AnswerTo, EvidenceOf, find_answer, seal_answer


@dataclass(frozen=True, slots=True)
class Disputed:
    """An open difference without Banxico's word, and the PSP's answer that tells which payment it is about."""

    discrepancy_id: int
    body: bytes


DISPUTED = text("""
select d.id, e.body, e.kind, e.key_id from discrepancies d
join discrepancy_evidence e on e.discrepancy_id = d.id and e.kind = 'psp'
where d.source = 'reconciliation' and d.closed_at is null and d.psp = :psp and d.account = :account and d.healing <> 'sent'
    and not exists (select from discrepancy_evidence c where c.discrepancy_id = d.id and c.kind = 'cep')
    and (e.key_id is null or e.key_id = any(:known))
order by d.id desc limit :limit
""")

FIND = text("""
select outcome, body, key_id, told_at from cep_answers
where query_digest = :digest and (outcome = 'found' or told_at > :since)
""")

KEEP = text("""
insert into cep_answers (query_digest, outcome, body, told_at, key_id) values (:digest, :outcome, :body, :told_at, :key_id)
on conflict (query_digest) do update set outcome = excluded.outcome, body = excluded.body, told_at = excluded.told_at,
    key_id = excluded.key_id
where cep_answers.outcome <> 'found' or excluded.outcome = 'found' or cep_answers.key_id = any(:lost)
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
        """Open differences of the account that Banxico was not asked about, the newest first; without those whose evidence
        cannot be opened."""
        known = list(find_vault(self.connection).key_ids)
        values = {"psp": psp, "account": account, "limit": limit, "known": known}
        rows = self.connection.execute(DISPUTED, values).all()
        opened = [
            (row.id, find_answer(self.connection, EvidenceOf(row.id, row.kind), row.key_id, row.body)) for row in rows
        ]
        return [Disputed(id, body) for id, body in opened if body is not None]

    def find(self, digest: bytes, since: datetime) -> KnownAnswer | None:
        """A proof, however old, or another answer that was given after `since`; None also where it cannot be opened."""
        row = self.connection.execute(FIND, {"digest": digest, "since": since}).one_or_none()
        body = find_answer(self.connection, AnswerTo(digest), row.key_id, row.body) if row else None
        return KnownAnswer(row.outcome, body, row.told_at) if row and body is not None else None

    def keep(self, digest: bytes, answer: KnownAnswer) -> None:
        """Remember an answer in the place of an earlier one; a proof is replaced by nothing less, unless it is lost with its key."""
        stored = seal_answer(self.connection, AnswerTo(digest), answer.body)
        values = {"digest": digest, "outcome": answer.outcome, "told_at": answer.told_at}
        values["lost"] = list(find_vault(self.connection).lost)
        self.connection.execute(KEEP, values | {"body": stored.body, "key_id": stored.key_id})
