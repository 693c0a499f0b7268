"""The door's side of the inbox: store deliveries durably, once, in one statement for all that wait."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

import crash_points
from models.payload_vault import Belonging, PayloadVault, StoredPayload, find_vault
from models.record import record
from models.states import Decision, InboxStatus, Source

SWEEP_GRACE = timedelta(seconds=5)  # what the doorbell announced is left to it for this long
REASON_CONFLICT = "same key as an earlier delivery, other content"


class StoreUnavailable(Exception):
    """The database is down, slow or out of connections. Nothing was acknowledged; the sender should try again."""


class DeliveryRefused(Exception):
    """The database refuses the rows themselves. Put them one by one to find which."""


@record
class Delivery:
    """One verified HTTP POST, or an answer to a call of ours, ready to be stored."""

    psp: str
    account: str
    event_key: str
    content_digest: bytes  # 32 bytes, equal when the PSP sends the same event again
    body_sha256: bytes  # of the body as it arrived
    headers: list[tuple[str, str]]
    body: bytes  # after card data was redacted
    verified_with: str | None  # label of the key that matched; an answer has none
    redacted: bool
    received_at: datetime
    clabe: str | None = None  # set only where an unknown CLABE means that the money goes back
    source: Source = Source.WEBHOOK


@record
class Stored:
    """What became of one delivery."""

    event_id: int
    is_new: bool
    is_conflict: bool
    decision: Decision


# The ids are drawn before the insert, so that a payload finds out by its id alone whether its event is new.
_INSERT = """
with input as materialized (
    select nextval('inbox_events_id_seq') as id, t.*
    from rows from (
        json_to_recordset(cast(:rows as json)) as (
            psp text, account text, event_key text, content_digest bytea, body_sha256 bytea, headers jsonb, verified_with text,
            redacted boolean, received_at timestamptz, clabe text, source text{column}
        ),
        unnest(cast(:bodies as bytea[]))
    ) as t (psp, account, event_key, content_digest, body_sha256, headers, verified_with, redacted, received_at, clabe,
            source{name}, body)
), stored as (
    insert into inbox_events (id, psp, account, event_key, content_digest, verified_with, received_at, next_attempt_at,
                              source, status, reason, processed_at, decision)
    select i.id, i.psp, i.account, i.event_key, i.content_digest, i.verified_with, i.received_at,
           i.received_at + cast(:grace as interval), i.source, :status, :reason,
           case when :status not in ('received', 'hint') then now() end,
           case when i.clabe is null then null when d.clabe is null then 'return' else 'accept' end
    from input i
    left join deposit_accounts d on (d.psp, d.account, d.clabe) = (i.psp, i.account, i.clabe)
    order by i.psp, i.account, i.event_key  -- one order for all writers: no deadlock between their batches
    on conflict (psp, account, event_key) do nothing
    returning id, psp, account, event_key, decision
), payload as (
    insert into inbox_payloads (event_id, received_at, headers, body, body_sha256, redacted{name})
    select id, received_at, headers, body, body_sha256, redacted{name}
    from input where (id in (select id from stored)) is true  -- hashed, and not joined
)
select psp, account, event_key, id, decision from stored
"""
INSERT = text(_INSERT.format(column="", name=""))
INSERT_SEALED = text(_INSERT.format(column=", key_id text", name=", key_id"))

FIND = text("""
select e.psp, e.account, e.event_key, e.id, e.content_digest, e.decision
from unnest(cast(:psp as text[]), cast(:account as text[]), cast(:event_key as text[])) as t (psp, account, event_key)
join inbox_events e using (psp, account, event_key)
""")

Key = tuple[str, str, str]


def _key(delivery: Delivery) -> Key:
    return delivery.psp, delivery.account, delivery.event_key


class InboxStore:
    """Stores batches of deliveries, each batch with one statement that is a transaction of its own.

    Only where some of them are known already does it take another look, and a further statement for conflicts. An engine
    in AUTOCOMMIT saves two of three round trips; any other does as well.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def put(self, deliveries: Sequence[Delivery]) -> list[Stored]:
        """Store them and commit; when this returns, every one of them is durable.

        The results are in the order of `deliveries`. A delivery that is already there gives the id and the decision
        of the first one; one with the same key but other content is stored beside it as a conflict.
        Raises StoreUnavailable, and then none of them may be acknowledged, or DeliveryRefused, and then none is stored.
        """
        try:
            with self.engine.connect() as connection:
                stored = put_all(connection, deliveries)
                crash_points.reach("writer.inserted")
                connection.commit()
                return stored
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            raise StoreUnavailable(type(error).__name__) from error
        except DBAPIError as error:
            is_read_only = getattr(error.orig, "pgcode", None) == "25006"  # a standby that was asked by mistake
            if error.connection_invalidated or is_read_only:
                raise StoreUnavailable(type(error).__name__) from error
            raise DeliveryRefused(type(error).__name__) from error


