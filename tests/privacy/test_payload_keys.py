"""Payloads at rest: sealed where keys are set, readable with any of them, and nobody else's."""

import base64
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, create_engine, text

import cli
from bootstrap_starting import check_start
from config import ConfigError, load_config
from models.inbox import InboxStore
from models.payload_vault import (
    CANNOT_OPEN,
    KEY_MISSING,
    Belonging,
    PayloadLocked,
    PayloadVault,
    StoredPayload,
    use_vault,
)
from models.schema import NotReady
from models.unit_of_work import UnitOfWork
from psps.registry import PSPS
from tests.ingress.senders import environment
from tests.paper import NOON, write_delivery
from tests.privacy.people import CLABE, EMAIL, NAME, TRACES, bring_all, find_traces
from tests.workers.desk import Desk, Rules
from tests.workers.test_services import PAID
from workers.reading import KEY_WAIT
from workers.services import process_events

OLD, NEW, OTHER = (base64.urlsafe_b64encode(os.urandom(32)).decode() for _ in range(3))
Acuse = Callable[..., Result]


def id_of(key: str) -> str:
    newest = PayloadVault.from_texts([key]).newest
    assert newest
    return newest


def with_keys(engine: Engine, *keys: str) -> Engine:
    return use_vault(create_engine(engine.url), PayloadVault.from_texts(keys))


def acuse(engine: Engine, *keys: str) -> Acuse:
    environment = {
        "ACUSE_DATABASE_URL": engine.url.render_as_string(hide_password=False).replace("+psycopg2", ""),
        "ACUSE_BROKER_URL": "redis://127.0.0.1:1/0",
        "ACUSE_PSPS": "stripe",
        "ACUSE_STRIPE_WEBHOOK_SECRETS": "whsec_9fQ2researchVectorKey0123456789",
        "ACUSE_PAYLOAD_KEYS": ",".join(keys),
    }
    return lambda *arguments: CliRunner().invoke(cli.main, arguments, env=environment)


def read(result: Result, code: int = 0) -> Any:
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def keys_of_rows(engine: Engine) -> list[str | None]:
    with engine.connect() as connection:
        return list(connection.scalars(text("select key_id from inbox_payloads order by event_id")))


WHOSE = Belonging("stripe", "default", "evt_1")


def test_what_is_sealed_opens_with_its_key_alone_and_for_its_event_alone():
    vault, headers = PayloadVault.from_texts([NEW, OLD]), [("a", "b"), ("a", "ñ")]
    sealed = vault.seal(WHOSE, headers, b"\x00\xff body")
    assert (sealed.key_id, sealed.headers) == (id_of(NEW), [])
    assert b"body" not in sealed.body
    assert vault.open(WHOSE, sealed) == (headers, b"\x00\xff body")
    assert PayloadVault.from_texts([OLD, NEW]).open(WHOSE, sealed) == (headers, b"\x00\xff body")
    assert sealed.body != vault.seal(WHOSE, headers, b"\x00\xff body").body
    with pytest.raises(PayloadLocked, match=f"{KEY_MISSING}: {id_of(NEW)}"):
        PayloadVault.from_texts([OLD]).open(WHOSE, sealed)
    for whose in (replace(WHOSE, event_key="evt_2"), replace(WHOSE, account="a"), replace(WHOSE, psp="stp")):
        with pytest.raises(PayloadLocked, match=CANNOT_OPEN):
            vault.open(whose, sealed)
    for place in (0, 12, len(sealed.body) - 1):
        changed = bytearray(sealed.body)
        changed[place] ^= 1
        with pytest.raises(PayloadLocked, match=CANNOT_OPEN):
            vault.open(WHOSE, replace(sealed, body=bytes(changed)))
    for short in (b"", sealed.body[:11], sealed.body[:20]):
        with pytest.raises(PayloadLocked, match=CANNOT_OPEN):
            vault.open(WHOSE, replace(sealed, body=short))


def test_names_cannot_be_mistaken_for_each_other():
    assert Belonging("a", "b", "c").digest() != Belonging("a", "bc", "").digest()
    assert Belonging("a", 'b","c', "d").digest() != Belonging("a", "b", 'c","d').digest()


