"""What waits for people, beside a history in which everything is finished: so that their pages have something to show."""

import psycopg2

WAITING, DIFFERENCES = 3_000, 2_000  # of each kind

# Nothing is due for a day: the workers of the measurement leave it alone. A second time nothing is added.
EVENTS = """
insert into inbox_events (psp, account, event_key, content_digest, verified_with, received_at, next_attempt_at, source, status,
    reason, attempts, processed_at)
select 'stripe', 'default', 'waiting_' || status || n, decode(repeat('00', 32), 'hex'), 'bench', at, now() + interval '1 day',
    'webhook', status, case status when 'received' then 'unmatched' when 'parked' then 'unmatched ' || n %% 7 end, 1,
    case when status not in ('received', 'hint') then at end
from unnest(array['parked', 'ignored', 'hint', 'received']) as s (status), generate_series(1, %(waiting)s) as g (n),
    lateral (select now() - n * interval '1 minute' as at) a
on conflict do nothing
"""
DISCREPANCIES = """
insert into discrepancies (source, psp, account, psp_payment_id, payment_id, account_day, kind, ours, theirs, healing, opened_at,
    closed_at, closed_reason)
select 'reconciliation', psp, account, psp_payment_id, id, current_date - (n %% 30)::int, 'state', '{"state": "pending"}',
    '{"state": "completed"}', 'none', now(), case when n %% 4 > 0 then now() end, case when n %% 4 > 0 then 'healed' end
from (select *, row_number() over () as n from payments order by id limit %(differences)s) p
where not exists (select 1 from discrepancies)
on conflict do nothing
"""


def add_waiting(url: str) -> None:
    """Events that are parked, ignored, to be fetched and left for later, and differences of which a quarter are open."""
    values = {"waiting": WAITING, "differences": DIFFERENCES}
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(EVENTS, values)
        cursor.execute(DISCREPANCIES, values)
    connection.close()