def add_hint(connection: Connection, hint: Delivery) -> None:
    """Store a wish of ours to fetch a payment, once."""
    _insert(connection, [hint], InboxStatus.HINT)


def put_all(connection: Connection, deliveries: Sequence[Delivery]) -> list[Stored]:
    """Store deliveries in the order given, inside the caller's transaction; see InboxStore.put."""
    firsts: dict[Key, Delivery] = {}
    for delivery in deliveries:
        firsts.setdefault(_key(delivery), delivery)
    new = _insert(connection, list(firsts.values()), InboxStatus.RECEIVED)
    if len(new) == len(deliveries):  # nothing but new events, as a rule
        return [new[_key(delivery)] for delivery in deliveries]
    known = {key: (stored, firsts[key].content_digest) for key, stored in new.items()}
    known |= _find(connection, [key for key in firsts if key not in new])
    conflicts = [d for d in deliveries if known[_key(d)][1] != d.content_digest]
    results = []
    quarantined = _quarantine(connection, conflicts, known)
    for delivery in deliveries:
        key = _key(delivery)
        if known[key][1] != delivery.content_digest:
            results.append(quarantined[_conflict_key(delivery)])
            continue
        is_new = key in new and firsts[key] is delivery
        results.append(replace(known[key][0], is_new=is_new))
    return results


def _insert(connection: Connection, deliveries: list[Delivery], status: InboxStatus) -> dict[Key, Stored]:
    if not deliveries:
        return {}
    vault = find_vault(connection)
    payloads = [_seal(vault, delivery) for delivery in deliveries]
    rows = [_as_row(delivery, payload) for delivery, payload in zip(deliveries, payloads, strict=True)]
    values = {
        "rows": _encode(rows),
        "bodies": [payload.body for payload in payloads],
        "status": status,
        "reason": REASON_CONFLICT if status is InboxStatus.CONFLICT else None,
        "grace": timedelta(0) if status is InboxStatus.HINT else SWEEP_GRACE,
    }
    is_conflict = status is InboxStatus.CONFLICT
    return {
        (psp, account, event_key): Stored(event_id, True, is_conflict, Decision(decision or "accept"))
        for psp, account, event_key, event_id, decision in connection.execute(
            INSERT_SEALED if vault.newest else INSERT, values
        )
    }


def _encode(rows: list[dict[str, Any]]) -> str:
    try:
        return orjson.dumps(rows).decode()
    except orjson.JSONEncodeError as error:  # half a surrogate pair
        raise DeliveryRefused(type(error).__name__) from error


def _seal(vault: PayloadVault, delivery: Delivery) -> StoredPayload:
    try:
        whose = Belonging(delivery.psp, delivery.account, delivery.event_key)
        return vault.seal(whose, delivery.headers, delivery.body)
    except orjson.JSONEncodeError as error:
        raise DeliveryRefused(type(error).__name__) from error


def _as_row(delivery: Delivery, payload: StoredPayload) -> dict[str, Any]:
    """All but the body. One JSON text for a batch costs both sides a fraction of an array for each column."""
    return {
        "psp": delivery.psp,
        "account": delivery.account,
        "event_key": delivery.event_key,
        "content_digest": "\\x" + delivery.content_digest.hex(),
        "body_sha256": "\\x" + delivery.body_sha256.hex(),
        "headers": payload.headers,
        **({"key_id": payload.key_id} if payload.key_id else {}),
        "verified_with": delivery.verified_with,
        "redacted": delivery.redacted,
        "received_at": delivery.received_at,
        "clabe": delivery.clabe,
        "source": delivery.source,
    }


def _find(connection: Connection, keys: list[Key]) -> dict[Key, tuple[Stored, bytes]]:
    if not keys:
        return {}
    columns = dict(zip(("psp", "account", "event_key"), map(list, zip(*keys, strict=True)), strict=True))
    return {
        (row.psp, row.account, row.event_key): (
            Stored(row.id, False, False, Decision(row.decision or "accept")),
            bytes(row.content_digest),
        )
        for row in connection.execute(FIND, columns)
    }


def _conflict_key(delivery: Delivery) -> Key:
    return delivery.psp, delivery.account, f"{delivery.event_key}#{delivery.content_digest.hex()[:16]}"


def _quarantine(
    connection: Connection, conflicts: list[Delivery], known: dict[Key, tuple[Stored, bytes]]
) -> dict[Key, Stored]:
    """Store conflicts under a key of their own. They are answered with the first delivery's decision."""
    renamed = {_conflict_key(d): replace(d, event_key=_conflict_key(d)[2], clabe=None) for d in conflicts}
    stored = _insert(connection, list(renamed.values()), InboxStatus.CONFLICT)
    stored |= {key: found for key, (found, _) in _find(connection, [k for k in renamed if k not in stored]).items()}
    return {
        _conflict_key(d): replace(stored[_conflict_key(d)], is_conflict=True, decision=known[_key(d)][0].decision)
        for d in conflicts
    }