def test_without_keys_all_is_in_clear_and_stays_readable_with_keys():
    plain = PayloadVault()
    stored = plain.seal(WHOSE, [("a", "b")], b"body")
    assert stored == StoredPayload(None, [("a", "b")], b"body")
    assert PayloadVault.from_texts([NEW]).open(WHOSE, StoredPayload(None, [["a", "b"]], b"body")) == (
        [("a", "b")],
        b"body",
    )


def test_deliveries_are_applied_the_same_sealed_or_not(engine, make_database):
    def story(desk: Desk) -> Any:
        desk.receive(write_delivery(payment="p1", **PAID, key="e1"))
        desk.receive(write_delivery(payment="p1", kind="refunded", refunded_minor=100, key="e2"))
        desk.receive(write_delivery(ignored="no matter", key="e3"), write_delivery(ignored="other", key="e3"))
        return desk.payment(), desk.decisions(), desk.statuses()

    plain, sealed = Desk(engine), Desk(with_keys(create_engine(make_database()), NEW))
    assert story(plain) == story(sealed)
    assert set(keys_of_rows(plain.engine)) == {None}
    assert keys_of_rows(sealed.engine) == [id_of(NEW)] * 4


def test_the_database_holds_nobody_in_clear(engine):
    """Every PSP's deliveries, taken to the end: no name, account, address or number stands anywhere."""
    desk = Desk(with_keys(engine, NEW))
    desk.deps = replace(
        desk.deps,
        readers={name: psp.events for name, psp in PSPS.items()},
        accounts={(name, "default"): Rules() for name in PSPS},
        unmatched_wait=timedelta(0),
    )
    deliveries = bring_all()
    assert all(any(trace in one.body.decode().lower() for trace in TRACES) for one in deliveries)
    for at in range(0, len(deliveries), 20):
        desk.receive(*deliveries[at : at + 20])
    assert len(deliveries) > 40
    assert desk.rows("select count(*) > 10 from payments") == [(True,)]
    assert desk.rows("select count(*) from inbox_events where status = 'received'") == [(0,)]
    assert find_traces(engine) == {}
    plain = Desk(engine)
    plain.deps = desk.deps
    plain.put(replace(deliveries[0], event_key="another"))
    assert find_traces(engine).keys() >= {"inbox_payloads.body", "inbox_payloads.headers"}


WORK = "select status, reason, attempts, lease_until from inbox_events order by id"


def test_where_a_key_is_missing_the_event_waits_for_a_process_that_has_it(engine):
    """A rolling restart: the receiver seals with the new key already, and an old worker is the first to claim."""
    old = Desk(with_keys(engine, OLD))
    ids = Desk(with_keys(engine, NEW, OLD)).put(write_delivery(payment="p1", **PAID, key="fresh"))
    for _ in range(12):  # more than the attempts that an event has
        old.now += timedelta(minutes=1)
        process_events(old.deps, ids)
        assert old.rows(WORK) == [("received", f"{KEY_MISSING}: {id_of(NEW)}", 0, None)]
        [(pause,)] = old.rows("select extract(epoch from next_attempt_at)::float8 from inbox_events")
        assert 5 <= pause - old.now.timestamp() <= 60
    restarted = Desk(with_keys(engine, NEW, OLD))
    process_events(restarted.deps, ids)
    assert restarted.statuses() == [("processed", None)]
    assert restarted.payment("p1")[0] == "completed"


def test_a_hint_whose_key_is_missing_waits_too(engine):
    from workers.calling import serve_account

    Desk(with_keys(engine, OLD)).receive(write_delivery(hint="p1", key="hint"))
    new = Desk(with_keys(engine, NEW))
    for _ in range(12):
        serve_account(new.deps, "paper", "default")
        assert new.rows(WORK) == [("hint", f"{KEY_MISSING}: {id_of(OLD)}", 0, None)]
        new.now += timedelta(minutes=1)
    new.now += KEY_WAIT
    serve_account(new.deps, "paper", "default")
    assert new.statuses() == [("parked", f"{KEY_MISSING}: {id_of(OLD)}")]


