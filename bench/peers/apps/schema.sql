-- The tables of the FastAPI and Flask peers: an inbox that knows each event once, and payments with their history.
create table events (
    id bigint generated always as identity primary key,
    event_id text not null unique,
    kind text not null,
    body bytea not null,
    received_at timestamptz not null default now(),
    processed_at timestamptz,
    outcome text
);
create table payments (
    id bigint generated always as identity primary key,
    psp_payment_id text not null unique,
    state text not null default 'pending',
    received_minor bigint not null default 0,
    refunded_minor bigint not null default 0,
    place_at bigint not null default 0,
    updated_at timestamptz not null default now()
) with (fillfactor = 80);
create table transitions (
    id bigint generated always as identity primary key,
    payment_id bigint not null references payments,
    event_id bigint not null references events,
    from_state text not null,
    to_state text not null,
    outcome text not null,
    occurred_at timestamptz not null,
    recorded_at timestamptz not null default now()
);
