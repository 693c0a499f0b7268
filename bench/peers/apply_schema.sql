-- Three tables like Acuse's, narrow: payments, their events (three each) and a history row for each event.
create table apply_payments (
    id bigint primary key,
    state text not null default 'pending',
    received_minor bigint not null default 0,
    updated_at timestamptz not null default now()
) with (fillfactor = 80);
create table apply_events (
    id bigint primary key,
    payment_id bigint not null,
    status text not null default 'received',
    state text not null default 'completed',
    amount_minor bigint not null default 150050,
    received_at timestamptz not null default now(),
    processed_at timestamptz
) with (fillfactor = 80);
create index on apply_events (id) where status = 'received';
create table apply_transitions (
    id bigint generated always as identity primary key,
    payment_id bigint not null,
    event_id bigint not null,
    from_state text not null,
    to_state text not null,
    outcome text not null,
    source text not null,
    occurred_at timestamptz not null,
    recorded_at timestamptz not null
);
create index on apply_transitions (payment_id, id);
insert into apply_payments (id) select generate_series(0, 133333);
insert into apply_events (id, payment_id) select n, n / 3 from generate_series(0, 399999) n;
analyze apply_payments, apply_events;
