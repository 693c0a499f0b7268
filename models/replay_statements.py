"""The statements of models.replay_repository."""

from sqlalchemy import text

# One window of the index of what can go again; of it what fits, and the last row, from where the next one begins.
SCAN = text("""
with seen as materialized (
    select id, received_at, psp, account, status, reason from inbox_events
    where status in ('parked', 'ignored') and (received_at, id) > (:after_at, :after_id) and received_at < :until
    order by received_at, id limit :window
), fitting as (
    select id, received_at from seen
    where (cast(:psp as text) is null or psp = :psp) and (cast(:account as text) is null or account = :account)
        and (cast(:status as text) is null or status = :status) and (cast(:reason as text) is null or reason = :reason)
        and starts_with(coalesce(reason, ''), :reason_begins) and (:may_be_dismissed or reason is distinct from 'dismissed')
    order by received_at, id limit :limit
), told as (
    select id, received_at, true as fits from fitting
    union all (select id, received_at, false from seen order by received_at desc, id desc limit 1)
)
select id, received_at, fits, (select count(*) from seen) as seen from told order by received_at, id, fits desc
""")

STORED = """
select e.id, e.psp, e.account, e.event_key, e.source, e.received_at, e.decision, e.status, e.reason, e.verified_with,
    p.event_id is not null and p.erased_at is null as has_payload, p.headers, p.body, p.key_id, p.redacted, p.body_sha256
from inbox_events e left join inbox_payloads p on p.event_id = e.id and p.received_at = e.received_at
where e.id = any({ids}) order by e.received_at, e.id
"""
LOAD = text(STORED.format(ids=":ids"))
LOAD_OF_PAYMENT = text(
    STORED.format(ids="array(select event_id from transitions where payment_id = :id and outcome <> 'UNMATCHED')")
)

PAYMENTS_OF_EVENTS = text("""
with seen as materialized (
    select id, psp, account, received_at from inbox_events where id > :after_id order by id limit :window
)
select (select max(id) from seen) as last_id, (
    select array_agg(distinct t.payment_id) from seen s
    join transitions t on t.event_id = s.id and t.outcome <> 'UNMATCHED'
    where (cast(:psp as text) is null or s.psp = :psp) and (cast(:account as text) is null or s.account = :account)
        and (cast(:from_at as timestamptz) is null or s.received_at >= :from_at)
        and (cast(:to_at as timestamptz) is null or s.received_at < :to_at)
) as payment_ids
""")

RUN = """id, wanted, author, reason, state, rate, most, accepts_recorded, until_at, after_at, after_id, replayed, same_again,
    refused, forgotten, created_at, spent_until, held_back_at, ended_at, failures, failing_with"""

ADD = text(f"""
insert into replay_runs (wanted, author, reason, rate, most, accepts_recorded, until_at, after_at, created_at, spent_until)
values (:wanted, :author, :reason, :rate, :most, :accepts_recorded, :until, :dawn, :now, :now) returning {RUN}
""")  # noqa: S608 - constants

HOLD = text(f"select {RUN} from replay_runs where id = :id and state = 'running' for update skip locked")  # noqa: S608 - constants

FIND = text(f"select {RUN} from replay_runs where id = :id")  # noqa: S608 - constants

LIST = text(f"select {RUN} from replay_runs order by id desc limit :limit")  # noqa: S608 - constants

LIST_RUNNING = text("select id from replay_runs where state = 'running' order by id limit :limit")

MOVE = text("""
update replay_runs set state = :state, after_at = :after_at, after_id = :after_id, spent_until = :spent_until,
    replayed = replayed + :replayed, same_again = same_again + :same_again, refused = refused + :refused,
    forgotten = forgotten + :forgotten, held_back_at = :held_back_at, ended_at = :ended_at, failures = :failures,
    failing_with = :failing_with
where id = :id
""")

ADD_BATCH = text("""
insert into replay_batches (run_id, number, event_ids, done_at) values (:run_id, :number, :event_ids, :now)
""")

NOTE_FAILURE = text("""
update replay_runs set failures = failures + 1, failing_with = :failing_with,
    state = case when failures + 1 >= :most then 'paused' else state end,
    held_back_at = case when failures + 1 >= :most then null else held_back_at end
where id = :id and state = 'running'
""")

SWITCH = text("""
update replay_runs set state = :state, ended_at = :ended_at, held_back_at = null, spent_until = greatest(spent_until, :now),
    failures = case when :state = 'running' then 0 else failures end,
    failing_with = case when :state = 'running' then null else failing_with end
where id = :id and state in ('running', 'paused') and state <> :state
""")
