"""The statements that write a history straight into the tables: each takes the events or payments from `first` to `last`."""

from bench.growth.history import AMOUNT, CHARGE, END, INTENT, REFUND, VOLATILE
from models.requests import OWN
from models.states import EventKind
from workers.state_machine import RANK


def _tail(kind: str, number: str, length: int = 16) -> str:
    return f"left(translate(encode(sha256(('{kind}' || {number})::bytea), 'base64'), '+/=', 'xyz'), {length})"


def _uuid(kind: str, number: str, at: str) -> str:
    """A UUID of version 7 that is always the same for this number."""
    milliseconds = f"lpad(to_hex((extract(epoch from {at}) * 1000)::bigint), 12, '0')"
    return f"""overlay(overlay({milliseconds} || right(md5('{kind}' || {number}), 20)
        placing '7' from 13 for 1) placing '8' from 17 for 1)::uuid"""


def _at(event: str) -> str:
    return f"cast(%(starts_at)s as timestamptz) + ({event} - 1) * cast(%(pause)s as interval)"


def _clock(at: str) -> str:
    return f"lpad(to_hex(floor(extract(epoch from {at}))::bigint), 8, '0')"


def _literal(text: str) -> str:
    """Of a statement that psycopg2 looks through for %%."""
    return "'" + text.replace("%", "%%") + "'"


BIRTH = _at("3 * (p - 1) + 1")
# Of payment p: who it is, and what became of it.
PAYMENT = f"""
select p, {BIRTH} as born_at, {_uuid("payment", "p", BIRTH)} as id,
    'pi_' || {_clock(BIRTH)} || {_tail("payment", "p")} as intent,
    'ch_' || {_clock(BIRTH)} || {_tail("charge", "p")} as charge, 'ORD-' || p as reference,
    case when p %% 10 < 3 then 'completed' when p %% 10 = 9 then 'refunded' else 'partially_refunded' end as state,
    case when p %% 10 < 3 then 0 when p %% 10 = 9 then {AMOUNT} else {REFUND} end as refunded,
    p %% 4 = 0 as is_ours,
    cast(case p %% 4 when 0 then %(merchant)s else %(default_merchant)s end as uuid) as merchant_id
from generate_series(cast(%(first)s as bigint), %(last)s) p
"""

KEY = f"""'evt_' || case when %(scattered)s then {_tail("event", "n", 24)}
    else {_clock(_at("n"))} || {_tail("event", "n")} end"""

# Of event n: step k of payment p.
EVENT = f"""
select e.*, {_at("n")} as at, {KEY} as key
from (select p.*, 3 * (p - 1) + k as n, k from ({PAYMENT}) p, generate_series(1, 3) k) e
"""

BODIES = f"""
select n, at, key, k, p, case when k = 3 then
    format({_literal(CHARGE)}, key, floor(extract(epoch from at))::bigint, charge, refunded, intent,
        case when state = 'refunded' then 'true' else 'false' end,
        case when state = 'completed' then 'succeeded' else 'refunded' end)
    else format({_literal(INTENT)}, key, floor(extract(epoch from at))::bigint, intent, case k when 2 then {AMOUNT} else 0 end,
        case k when 2 then 'succeeded' else 'requires_action' end, reference,
        case k when 2 then 'succeeded' else 'requires_action' end) end as body
from ({EVENT}) e
"""

WHOLE = f"""
select n, at, key, k = 3 and p %% 10 < 3 as is_ignored,
    body || repeat('.', greatest(0, %(body_bytes)s - length(body) - {len(END)})) || '{END}' as body from ({BODIES}) b
"""

INBOX = f"""
with told as materialized ({WHOLE}), events as (
insert into inbox_events (id, psp, account, event_key, content_digest, status, reason, verified_with, attempts, received_at,
    next_attempt_at, processed_at)
select n, 'stripe', 'default', key, sha256(convert_to(replace(body, '{VOLATILE}', ''), 'UTF8')),
    case when is_ignored then 'ignored' else 'processed' end,
    case when is_ignored then 'details of a charge; the PaymentIntent''s events count' end, 'sha256:b111bd95', 1, at,
    at + interval '5 seconds', at + interval '40 milliseconds' from told order by n)
insert into inbox_payloads (event_id, received_at, headers, body, body_sha256)
select n, at, jsonb_build_array(jsonb_build_array('host', 'bench'), jsonb_build_array('content-type', 'application/json'),
    jsonb_build_array('stripe-signature', 't=' || floor(extract(epoch from at))::bigint || ',v1='
        || encode(sha256(('signature' || n)::bytea), 'hex')),
    jsonb_build_array('content-length', length(body)::text)),
    convert_to(body, 'UTF8'), sha256(convert_to(body, 'UTF8')) from told order by n
"""

