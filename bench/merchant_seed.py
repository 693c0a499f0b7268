"""A database as full as that of a busy platform: payments of many merchants with their history, search entries and all."""

import io
from dataclasses import dataclass
from typing import Any

import psycopg2
import psycopg2.extras
from rich.progress import Progress

from models.requests import OWN
from models.search import make_entry

DAYS = 180
CHUNK = 50_000
SEARCH_CHUNK = 10_000
PENDING_LIST = "256MB"  # of the index of tokens while so many come at once

MERCHANTS = """
insert into merchants (id, name, created_at)
select uuidv7(interval '-1 year'), 'Comercio ' || n, now() - interval '1 year' from generate_series(1, %(merchants)s) n
"""

ENDPOINTS = """
insert into endpoints (id, merchant_id, url, event_types, secret_sealed, created_at, updated_at)
select uuidv7(), id, 'https://example.com/acuse', '{}', '\\x00', now(), now() from merchants
"""

# Made one after the other, as time goes by: each merchant's rows lie among those of all others.
PAYMENTS = """
with owners as (select array_agg(id order by id) as ids from merchants where name like 'Comercio %%'),
made as (
    select n, now() - %(days)s * interval '1 day' * (1 - n::float8 / %(payments)s) as at,
        translate(encode(sha256(('payment' || n)::bytea), 'base64'), '+/=', 'xyz') as digest,
        (array['stripe', 'conekta', 'openpay', 'mercadopago', 'stp'])[1 + (n / 7) %% 5] as psp,
        (array['card', 'oxxo', 'spei', 'card', 'oxxo', 'spei', 'crypto_onramp'])[1 + (n / 3) %% 7] as method,
        (array['completed', 'completed', 'completed', 'completed', 'pending', 'expired', 'failed', 'refunded',
            'partially_refunded', 'completed'])[1 + (n * 7 / 11) %% 10] as state,
        100 * (50 + (n * 7919::bigint) %% 5000000 / 100) as amount
    from generate_series(%(first)s, %(last)s) n),
added as (
insert into payments (id, merchant_id, psp, account, psp_payment_id, method, state, amount_minor, received_minor,
    refunded_minor, currency, livemode, origin, merchant_reference, description, payer_reference, place_at, place_rank,
    place_key, version, created_at, updated_at)
select uuidv7(at - now()), owners.ids[1 + floor(random() * array_length(owners.ids, 1))::int], psp, 'default',
    left(psp, 2) || '_' || left(digest, 24), method, state, amount,
    case when state in ('completed', 'refunded', 'partially_refunded') then amount else 0 end,
    case state when 'refunded' then amount when 'partially_refunded' then amount / 2 else 0 end,
    'MXN', true, case n %% 3 when 0 then 'api' else 'webhook' end, 'ORD-' || lpad(n::text, 8, '0'),
    (array['Pedido en línea', 'Suscripción mensual', 'Boleto 50%%_OFF', 'Recarga', null])[1 + n %% 5]
        || ' ' || substr(digest, 30, 4),
    'cliente-' || lpad((n %% 40000)::text, 6, '0'), at, 5, 'evt_' || left(digest, 24), 3, at, at + interval '1 hour'
from made, owners returning id)
select id from added order by id limit 1
"""

REFERENCES = """
insert into payment_references (psp, account, psp_ref, payment_id)
select psp, account, 'ch_' || right(psp_payment_id, 20), id from payments where id >= %(after)s and origin = 'webhook'
union all
select psp, account, %(own)s || 'AC' || upper(right(psp_payment_id, 26)), id from payments
where id >= %(after)s and origin = 'api'
"""

TRANSITIONS = """
insert into transitions (payment_id, event_id, ordinal, kind, from_state, to_state, outcome, reason, source,
    received_minor, refunded_minor, facts, occurred_at, recorded_at)
select p.id, row_number() over (order by p.id, k) + %(events)s, 0,
    (array['pending', 'completed', 'completed'])[k],
    case k when 1 then null else 'pending' end, case k when 1 then 'pending' else p.state end,
    case k when 3 then 'DUPLICATE' else 'APPLIED' end, case k when 1 then 'adopted' end, 'webhook', p.received_minor,
    p.refunded_minor, jsonb_build_object('key', 'evt_' || p.psp_payment_id || k, 'kind', 'completed', 'amount',
        p.amount_minor, 'currency', 'MXN', 'received', p.received_minor, 'occurred_at', p.created_at),
    p.created_at + k * interval '1 minute', p.created_at + k * interval '1 minute'
from payments p, generate_series(1, 3) k where p.id >= %(after)s
"""

ATTEMPTS = """
insert into attempts (id, payment_id, psp, account, operation, idempotency_key, request, amount_minor, status, sends,
    first_sent_at, last_sent_at, next_attempt_at, instructions, created_at, settled_at)
select uuidv7(p.created_at - now()), p.id, p.psp, p.account, 'create', p.id::text, '{"method": "oxxo"}', null, 'done', 1,
    p.created_at, p.created_at, p.created_at,
    jsonb_build_object('kind', 'voucher', 'reference', right(p.psp_payment_id, 14), 'barcode_url', 'https://example.com'),
    p.created_at, p.created_at + interval '1 second'
from payments p where p.id >= %(after)s and p.origin = 'api'
"""