def test_a_key_that_stays_away_parks_the_event_and_not_its_neighbours(engine):
    Desk(with_keys(engine, OLD)).put(write_delivery(payment="p1", **PAID, key="lost"))
    now = Desk(with_keys(engine, NEW))
    now.now += KEY_WAIT
    ids = now.put(write_delivery(payment="p2", **PAID, key="read"))
    process_events(now.deps, [1, *ids])
    assert now.statuses() == [("parked", f"{KEY_MISSING}: {id_of(OLD)}"), ("processed", None)]
    both = Desk(with_keys(engine, NEW, OLD))
    with UnitOfWork(both.engine) as work:
        assert work.inbox.replay([1], both.now) == [1]
        work.commit()
    both.now += timedelta(seconds=1)
    process_events(both.deps, [1])
    assert [status for status, _ in both.statuses()] == ["processed", "processed"]
    assert both.payment("p1")[0] == "completed"


def test_a_key_that_is_said_to_be_lost_parks_at_once(engine):
    Desk(with_keys(engine, OLD)).put(write_delivery(payment="p1", **PAID))
    desk = Desk(with_keys(engine, NEW, f"lost:{id_of(OLD)}"))
    process_events(desk.deps, [1])
    assert desk.statuses() == [("parked", f"{CANNOT_OPEN}: its key {id_of(OLD)} is lost")]


def test_the_first_key_is_handed_out_before_anything_is_sealed_with_it(engine):
    before, given, sealing = (Desk(with_keys(engine, *keys)) for keys in ((), ("clear", NEW), (NEW,)))
    given.put(write_delivery(payment="p1", **PAID))
    assert keys_of_rows(engine) == [None]
    process_events(before.deps, [1])
    sealing.put(write_delivery(payment="p2", **PAID))
    assert keys_of_rows(engine) == [None, id_of(NEW)]
    process_events(given.deps, [2])
    assert given.statuses() == [("processed", None)] * 2


def test_a_start_is_refused_where_a_payload_needs_a_key_that_is_not_there(engine):
    Desk(with_keys(engine, OLD)).put(write_delivery(**PAID))
    url = engine.url.render_as_string(hide_password=False).replace("+psycopg2", "")
    for entries in ("", NEW, f"clear,{NEW}"):
        config = load_config(environment(url, "redis://127.0.0.1:1/0") | {"ACUSE_PAYLOAD_KEYS": entries})
        with pytest.raises(NotReady, match=rf"lacks: {id_of(OLD)}; add them at its end, or lost:<id>"):
            check_start(config, 1)
    for entries in (OLD, f"{NEW},{OLD}", f"clear,{OLD}", f"{NEW},lost:{id_of(OLD)}"):
        check_start(load_config(environment(url, "redis://127.0.0.1:1/0") | {"ACUSE_PAYLOAD_KEYS": entries}), 1)


@pytest.mark.parametrize("form", ["{},clear", "lost:abc", "{},lost:", "{},", "Clear"])
def test_what_is_no_list_of_keys_is_refused_and_not_shown(form):
    entries = form.format(NEW)
    with pytest.raises(ConfigError, match=r"^ACUSE_PAYLOAD_KEYS ") as told:
        load_config(
            environment("postgresql://u:p@127.0.0.1/d", "redis://127.0.0.1:1/0") | {"ACUSE_PAYLOAD_KEYS": entries}
        )
    assert NEW not in str(told.value)


def test_a_row_that_was_moved_to_another_event_is_not_read(engine):
    desk = Desk(with_keys(engine, NEW))
    first, second = desk.put(write_delivery(payment="p1", **PAID), write_delivery(payment="p2", **PAID))
    with engine.begin() as connection:
        moved = (
            "update inbox_payloads set body = (select body from inbox_payloads where event_id = :a) where event_id = :b"
        )
        connection.execute(text(moved), {"a": first, "b": second})
    process_events(desk.deps, [first, second])
    assert [status for status, _ in desk.statuses()] == ["processed", "parked"]
    assert CANNOT_OPEN in desk.statuses()[1][1]


