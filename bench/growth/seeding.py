"""Fills a migrated database with a history, its indexes in place but for the one of search, and has Postgres look at it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg2
import psycopg2.extras
from rich.progress import Progress

from bench.growth import statements as say
from bench.growth.history import RESTING, STEPS, History
from models.engine import open_engine
from models.merchants import DEFAULT_MERCHANT_ID
from models.schema import add_partitions

CHUNK = 20_000  # payments
MERCHANT, ENDPOINT = UUID("01900000-0000-7000-8000-000000000001"), UUID("01900000-0000-7000-8000-000000000002")
INBOX = (say.INBOX,)
MONEY = (
    say.PAYMENTS, say.REFERENCES, say.TRANSITIONS, say.SEARCH, say.ATTEMPTS, say.NOTIFICATIONS, say.DELIVERIES, say.CALLS,
)  # fmt: skip
MONEY_TABLES = (
    "payments, payment_references, transitions, payment_search, attempts, notifications, notification_deliveries,"
    " notification_attempts"
)

PEOPLE = """
insert into merchants (id, name) values (%(merchant)s, 'Growth');
insert into endpoints (id, merchant_id, url, event_types, secret_sealed, created_at, updated_at)
values (%(endpoint)s, %(merchant)s, 'https://example.com/acuse', '{}', '\\x00', now(), now())
"""
WAITING = """
with resting as (
    insert into inbox_events (id, psp, account, event_key, content_digest, status, reason, verified_with, attempts,
        received_at, next_attempt_at, processed_at)
    select n, 'stripe', 'default', 'evt_resting' || n, sha256(('resting' || n)::bytea),
        case when n < %(first)s + %(resting)s then 'received' else 'parked' end,
        case when n < %(first)s + %(resting)s then 'waiting for its payment' else 'unmatched' end, 'sha256:b111bd95', 1,
        %(at)s, cast(%(at)s as timestamptz) + interval '1 day', case when n >= %(first)s + %(resting)s then now() end
    from generate_series(%(first)s, %(last)s) n returning id, status, received_at
), payloads as (
    insert into inbox_payloads (event_id, received_at, headers, body, body_sha256)
    select id, received_at, '[]', convert_to(repeat('.', %(body_bytes)s), 'UTF8'), sha256('') from resting
), decided as (
    insert into transitions (id, event_id, ordinal, kind, outcome, reason, source, facts, occurred_at, recorded_at)
    select id, id, 0, 'refunded', 'UNMATCHED', 'no payment of ours fits it', 'webhook', '{}', received_at, received_at
    from resting where status = 'parked'
)
insert into waiting_references (psp, account, psp_ref, event_id)
select 'stripe', 'default', 'ch_unknown' || id, id from resting where status = 'parked'
"""
# What beat would have learned and counted by now, so that it does not look further back than the last hour.
RATES = """
insert into arrival_rates (psp, account, hour, per_hour, samples, learned_until)
select 'stripe', 'default', hour, 100, 30, date_trunc('hour', now()) from generate_series(0, 23) hour;
insert into key_uses (psp, account, label, last_used_at, last_event_id)
select 'stripe', 'default', 'sha256:b111bd95', max(received_at), max(id) from inbox_events
"""
SEQUENCES = """
select setval(pg_get_serial_sequence(t, 'id'), (select greatest(max(id), 1) from inbox_events))
from unnest(array['inbox_events', 'transitions']) t
"""
TOKENS = "create index ix_payment_search_tokens on payment_search using gin (tokens) with (fastupdate = off)"


def seed(url: str, history: History, progress: Progress, name: str) -> None:
    """Two connections at work: the inbox on one, all that it led to on the other."""
    connection = _connect(url)
    _add_partitions(url, history)
    with connection.cursor() as cursor:
        cursor.execute(PEOPLE, {"merchant": MERCHANT, "endpoint": ENDPOINT})
        cursor.execute("drop index ix_payment_search_tokens")
    inbox_tables = ", ".join(["inbox_events", *(f"inbox_payloads_{month:%Y_%m}" for month in history.months)])
    with ThreadPoolExecutor(2) as threads:
        parts = ((INBOX, inbox_tables, "inbox"), (MONEY, MONEY_TABLES, "payments and their history"))
        running = [threads.submit(_fill, url, history, progress, *part[:2], f"{name}: {part[2]}") for part in parts]
        for one in running:
            one.result()
    with connection.cursor() as cursor:
        _finish(cursor, history, progress, name)
    connection.close()


def _finish(cursor: Any, history: History, progress: Progress, name: str) -> None:
    first = STEPS * history.payments + 1
    values = {"first": first, "last": history.events, "resting": RESTING, "at": history.ends_at}
    steps = {
        "what waits": (WAITING, values | {"body_bytes": history.body_bytes}),
        "rates": (RATES, None),
        "sequences": (SEQUENCES, None),
        "index of search": (TOKENS, None),
        "vacuum and analyze": ("vacuum (analyze)", None),
    }
    task = progress.add_task(f"{name}: the rest", total=len(steps))
    for what, step in steps.items():
        progress.update(task, description=f"{name}: {what}")
        cursor.execute(*step)
        progress.advance(task)


def _fill(url: str, history: History, progress: Progress, steps: tuple[str, ...], tables: str, name: str) -> None:
    """Vacuum follows each chunk while its pages are at hand, or it would write all of them a second time at the end."""
    connection, total = _connect(url), history.payments
    task = progress.add_task(name, total=total)
    with connection.cursor() as cursor:
        for first in range(1, total + 1, CHUNK):
            last = min(first + CHUNK - 1, total)
            for step in steps:
                cursor.execute(step, _values(history) | {"first": first, "last": last})
            cursor.execute(f"vacuum (truncate off) {tables}")
            progress.advance(task, last - first + 1)
    connection.close()


def _values(history: History) -> dict[str, Any]:
    return {
        "starts_at": history.starts_at,
        "pause": history.pause,
        "scattered": history.are_keys_scattered,
        "body_bytes": history.body_bytes,
        "merchant": MERCHANT,
        "default_merchant": DEFAULT_MERCHANT_ID,
        "endpoint": ENDPOINT,
    }


def _connect(url: str) -> Any:
    psycopg2.extras.register_uuid()
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("set synchronous_commit = off")
        cursor.execute("set maintenance_work_mem = '1GB'")
        cursor.execute("set work_mem = '256MB'")
        cursor.execute("set session_replication_role = replica")  # no foreign key is looked up: all are right by design
    return connection


def _add_partitions(url: str, history: History) -> None:
    engine = open_engine(url.replace("postgresql:", "postgresql+psycopg2:"), "cli")
    with engine.begin() as connection:
        add_partitions(connection, history.months)
    engine.dispose()