NOTIFICATIONS = """
insert into notifications (id, merchant_id, payment_id, sequence, event_type, body, created_at)
select uuidv7(p.created_at - now()), p.merchant_id, p.id, k, 'payment.updated', convert_to(repeat('x', 400), 'UTF8'),
    p.created_at + k * interval '1 minute'
from payments p, generate_series(1, 2) k where p.id >= %(after)s and p.origin = 'api'
"""

DELIVERIES = """
insert into notification_deliveries (notification_id, endpoint_id, merchant_id, status, attempts, next_attempt_at,
    last_status, created_at, settled_at)
select n.id, e.id, n.merchant_id, 'delivered', 2, n.created_at, 200, n.created_at, n.created_at + interval '1 minute'
from payments p join notifications n on n.payment_id = p.id join endpoints e on e.merchant_id = n.merchant_id
where p.id >= %(after)s and p.origin = 'api'
"""

CALLS = """
insert into notification_attempts (notification_id, endpoint_id, merchant_id, number, sent_at, status, error, latency_ms)
select d.notification_id, d.endpoint_id, d.merchant_id, k, d.created_at + k * interval '10 seconds',
    case k when 1 then 503 else 200 end, case k when 1 then 'HTTP 503' end, 40 + k
from payments p join notifications n on n.payment_id = p.id join notification_deliveries d on d.notification_id = n.id,
    generate_series(1, 2) k
where p.id >= %(after)s and p.origin = 'api'
"""

STEPS = (REFERENCES, TRANSITIONS, ATTEMPTS, NOTIFICATIONS, DELIVERIES, CALLS)

SOURCES = """
select p.id, p.merchant_id, p.merchant_reference, p.description, p.payer_reference, p.psp_payment_id,
    array(select r.psp_ref from payment_references r where r.payment_id = p.id and not starts_with(r.psp_ref, %(own)s)
          order by r.psp_ref) as psp_refs
from payments p order by p.id
"""


@dataclass(frozen=True)
class Wanted:
    """How much there shall be."""

    payments: int
    merchants: int


def seed(url: str, wanted: Wanted, progress: Progress) -> None:
    """Fill a migrated empty database, its indexes in place, and have Postgres look at what there is."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    psycopg2.extras.register_uuid()
    with connection.cursor() as cursor:
        cursor.execute("set synchronous_commit = off")
        cursor.execute("set maintenance_work_mem = '512MB'")
        cursor.execute("set work_mem = '256MB'")
        cursor.execute(MERCHANTS, {"merchants": wanted.merchants})
        cursor.execute(ENDPOINTS)
        _seed_payments(cursor, wanted, progress)
        _seed_search(url, cursor, wanted, progress)
        task = progress.add_task("vacuum and analyze", total=None)
        cursor.execute("vacuum analyze")
        progress.update(task, total=1, completed=1)
    connection.close()


def _seed_payments(cursor: Any, wanted: Wanted, progress: Progress) -> None:
    task = progress.add_task("payments and their history", total=wanted.payments)
    cursor.execute("select setseed(0.5)")
    for first in range(1, wanted.payments + 1, CHUNK):
        last = min(first + CHUNK - 1, wanted.payments)
        values = {"payments": wanted.payments, "days": DAYS, "first": first, "last": last}
        cursor.execute(PAYMENTS, values)
        added = {"after": cursor.fetchone()[0], "own": OWN, "events": 3 * first}  # ids grow with time
        for step in STEPS:
            cursor.execute(step, added)
        progress.advance(task, last - first + 1)


def _seed_search(url: str, cursor: Any, wanted: Wanted, progress: Progress) -> None:
    """The entries that the indexer would make, by COPY."""
    task = progress.add_task("search entries", total=wanted.payments)
    cursor.execute(f"set gin_pending_list_limit = '{PENDING_LIST}'")
    cursor.execute("alter index ix_payment_search_tokens set (fastupdate = on)")
    source = psycopg2.connect(url)
    with source, source.cursor("sources", cursor_factory=psycopg2.extras.RealDictCursor) as rows:
        rows.itersize = SEARCH_CHUNK
        rows.execute(SOURCES, {"own": OWN})
        while chunk := rows.fetchmany(SEARCH_CHUNK):
            lines = "".join(_write_entry(row) for row in chunk)
            cursor.copy_expert("copy payment_search from stdin", io.StringIO(lines))
            progress.advance(task, len(chunk))
    source.close()
    cursor.execute("alter index ix_payment_search_tokens set (fastupdate = off)")
    cursor.execute("select gin_clean_pending_list('ix_payment_search_tokens')")


def _write_entry(row: dict[str, Any]) -> str:
    entry = make_entry(row)
    document = entry.document.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    tokens = ",".join(map(str, entry.tokens))
    return f"{entry.payment_id}\t{entry.merchant_id}\t{document}\t{{{tokens}}}\n"


def read_sizes(url: str) -> dict[str, tuple[int, int]]:
    """(rows, bytes) of the tables and indexes that the merchants' reads use."""
    query = """select c.relname, c.reltuples::bigint, pg_relation_size(c.oid) from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'i') and pg_relation_size(c.oid) > 1000000
        order by 3 desc"""
    connection = psycopg2.connect(url)
    with connection.cursor() as cursor:
        cursor.execute(query)
        sizes = {name: (rows, size) for name, rows, size in cursor.fetchall()}
    connection.close()
    return sizes