def test_rotation_seals_everything_with_the_newest_key(engine):
    InboxStore(engine).put([write_delivery(key=f"plain{n}", ignored="x") for n in range(3)])
    InboxStore(with_keys(engine, OLD)).put([write_delivery(key=f"old{n}", ignored="x") for n in range(450)])
    run = acuse(engine, NEW, OLD)
    doctor = json.loads(run("doctor", "--json").stdout)
    assert doctor["checks"]["payload keys"] is None
    assert [(key["key_id"], key["is_used"]) for key in doctor["payload_keys"]] == [
        (id_of(NEW), False),
        (id_of(OLD), True),
    ]
    told = read(run("payload-keys", "rotate", "--only-sealed", "--json"))
    assert (told["sealed"], told["removable_keys"]) == (450, [id_of(OLD)])
    told = read(run("payload-keys", "rotate", "--json"))
    assert told == {
        "sealed": 3,
        "locked_events": [],
        "locked_answers": 0,
        "missing_keys": {},
        "removable_keys": [id_of(OLD)],
    }
    assert set(keys_of_rows(engine)) == {id_of(NEW)}
    assert read(run("payload-keys", "rotate", "--json"))["sealed"] == 0
    alone = Desk(with_keys(engine, NEW))
    process_events(alone.deps, list(range(1, 454)))
    assert {status for status, _ in alone.statuses()} == {"ignored"}


def test_rotation_leaves_what_it_cannot_open_and_says_so(engine):
    InboxStore(with_keys(engine, OTHER)).put([write_delivery(ignored="x")])
    InboxStore(with_keys(engine, OLD)).put([write_delivery(ignored="x") for _ in range(3)])
    with engine.begin() as connection:
        connection.execute(text("update inbox_payloads set body = body || '\\x00' where event_id = 3"))
    run = acuse(engine, NEW, OLD)
    told = read(run("payload-keys", "rotate", "--json"), code=1)
    assert told == {
        "sealed": 2,
        "locked_events": [3],
        "locked_answers": 0,
        "missing_keys": {id_of(OTHER): 1},
        "removable_keys": [],
    }
    assert "lacks" in run("payload-keys", "rotate").stderr
    doctor = json.loads(run("doctor", "--json").stdout)
    assert id_of(OTHER) in doctor["checks"]["payload keys"]
    assert f"payload key {id_of(OTHER)}: payloads need it, NOT CONFIGURED" in run("doctor").stdout
    listed = {key["key_id"]: key["payloads"] for key in read(run("payload-keys", "list", "--json"))}
    assert listed == {id_of(NEW): 2, id_of(OLD): 1, id_of(OTHER): 1}


def test_without_keys_there_is_nothing_to_rotate_to(engine):
    assert "not set" in acuse(engine)("payload-keys", "rotate").output
    assert acuse(engine)("payload-keys", "list").output.startswith("no keys")
    made = acuse(engine)("payload-keys", "create").output.strip()
    assert PayloadVault.from_texts([made]).newest
    assert "32 random bytes" in acuse(engine, "short")("payload-keys", "list").output


def test_an_event_is_shown_opened_and_masked(engine):
    said = {"key": "e1", "ignored": "x", "nombreOrdenante": NAME, "cuentaOrdenante": CLABE, "email": EMAIL, "monto": 7}
    with_keys_of_now = with_keys(engine, NEW)
    [stored] = InboxStore(with_keys_of_now).put([write_delivery(NOON, **said)])
    shown = read(acuse(engine, NEW)("events", "show", "--body", "--json", str(stored.event_id)))
    assert json.loads(shown["payload_masked"]["body"]) == said | {
        "nombreOrdenante": "***",
        "cuentaOrdenante": f"•••• {CLABE[-4:]}",
        "email": "***",
    }
    assert shown["sealed_with"] == id_of(NEW)
    printed = acuse(engine, NEW)("events", "show", "--body", str(stored.event_id)).output
    assert '"monto": 7' in printed
    assert NAME not in printed
    assert KEY_MISSING in acuse(engine, OLD)("events", "show", "--body", str(stored.event_id)).output
    assert "payload_masked" not in read(acuse(engine, NEW)("events", "show", "--json", str(stored.event_id)))
