\set n :n + 1
\set event :client_id * 100000000 + :n
insert into inbox_limit (psp, account, event_key, content_digest, received_at, body) values ('stripe', 'default', 'evt_' || (:event)::bigint, sha256(:body), now(), :body) on conflict (psp, account, event_key) do nothing;
