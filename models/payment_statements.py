"""The statements of models.payments: rows go in as one JSON array, so that a batch is one round trip."""

from sqlalchemy import text

# A plain join may use any index that begins with psp and account, and does in a table without statistics: then every key
# reads all payments of its account. Only the unique index has the order that is asked for here.
FIND = text("""
select k.psp, k.account, k.value, p.id
from json_to_recordset(cast(:rows as json)) as k (psp text, account text, value text),
lateral (
    select id, psp, account, psp_payment_id from payments
    where (psp, account, psp_payment_id) >= (k.psp, k.account, k.value)
    order by psp, account, psp_payment_id limit 1) p
where (p.psp, p.account, p.psp_payment_id) = (k.psp, k.account, k.value)
""")

FIND_BY_REFERENCE = text("""
select k.psp, k.account, k.value, r.payment_id as id
from json_to_recordset(cast(:rows as json)) as k (psp text, account text, value text)
join payment_references r on (r.psp, r.account, r.psp_ref) = (k.psp, k.account, k.value)
""")

FIND_OWN = text("""
select k.psp, k.account, k.value, p.id, p.psp_payment_id
from json_to_recordset(cast(:rows as json)) as k (psp text, account text, value text)
join payment_references r on (r.psp, r.account, r.psp_ref) = (k.psp, k.account, k.value)
join payments p on p.id = r.payment_id
""")

FIND_BY_ID = text("select id, psp_payment_id from payments where id = any(:ids)")

FIND_DEPOSIT_MERCHANT = text("""
select k.psp, k.account, k.value, d.merchant_id as id
from json_to_recordset(cast(:rows as json)) as k (psp text, account text, value text)
join deposit_accounts d on (d.psp, d.account, d.clabe) = (k.psp, k.account, k.value)
""")

# What a move tells, and the details in it.
MOVED = """(
    id uuid, version bigint, from_state text, state text, amount_minor bigint, received_minor bigint,
    refunded_minor bigint, currency text, place_at timestamptz, place_rank smallint, place_key text, details json,
    clabe text, updated_at timestamptz, psp_payment_id text)"""
DETAILS = """(
    method text, merchant_reference text, expires_at timestamptz, psp_created_at timestamptz, operating_day date,
    fee_minor bigint, crypto_asset text, crypto_network text, crypto_base_units numeric, crypto_scale smallint,
    crypto_tx_hash text)"""

# The row is the one that MOVE would leave. Without a move, `m` and `d` are one row of nulls.
ADD_ONCE = text(f"""
insert into payments (id, merchant_id, psp, account, psp_payment_id, direction, livemode, origin, created_at, updated_at,
    version, method, state, amount_minor, received_minor, refunded_minor, currency, place_at, place_rank, place_key, clabe,
    merchant_reference, expires_at, psp_created_at, operating_day, fee_minor, crypto_asset, crypto_network,
    crypto_base_units, crypto_scale, crypto_tx_hash)
select n.id, n.merchant_id, n.psp, n.account, n.psp_payment_id, n.direction, n.livemode, n.origin, n.created_at,
    coalesce(m.updated_at, n.created_at), case when m.id is null then 0 else 1 end,
    case when m.id is null then n.method else coalesce(d.method, 'unknown') end, coalesce(m.state, n.state),
    m.amount_minor, coalesce(m.received_minor, 0), coalesce(m.refunded_minor, 0), m.currency, m.place_at, m.place_rank,
    m.place_key, m.clabe, d.merchant_reference, d.expires_at, d.psp_created_at, d.operating_day, d.fee_minor,
    d.crypto_asset, d.crypto_network, d.crypto_base_units, d.crypto_scale, d.crypto_tx_hash
from json_to_recordset(cast(:rows as json)) as t (new json, moved json),
json_to_record(t.new) as n (
    id uuid, merchant_id uuid, psp text, account text, psp_payment_id text, method text, direction text, state text,
    livemode boolean, origin text, created_at timestamptz),
json_to_record(t.moved) as m {MOVED},
json_to_record(m.details) as d {DETAILS}
order by n.psp, n.account, n.psp_payment_id
on conflict on constraint uq_payments_psp_payment_id do nothing
returning id
""")  # noqa: S608 - constants

STANDING = """
select id, merchant_id, state, amount_minor, received_minor, refunded_minor, currency, origin, livemode, place_at, place_rank,
       place_key, version, psp_payment_id, json_strip_nulls(json_build_object(
           'method', nullif(method, 'unknown'), 'merchant_reference', merchant_reference, 'expires_at', expires_at,
           'psp_created_at', psp_created_at, 'operating_day', operating_day, 'fee_minor', fee_minor,
           'crypto_asset', crypto_asset, 'crypto_network', crypto_network, 'crypto_base_units', crypto_base_units::text,
           'crypto_scale', crypto_scale, 'crypto_tx_hash', crypto_tx_hash)) as details
from payments where id = any(:ids) order by id
"""
READ = text(STANDING)
LOCK = text(f"{STANDING} for no key update")

# What describes a payment is the newest that its events say; what a merchant asked for stays, and so do the first words
# about when it was made: a payment never moves to another day of its account's books.
MOVE = text(f"""
update payments p set state = m.state, amount_minor = m.amount_minor, received_minor = m.received_minor,
    refunded_minor = m.refunded_minor, currency = m.currency, place_at = m.place_at, place_rank = m.place_rank,
    place_key = m.place_key, version = p.version + 1, updated_at = m.updated_at, clabe = coalesce(p.clabe, m.clabe),
    psp_payment_id = coalesce(p.psp_payment_id, m.psp_payment_id),
    method = case when p.origin = 'api' then p.method else coalesce(d.method, 'unknown') end,
    merchant_reference = case when p.origin = 'api' then p.merchant_reference else d.merchant_reference end,
    psp_created_at = coalesce(p.psp_created_at, d.psp_created_at),
    operating_day = coalesce(p.operating_day, d.operating_day), fee_minor = d.fee_minor,
    expires_at = d.expires_at, crypto_asset = d.crypto_asset, crypto_network = d.crypto_network,
    crypto_base_units = d.crypto_base_units, crypto_scale = d.crypto_scale, crypto_tx_hash = d.crypto_tx_hash
from json_to_recordset(cast(:rows as json)) as m {MOVED},
json_to_record(m.details) as d {DETAILS}
where p.id = m.id and p.state = m.from_state and p.version = m.version
""")  # noqa: S608 - constants

ADD_REFERENCES = text("""
insert into payment_references (psp, account, psp_ref, payment_id)
select psp, account, psp_ref, payment_id from json_to_recordset(cast(:rows as json)) as t (
    psp text, account text, psp_ref text, payment_id uuid)
order by psp, account, psp_ref
on conflict do nothing
returning payment_id
""")
