"""the transitions of each payment are chained by their digests, so that what is changed by hand shows; nobody is held up"""

from alembic import op

revision = "0012"
down_revision = "0011"

# The digest of a row and of the link before it. Times as numbers and JSON as text do not depend on a session's settings.
LINK = """
create or replace function transition_link(previous bytea, t transitions) returns bytea language sql stable as $$
    select sha256(coalesce(previous, ''::bytea) || convert_to(jsonb_build_array(
        t.id, t.payment_id, t.event_id, t.ordinal, t.kind, t.from_state, t.to_state, t.outcome, t.reason, t.source,
        t.received_minor, t.refunded_minor, t.facts, extract(epoch from t.occurred_at), extract(epoch from t.recorded_at)
    )::text, 'UTF8'))
$$
"""
# Whoever adds a transition holds the lock of its payment. One without a payment belongs to no chain.
LOCK_TIMEOUT = "1500ms"
ADD = """
create or replace function link_transition() returns trigger language plpgsql set search_path from current as $$
begin
    if new.payment_id is not null then
        new.link := transition_link(
            (select link from transitions where payment_id = new.payment_id order by id desc limit 1), new);
    end if;
    return new;
end $$
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(f"set lock_timeout = '{LOCK_TIMEOUT}'")  # an autovacuum gives way to those who wait for a second
        op.execute("alter table transitions add column if not exists link bytea")
        op.execute(LINK)
        op.execute(ADD)
        op.execute(
            "create or replace trigger transitions_are_linked before insert on transitions"
            " for each row execute function link_transition()"
        )


def downgrade() -> None:
    op.execute("drop trigger transitions_are_linked on transitions")
    op.execute("drop function link_transition()")
    op.execute("drop function transition_link(bytea, transitions)")
    op.execute("alter table transitions drop column link")
