\set turn (:turn + 1) % 1000
\set first :client_id * 200000 + :turn * 200
begin;
select id from apply_payments where id in (select payment_id from apply_events where id >= :first and id < :first + 200) order by id for no key update;
update apply_payments p set state = e.state, received_minor = e.amount_minor, updated_at = now() from (select distinct on (payment_id) * from apply_events where id >= :first and id < :first + 200 order by payment_id, id desc) e where p.id = e.payment_id;
insert into apply_transitions (payment_id, event_id, from_state, to_state, outcome, source, occurred_at, recorded_at) select payment_id, id, 'pending', state, 'applied', 'webhook', received_at, now() from apply_events where id >= :first and id < :first + 200;
update apply_events set status = 'processed', processed_at = now() where id >= :first and id < :first + 200;
commit;