PAYMENTS = f"""
insert into payments (id, merchant_id, psp, account, psp_payment_id, method, state, amount_minor, received_minor, refunded_minor,
    currency, livemode, origin, merchant_reference, place_at, place_rank, place_key, version, created_at, updated_at)
select id, merchant_id, 'stripe', 'default', intent, 'oxxo', state, {AMOUNT}, {AMOUNT}, refunded, 'MXN', false,
    case when is_ours then 'api' else 'webhook' end, reference, at,
    case when k = 2 then {RANK[EventKind.COMPLETED]} else {RANK[EventKind.REFUNDED]} end,
    lpad(refunded::text, 19, '0') || lpad('{AMOUNT}', 19, '0') || key || '/0', 2, born_at, at + interval '40 milliseconds'
from ({EVENT}) e where k = case when state = 'completed' then 2 else 3 end order by p
"""

REFERENCES = f"""
insert into payment_references (psp, account, psp_ref, payment_id)
select 'stripe', 'default', charge, id from ({PAYMENT}) p
union all select 'stripe', 'default', '{OWN}AC' || upper(right(intent, 20)), id from ({PAYMENT}) p where is_ours
order by 3
"""

TRANSITIONS = f"""
insert into transitions (id, payment_id, event_id, ordinal, kind, from_state, to_state, outcome, reason, source, received_minor,
    refunded_minor, facts, occurred_at, recorded_at)
select n, id, n, 0, (array['pending', 'completed', 'refunded'])[k], case k when 3 then 'completed' else 'pending' end,
    case k when 1 then 'pending' when 2 then 'completed' else state end, 'APPLIED',
    case when k = 1 and not is_ours then 'adopted' end, 'webhook', case k when 1 then 0 else {AMOUNT} end,
    case k when 3 then refunded else 0 end, jsonb_strip_nulls(jsonb_build_object('at', to_char(at at time zone 'UTC',
        'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'), 'key', key || '/0', 'kind', (array['pending', 'completed', 'refunded'])[k],
        'amount', {AMOUNT}, 'currency', 'MXN', 'received', case when k > 1 then {AMOUNT} end,
        'refunded', case k when 3 then refunded end,
        'details', case when k < 3 then jsonb_build_object('method', 'oxxo', 'merchant_reference', reference) end)),
    date_trunc('second', at), at + interval '40 milliseconds'
from ({EVENT}) e where k < 3 or state <> 'completed' order by n
"""

# As models.search writes it: one line for each id, and a number for each three letters of a line.
SEARCH = f"""
insert into payment_search (payment_id, merchant_id, document, tokens)
select id, merchant_id, lower(concat_ws(E'\\n', reference, intent, charge)), array(
    select distinct case when v > 2147483647 then v - 4294967296 else v end::integer
    from unnest(array[lower(reference), lower(intent), lower(charge)]) line, generate_series(1, length(line) - 2) i,
        crc32(uuid_send(merchant_id) || convert_to(substr(line, i, 3), 'UTF8')) v)
from ({PAYMENT}) p
"""

ATTEMPTS = f"""
insert into attempts (id, payment_id, psp, account, operation, idempotency_key, request, status, sends, first_sent_at,
    last_sent_at, next_attempt_at, instructions, created_at, settled_at)
select {_uuid("attempt", "p", "born_at")}, id, 'stripe', 'default', 'create', id::text, '{{"method": "oxxo"}}', 'done', 1,
    born_at, born_at, born_at, jsonb_build_object('kind', 'voucher', 'reference', right(intent, 14)), born_at,
    born_at + interval '1 second' from ({PAYMENT}) p where is_ours
"""

# What is older was forgotten by now.
TOLD = f"""
select e.*, {_uuid("notification", "n", "at")} as notification_id,
    'payment.' || case k when 1 then 'created' when 2 then 'completed' else state end as type
from ({EVENT}) e where is_ours and (k < 3 or state <> 'completed') and at > now() - interval '90 days'
"""

NOTIFICATIONS = f"""
insert into notifications (id, merchant_id, payment_id, sequence, event_type, body, created_at)
select notification_id, merchant_id, id, k, type, convert_to(jsonb_build_object('type', type, 'timestamp', at, 'data',
    jsonb_build_object('payment', jsonb_build_object('id', id, 'state', state, 'previous_state', 'pending', 'method', 'oxxo',
        'psp', 'stripe', 'account', 'default', 'psp_payment_id', intent, 'amount_minor', {AMOUNT}, 'received_minor', {AMOUNT},
        'refunded_minor', refunded, 'currency', 'MXN', 'livemode', false, 'reference', reference, 'description', null,
        'payer_reference', null, 'created_at', born_at, 'updated_at', at),
    'sequence', k, 'reason', null, 'occurred_at', at))::text, 'UTF8'), at from ({TOLD}) t
"""

DELIVERIES = f"""
insert into notification_deliveries (notification_id, endpoint_id, merchant_id, status, attempts, next_attempt_at,
    last_status, created_at, settled_at)
select notification_id, %(endpoint)s, merchant_id, 'delivered', 1, at, 200, at, at + interval '1 second' from ({TOLD}) t
"""

CALLS = f"""
insert into notification_attempts (notification_id, endpoint_id, merchant_id, number, sent_at, status, latency_ms)
select notification_id, %(endpoint)s, merchant_id, 1, at, 200, 41 from ({TOLD}) t
"""
