"""What payments are found by: any three letters of their references. The index is behind by the seconds until its turn."""

import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

from models.requests import OWN
from models.rows import to_json

SHORTEST = 3
BREAKS = {0: " ", ord("\n"): " "}  # Postgres has no NUL in a text, and lines end where fields do


class NeedleTooShort(Exception):
    """What is searched for has less than three characters."""


@dataclass(frozen=True, slots=True)
class SearchEntry:
    """What a payment can be found by."""

    payment_id: UUID
    merchant_id: UUID
    document: str
    tokens: list[int]


def fold(text: str) -> str:
    """One line in which case makes no difference. Every other character stands for itself."""
    readable = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return readable.translate(BREAKS).casefold()


def make_needle(text: str) -> str:
    """What is looked for in documents. Raises NeedleTooShort."""
    if len(text) < SHORTEST:
        raise NeedleTooShort(f"a search takes {SHORTEST} characters at least")
    return fold(text)


def make_document(
    reference: str | None, description: str | None, payer_reference: str | None, psp_ids: Iterable[str]
) -> str:
    """A line for each of these that there is."""
    fields = (reference, description, payer_reference, *psp_ids)
    return "\n".join(fold(field) for field in fields if field)


def make_tokens(merchant_id: UUID, text: str) -> list[int]:
    """A signed 32-bit number for every three characters that stand together in a line, other ones for each merchant.

    Numbers may meet by chance, so what they find still has to be looked at.
    """
    start = zlib.crc32(merchant_id.bytes)
    sums = {zlib.crc32(window.encode(), start) for window in _windows(text)}
    return [value - (1 << 32) if value >> 31 else value for value in sorted(sums)]


def _windows(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        for end in range(SHORTEST, len(line) + 1):
            yield line[end - SHORTEST : end]


# A row that is there already is locked all the same: or it would be taken, with the payment as it was, before the
# change that it is meant for is committed.
AGAIN = "on conflict (payment_id) do update set payment_id = excluded.payment_id"

ENQUEUE = text(f"insert into search_queue select * from unnest(cast(:ids as uuid[])) {AGAIN}")  # noqa: S608 - constant

# Whoever changes a payment locks it and then its row here; for the payment, which an entry refers to, nobody waits here.
TAKE = text("""
delete from search_queue where payment_id = any(array(
    select q.payment_id from search_queue q join payments p on p.id = q.payment_id order by q.payment_id limit :limit
    for update of q skip locked for key share of p skip locked))
returning payment_id
""")

# In a statement of its own, which sees what was committed until the rows were taken.
READ = text("""
select p.id, p.merchant_id, p.merchant_reference, p.description, p.payer_reference, p.psp_payment_id,
    array(select r.psp_ref from payment_references r where r.payment_id = p.id and not starts_with(r.psp_ref, :own)
          order by r.psp_ref) as psp_refs
from payments p where p.id = any(:ids)
""")

PUT = text("""
insert into payment_search as s (payment_id, merchant_id, document, tokens)
select payment_id, merchant_id, document, tokens from json_to_recordset(cast(:rows as json)) as t (
    payment_id uuid, merchant_id uuid, document text, tokens integer[])
on conflict (payment_id) do update
    set merchant_id = excluded.merchant_id, document = excluded.document, tokens = excluded.tokens
    where (s.document, s.tokens) is distinct from (excluded.document, excluded.tokens)
""")


PUT_NEW = text("insert into payment_search values (:payment_id, :merchant_id, :document, :tokens)")


class SearchRepository:
    """The queue of payments whose entry is behind, and the entries."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def put_new(self, merchant_id: UUID, payment_id: UUID, *texts: str | None) -> None:
        """Make the entry of a payment that was made in this transaction: its reference, description and payer's
        reference. It can be found as soon as it is there; the PSP's ids are added when they are known."""
        document = "\n".join(fold(part) for part in texts if part)
        told = {"payment_id": payment_id, "merchant_id": merchant_id, "document": document}
        self.connection.execute(PUT_NEW, told | {"tokens": make_tokens(merchant_id, document)})

    def enqueue(self, payment_ids: Collection[UUID]) -> None:
        """Have payments indexed that this transaction made or changed. They must be locked before."""
        if payment_ids:
            self.connection.execute(ENQUEUE, {"ids": sorted(set(payment_ids))})

    def index(self, limit: int) -> int:
        """Bring the entries of so many queued payments up to date; how many there were. What others hold is left."""
        ids = list(self.connection.scalars(TAKE, {"limit": limit}))
        if ids:
            rows = self.connection.execute(READ, {"ids": ids, "own": OWN}).mappings()
            self.connection.execute(PUT, {"rows": to_json([make_entry(row) for row in rows])})
        return len(ids)


def make_entry(payment: RowMapping | dict[str, Any]) -> SearchEntry:
    """The entry of a payment with its `psp_refs`."""
    psp_ids = [id for id in (payment["psp_payment_id"], *payment["psp_refs"]) if id]
    document = make_document(payment["merchant_reference"], payment["description"], payment["payer_reference"], psp_ids)
    merchant_id = payment["merchant_id"]
    return SearchEntry(payment["id"], merchant_id, document, make_tokens(merchant_id, document))
