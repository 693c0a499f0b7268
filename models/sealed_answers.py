"""What PSPs and Banxico answered, kept as evidence: sealed as payloads are, with the same keys.

The digest of what a witness said stands beside a sealed answer, since reports tell it.
"""

import hashlib
from typing import Any

import orjson
from sqlalchemy import Connection, text

from models.payload_vault import SEALED_BYTES, PayloadLocked, StoredPayload, find_vault
from models.record import record

# Of discrepancy_evidence: what was said and when, not the words themselves, which have names and accounts in them.
ABOUT_EVIDENCE = f"""kind, told_at, recorded_at,
    octet_length(body) - case when key_id is null then 0 else {SEALED_BYTES} end as bytes,
    encode(coalesce(body_sha256, sha256(body)), 'hex') as sha256"""


@record
class EvidenceOf:
    """Which difference a piece of evidence belongs to, and whose word it is."""

    discrepancy_id: int
    kind: str

    def digest(self) -> bytes:
        """Its name, of one length."""
        return hashlib.sha256(orjson.dumps(["acuse.evidence.1", self.discrepancy_id, self.kind])).digest()


@record
class AnswerTo:
    """Which question Banxico answered."""

    question: bytes  # 32 bytes

    def digest(self) -> bytes:
        """Its name, of one length."""
        return hashlib.sha256(orjson.dumps(["acuse.cep.1", self.question.hex()])).digest()


Whose = EvidenceOf | AnswerTo


def seal_answer(connection: Connection, whose: Whose, body: bytes) -> StoredPayload:
    """What is to be stored: without a key id it is in clear."""
    return find_vault(connection).seal(whose, [], body)


def find_answer(connection: Connection, whose: Whose, key_id: str | None, body: bytes) -> bytes | None:
    """What was said; None where it cannot be opened."""
    try:
        return find_vault(connection).open(whose, StoredPayload(key_id, [], bytes(body)))[1]
    except PayloadLocked:
        return None


EVIDENCE, ANSWERS = "discrepancy_evidence", "cep_answers"
KEYS = {EVIDENCE: "id", ANSWERS: "query_digest"}
FIRSTS: dict[str, Any] = {EVIDENCE: 0, ANSWERS: b""}  # before every key

_ROW = "select {key} as key, * from {table} where {key} = :key"
_NEXT = """
select {key} as key, * from {table} where {key} > :after
    and ((key_id <> :newest and key_id <> all(:lost)) or (key_id is null and :with_clear)) order by {key} limit :limit for update
"""
_REPLACE = {
    EVIDENCE: text(
        "update discrepancy_evidence set body = :body, key_id = :key_id, body_sha256 = :digest where id = :key"
    ),
    ANSWERS: text("update cep_answers set body = :body, key_id = :key_id where query_digest = :key"),
}


@record
class Resealed:
    """What became of one batch: rows that have the newest key now, rows that could not be opened, and the last row's key."""

    done: int
    locked: int
    last: Any | None  # None: there was nothing left


def find_whose(table: str, row: Any) -> Whose:
    """What a row of one of the tables belongs to."""
    return EvidenceOf(row.discrepancy_id, row.kind) if table == EVIDENCE else AnswerTo(bytes(row.query_digest))


def replace_answer(connection: Connection, table: str, key: Any, body: bytes) -> None:
    """Store other words in the place of a row's, sealed with the newest key if one seals."""
    row = connection.execute(text(_ROW.format(table=table, key=KEYS[table])), {"key": key}).one()
    stored = seal_answer(connection, find_whose(table, row), body)
    values = {"key": key, "body": stored.body, "key_id": stored.key_id}
    if table == EVIDENCE:
        values["digest"] = hashlib.sha256(body).digest() if stored.key_id else None
    connection.execute(_REPLACE[table], values)


def reseal_answers(connection: Connection, table: str, after: Any, limit: int, with_clear: bool) -> Resealed:
    """Seal a batch of a table with the newest key: of those after a key of its own, what is sealed with another one or, if wanted,
    in clear; what a lost key sealed is left. The caller commits."""
    vault = find_vault(connection)
    values = {"newest": vault.newest, "lost": list(vault.lost), "after": after, "limit": limit}
    values["with_clear"] = with_clear
    rows = connection.execute(text(_NEXT.format(table=table, key=KEYS[table])), values).all()
    opened = [(row.key, find_answer(connection, find_whose(table, row), row.key_id, row.body)) for row in rows]
    for key, body in opened:
        if body is not None:
            replace_answer(connection, table, key, body)
    locked = sum(body is None for _, body in opened)
    return Resealed(len(rows) - locked, locked, rows[-1].key if rows else None)
