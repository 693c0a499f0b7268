"""Idempotency keys: a request under a key happens once. The row is the lock; whoever comes second waits for it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

TAKE = text("""
insert into idempotency_keys (merchant_id, key, request_hash, created_at)
values (:merchant_id, :key, :request_hash, :now) on conflict do nothing
""")

FIND = text("""
select request_hash, resource_id, answer_status, answer, is_sealed from idempotency_keys
where merchant_id = :merchant_id and key = :key
""")

BIND = text("""
update idempotency_keys set resource_id = :resource_id where merchant_id = :merchant_id and key = :key
""")

ANSWER = text("""
update idempotency_keys set answer_status = :status, answer = :answer, is_sealed = :is_sealed
where merchant_id = :merchant_id and key = :key and answer is null
""")


@dataclass(frozen=True, slots=True)
class KnownRequest:
    """What is known of a key that was used before. Without an answer: the first request has not been answered yet."""

    request_hash: bytes
    resource_id: UUID | None
    answer_status: int | None
    answer: bytes | None
    is_sealed: bool


class IdempotencyRepository:
    """The keys of one merchant."""

    def __init__(self, connection: Connection, merchant_id: UUID) -> None:
        self.connection = connection
        self.merchant_id = merchant_id

    def take(self, key: str, request_hash: bytes, now: datetime) -> bool:
        """True for the one request that gets the key. Waits for another one that is about to get it."""
        values = {"merchant_id": self.merchant_id, "key": key, "request_hash": request_hash, "now": now}
        return self.connection.execute(TAKE, values).rowcount == 1

    def get(self, key: str) -> KnownRequest:
        """What is known of a key that is taken."""
        row = self.connection.execute(FIND, {"merchant_id": self.merchant_id, "key": key}).one()
        answer = None if row.answer is None else bytes(row.answer)
        return KnownRequest(bytes(row.request_hash), row.resource_id, row.answer_status, answer, row.is_sealed)

    def bind(self, key: str, resource_id: UUID) -> None:
        """Remember what the request made."""
        self.connection.execute(BIND, {"merchant_id": self.merchant_id, "key": key, "resource_id": resource_id})

    def answer(self, key: str, status: int, answer: bytes, is_sealed: bool) -> None:
        """Keep the answer, once."""
        values = {"merchant_id": self.merchant_id, "key": key, "status": status, "answer": answer}
        self.connection.execute(ANSWER, values | {"is_sealed": is_sealed})
