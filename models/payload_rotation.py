"""Sealing payloads anew: a few rows at a time, so that nothing waits for all of them, and an interrupted run goes on."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection, Engine, TextClause, text

from models.engine import look_up_only
from models.payload_vault import Belonging, PayloadLocked, PayloadVault, StoredPayload, find_vault
from models.schema import NotReady
from models.sealed_answers import KEYS

# Each id is found by the index right after the one before, however many rows have it.
USED = """
with recursive used as (
    (select key_id from {table} where key_id is not null order by key_id limit 1)
    union all
    select (select p.key_id from {table} p where p.key_id > u.key_id order by p.key_id limit 1)
    from used u where u.key_id is not null
)
select key_id from used where key_id is not null
"""
SEALED = ("inbox_payloads", *KEYS)

ALL_SEALED = " union all ".join(f"select key_id from {table} where key_id is not null" for table in SEALED)  # noqa: S608
COUNT = text(f"select key_id, count(*) as sealed from ({ALL_SEALED}) s group by key_id order by key_id")  # noqa: S608 - constants

COLUMNS = "p.event_id, p.received_at, p.headers, p.body, p.key_id, e.psp, e.account, e.event_key"

OF_KEY = text(f"""
select {COLUMNS} from inbox_payloads p join inbox_events e on e.id = p.event_id and e.received_at = p.received_at
where p.key_id = :key_id and p.event_id <> all(:but_not) limit :limit for update of p
""")  # noqa: S608 - constants

IN_CLEAR = text(f"""
select {COLUMNS} from inbox_payloads p join inbox_events e on e.id = p.event_id and e.received_at = p.received_at
where p.event_id > :after and p.key_id is null order by p.event_id limit :limit for update of p
""")  # noqa: S608 - constants

REPLACE = text("""
update inbox_payloads p set headers = t.headers, body = t.body, key_id = t.key_id
from rows from (
    json_to_recordset(cast(:rows as json)) as (event_id bigint, received_at timestamptz, headers jsonb, key_id text),
    unnest(cast(:bodies as bytea[]))
) as t (event_id, received_at, headers, key_id, body)
where p.event_id = t.event_id and p.received_at = t.received_at
""")

LAST = text("select coalesce(max(event_id), 0) from inbox_payloads")


@dataclass(frozen=True, slots=True)
class Resealed:
    """What became of one batch: rows that have the newest key now, events that could not be opened, and where it ended."""

    done: int
    locked: list[int]
    last: int | None  # event id; None: there was nothing left


@dataclass(frozen=True, slots=True)
class PayloadKeyRepository:
    """The keys of stored payloads."""

    connection: Connection

    def list_used(self) -> list[str]:
        """Ids of the keys that at least one payload, or one kept answer, needs."""
        return sorted({id for table in SEALED for id in self.connection.scalars(text(USED.format(table=table)))})

    def count(self) -> dict[str, int]:
        """How many payloads and kept answers each key has sealed."""
        return {row.key_id: row.sealed for row in self.connection.execute(COUNT)}

    def find_last(self) -> int:
        """The newest event id of all payloads."""
        return int(self.connection.execute(LAST).scalar_one())

    def reseal(self, key_id: str, but_not: Sequence[int], limit: int) -> Resealed:
        """Seal a batch of this key with the newest one. The caller commits."""
        return self._reseal(OF_KEY, key_id=key_id, but_not=list(but_not), limit=limit)

    def seal(self, after: int, limit: int) -> Resealed:
        """Seal a batch that is in clear, of those after an event id. The caller commits."""
        return self._reseal(IN_CLEAR, after=after, limit=limit)

    def _reseal(self, statement: TextClause, **values: object) -> Resealed:
        vault = find_vault(self.connection)
        rows, bodies, locked, last = [], [], [], None
        for row in self.connection.execute(statement, values):
            last = row.event_id
            whose = Belonging(row.psp, row.account, row.event_key)
            try:
                fresh = vault.seal(whose, *vault.open(whose, StoredPayload(row.key_id, row.headers, bytes(row.body))))
            except PayloadLocked:
                locked.append(row.event_id)
                continue
            about = {"event_id": row.event_id, "received_at": row.received_at}
            rows.append(about | {"headers": fresh.headers, "key_id": fresh.key_id})
            bodies.append(fresh.body)
        if rows:
            self.connection.execute(REPLACE, {"rows": orjson.dumps(rows).decode(), "bodies": bodies})
        return Resealed(len(rows), locked, last)


def check_payload_keys(engine: Engine, vault: PayloadVault) -> None:
    """Raises NotReady where payloads are stored whose key is neither among these nor said to be lost."""
    with engine.connect() as connection:
        look_up_only(connection)
        missing = sorted(set(PayloadKeyRepository(connection).list_used()) - set(vault.key_ids) - vault.lost)
    if missing:
        raise NotReady(
            f"payloads are sealed with keys that ACUSE_PAYLOAD_KEYS lacks: {', '.join(missing)}; "
            "add them at its end, or lost:<id> for one that is gone for good"
        )
