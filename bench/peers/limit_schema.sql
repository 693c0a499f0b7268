-- An inbox like Acuse's in one table: what it must hold, its key, and a body of 1.2 kB.
drop table if exists inbox_limit;
create table inbox_limit (
    id bigint generated always as identity primary key,
    psp text not null,
    account text not null,
    event_key text not null,
    content_digest bytea not null,
    status text not null default 'received',
    received_at timestamptz not null,
    body bytea not null,
    constraint uq_inbox_limit unique (psp, account, event_key)
);
