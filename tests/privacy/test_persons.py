"""One person's data is found wherever it stands, given out to one pair of eyes, and masked for good; money history stays."""

import json
import re
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

import cli
from commands.person_search import BATCH
from models.schema import add_partitions
from models.unit_of_work import UnitOfWork
from psps.persons import Identifier, NoIdentifier, Person, read_identifier
from psps.registry import PSPS
from tests.paper import NOON, write_delivery
from tests.privacy.people import CLABE, CURP, EMAIL, NAME, PHONE, RFC, TRACES, bring, bring_all, find_traces
from tests.privacy.test_payload_keys import NEW, OLD, with_keys
from tests.workers.desk import Desk, Rules
from tests.workers.test_services import PAID
from workers.state_machine import MOVES

VALUES = {"clabe": CLABE, "email": EMAIL.upper(), "phone": PHONE, "rfc": RFC.lower(), "curp": CURP}


@pytest.fixture
def desk(engine: Engine) -> Desk:
    """Every PSP's deliveries about the person, some sealed with an old key, and a payment of somebody else."""
    desk = Desk(with_keys(engine, OLD))
    desk.deps = replace(
        desk.deps,
        readers={name: psp.events for name, psp in PSPS.items()} | dict(desk.deps.readers),
        accounts={(name, "default"): Rules() for name in (*PSPS, "paper")},
        unmatched_wait=timedelta(0),
    )
    deliveries = bring_all()
    desk.receive(*deliveries[:30])
    desk = replace_engine(desk, with_keys(engine, NEW, OLD))
    desk.receive(*deliveries[30:], write_delivery(key="nobody's", ignored="x", payer_email="else@correo.test"))
    with engine.begin() as connection:
        connection.execute(
            text(
                "update inbox_events set status = 'ignored', reason = 'dismissed', processed_at = now()"
                " where status in ('parked', 'hint', 'received')"
            )
        )
    return desk


def replace_engine(desk: Desk, engine: Engine) -> Desk:
    other = Desk(engine)
    other.deps = replace(desk.deps, unit_of_work=other.deps.unit_of_work)
    return other


def run(desk: Desk, *arguments: str, said: str = "") -> Result:
    environment = {
        "ACUSE_DATABASE_URL": desk.engine.url.render_as_string(hide_password=False).replace("+psycopg2", ""),
        "ACUSE_BROKER_URL": "redis://127.0.0.1:1/0",
        "ACUSE_PSPS": "stripe",
        "ACUSE_STRIPE_WEBHOOK_SECRETS": "whsec_9fQ2researchVectorKey0123456789",
        "ACUSE_PAYLOAD_KEYS": f"{NEW},{OLD}",
    }
    return CliRunner().invoke(cli.main, ["persons", *arguments], env=environment, input=said)


def read(result: Result, code: int = 0) -> Any:
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def look_at(desk: Desk) -> tuple[Any, ...]:
    """The history of money, the keys of repetitions, and what the audit says of both."""
    with UnitOfWork(desk.engine) as work:
        findings = work.audit(desk.now, [(str(a), str(k), str(b)) for a, k, b in MOVES], None, True)
    assert [one.says for one in findings if one.broken] == []
    return (
        desk.rows("select id, event_key, content_digest, status from inbox_events order by id"),
        desk.rows("select id, outcome, facts::text, link from transitions order by id"),
        desk.rows("select id, state, amount_minor, received_minor, refunded_minor from payments order by id"),
    )


def opened(desk: Desk) -> str:
    from models.payload_reading import PayloadReader

    with UnitOfWork(desk.engine) as work:
        reader = PayloadReader(work.connection)
        ids = [id for (id,) in desk.rows("select id from inbox_events order by id")]
        payloads = [reader.get(id) for id in ids]
    assert not [one for one in payloads if one is None or one.locked]
    return "\n".join(f"{one.headers} {one.body.decode()}" for one in payloads if one)


def test_erasing_leaves_nobody_and_all_of_the_history(desk: Desk) -> None:
    before = look_at(desk)
    clear = opened(desk)
    told = read(run(desk, "erase", "--email", "--dry-run", "--json", said=f"{EMAIL}\n"))
    events = told["counts"]["events"]
    assert events == len(bring_all())
    assert opened(desk) == clear
    told = read(run(desk, "erase", "--email", "--yes", "--reason", "request 12", "--json", said=f"{EMAIL}\n"))
    assert told["counts"]["events"] == events
    left = opened(desk)
    assert [trace for trace in TRACES if trace in left.lower()] == []
    assert "else@correo.test" in left
    assert find_traces(desk.engine) == {}
    assert look_at(desk) == before
    assert read(run(desk, "erase", "--email", "--dry-run", "--json", said=f"{EMAIL}\n"))["counts"]["events"] == 0
    assert desk.rows("select action, identified_by, reason, counts->>'events' from person_requests") == [
        ("erase", ["email"], "request 12", None),
        ("erase", ["email"], "request 12", str(events)),
    ]


def test_what_was_erased_is_still_known_as_a_repetition(desk: Desk) -> None:
    read(run(desk, "erase", "--rfc", "--yes", "--reason", "request 12", "--json", said=f"{RFC}\n"))
    count = desk.rows("select count(*) from inbox_events")
    desk.receive(*bring_all())
    assert desk.rows("select count(*) from inbox_events") == count


def test_the_person_is_found_by_each_of_theirs(desk: Desk, tmp_path: Path) -> None:
    for kind, value in VALUES.items():
        out = tmp_path / f"{kind}.json"
        arguments = ("export", f"--{kind}", "--out", str(out), "--reason", "request 12", "--json")
        told = read(run(desk, *arguments, said=f"{value}\n"))
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        written = json.loads(out.read_text())
        assert len(written["events"]) == told["counts"]["events"] == len(bring_all())
        assert len(written["payments"]) > 10
        assert all(NAME.lower() in json.dumps(one, ensure_ascii=False).lower() for one in written["events"])
        assert "else@correo.test" not in out.read_text()
    assert "cannot be written" in run(desk, *arguments, said=f"{value}\n").output
    logged = desk.rows("select action, identified_by from person_requests order by id")
    assert logged == [("export", [kind]) for kind in VALUES]


def test_texts_beside_the_payloads_are_masked_too(engine: Engine) -> None:
    desk = Desk(engine)
    desk.receive(write_delivery(payment="p1", **PAID))
    with engine.begin() as connection:
        connection.execute(
            text("update payments set description = :d, payer_reference = :e"), {"d": f"for {EMAIL}", "e": EMAIL}
        )
        connection.execute(
            text(
                "insert into cep_answers (query_digest, outcome, body, told_at) values (sha256('q'), 'found', :body, now())"
            ),
            {"body": f"<a ordenante='{NAME}' cuenta='{CLABE}'/>".encode()},
        )
    told = read(
        run(desk, "erase", "--email", "--clabe", "--yes", "--reason", "x", "--json", said=f"{CLABE}\n{EMAIL}\n")
    )
    assert told["counts"] == {"events": 0, "payments": 1, "cep_answers": 1}
    assert find_traces(engine) == {}
    assert desk.rows("select count(*) from search_queue") == [(1,)]


def test_what_is_not_finished_is_left_and_said(engine: Engine) -> None:
    desk = Desk(engine)
    desk.put(write_delivery(payment="p1", **PAID, email=EMAIL))
    for arguments in (("--dry-run",), ("--yes", "--reason", "x")):
        result = run(desk, "erase", "--email", *arguments, "--json", said=f"{EMAIL}\n")
        told = read(result, code=1)
        assert (told["counts"]["events"], told["not_finished"]) == (0, [1])
    assert find_traces(engine).keys() == {"inbox_payloads.body"}


STILL_USED = """
insert into attempts (id, payment_id, psp, account, operation, idempotency_key, request, status, next_attempt_at, created_at)
select gen_random_uuid(), id, 'paper', 'default', 'refund', 'k', jsonb_build_object('email', cast(:email as text)), 'ready',
    now(), now() from payments;
with found as (
    insert into discrepancies (source, psp, account, psp_payment_id, account_day, kind, ours, theirs, healing, opened_at)
    values ('reconciliation', 'paper', 'default', 'p9', '2026-11-20', 'missing_here', '{}', '{}', 'proposed', now()) returning id)
insert into discrepancy_evidence (discrepancy_id, kind, body, told_at, recorded_at)
select id, 'psp', convert_to('{"email": "' || :email || '"}', 'utf8'), now(), now() from found
"""
NOT_ANY_MORE = """
update attempts set status = 'done', settled_at = now(), first_sent_at = now();
update discrepancies set closed_at = now(), closed_reason = 'healed'
"""


def test_what_a_call_or_a_healing_will_still_say_is_left_until_then(engine: Engine) -> None:
    desk = Desk(engine)
    desk.receive(write_delivery(payment="p1", **PAID))
    with engine.begin() as connection:
        connection.execute(text(STILL_USED), {"email": EMAIL})
    arguments = ("erase", "--email", "--yes", "--reason", "x", "--json")
    told = read(run(desk, *arguments, said=f"{EMAIL}\n"), code=1)
    assert told["still_used"] == {"attempts": 1, "discrepancy_evidence": 1}
    assert find_traces(engine).keys() == {"attempts.request", "discrepancy_evidence.body"}
    with engine.begin() as connection:
        connection.execute(text(NOT_ANY_MORE))
    told = read(run(desk, *arguments, said=f"{EMAIL}\n"))
    assert (told["still_used"], find_traces(engine)) == ({}, {})


def test_older_months_are_searched_unless_since_leaves_them_out(engine: Engine) -> None:
    long_ago = NOON - timedelta(days=400)
    with engine.begin() as connection:
        add_partitions(connection, [long_ago.replace(day=1, hour=0)])
    desk = Desk(engine)
    before_partitions = NOON - timedelta(days=4000)
    for at in (before_partitions, long_ago, NOON):
        desk.put(write_delivery(at, ignored="x", email=EMAIL))

    def count(*since: str) -> int:
        told = read(run(desk, "erase", "--email", "--dry-run", "--json", *since, said=f"{EMAIL}\n"), code=1)
        return len(told["not_finished"])

    assert (count(), count("--since", "2026-01-01"), count("--since", "2020-01-01")) == (3, 1, 2)


def test_what_was_interrupted_is_written_down_and_goes_on(engine: Engine) -> None:
    desk = Desk(with_keys(engine, NEW, OLD))
    desk.receive(*(write_delivery(key=f"k{number}", ignored="x", payer_email=EMAIL) for number in range(BATCH * 2 + 7)))
    stop = """
    create function stop_here() returns trigger language plpgsql as $$ begin raise 'stopped'; end $$;
    create trigger stop_here before update on inbox_payloads for each row when (old.event_id = %s) execute function stop_here()
    """
    with engine.begin() as connection:
        connection.execute(text("update inbox_events set status = 'ignored', reason = 'x', processed_at = now()"))
        connection.execute(text(stop % (BATCH + 3)))
    arguments = ("erase", "--email", "--yes", "--reason", "x", "--json")
    assert isinstance(run(desk, *arguments, said=f"{EMAIL}\n").exception, DBAPIError)
    with engine.begin() as connection:
        connection.execute(text("drop trigger stop_here on inbox_payloads; drop function stop_here()"))
    assert opened(desk).count(EMAIL) == BATCH + 7
    assert read(run(desk, *arguments, said=f"{EMAIL}\n"))["counts"] == {"events": BATCH + 7}
    assert EMAIL not in opened(desk)
    counts = [counts for (counts,) in desk.rows("select counts from person_requests order by id")]
    assert counts == [{"found": BATCH * 2 + 7}, {"events": BATCH}, {"found": BATCH + 7}, {"events": BATCH + 7}]


def test_the_log_of_requests_is_kept_as_it_was_written(desk: Desk) -> None:
    read(run(desk, "erase", "--email", "--yes", "--reason", "x", "--json", said=f"{EMAIL}\n"))
    for change in (
        "update person_requests set reason = 'y'",
        "delete from person_requests",
        "truncate person_requests",
    ):
        with pytest.raises(DBAPIError, match="kept as it was written"), desk.engine.begin() as connection:
            connection.execute(text(change))


def test_it_wants_a_reason_a_kind_and_a_value_that_can_be_one(engine: Engine) -> None:
    desk = Desk(engine)
    assert "--reason is needed" in run(desk, "erase", "--email", said="a@b.mx\n").output
    assert "known by" in run(desk, "erase", "--dry-run").output
    result = run(desk, "erase", "--clabe", "--dry-run", said=f"{CLABE[:-1]}9\n")
    assert (result.exit_code, "acuse: that is no clabe" in result.stderr) == (2, True)
    assert run(desk, "erase", "--email", "--reason", "x", said="a@b.mx\nn\n").exit_code == 1


def test_values_are_compared_however_they_are_written() -> None:
    person = Person([read_identifier(kind, value) for kind, value in VALUES.items()])
    for told in (
        f"to {EMAIL.upper()}.",
        EMAIL.replace("@", "%40"),
        "+52 1 (55) 8374-1920",
        "525583741920",
        CLABE,
        f"X {RFC}",
    ):
        assert person.is_in([told]), told
    for other in (f"x{EMAIL}", f"{EMAIL}.mx2x", f"9{CLABE}", "995583741920", f"{RFC}0", "nobody", ""):
        assert not person.is_in([other]), other
    assert EMAIL not in repr(Identifier("email", EMAIL))
    for kind, wrong in (("email", "a"), ("phone", "123"), ("rfc", "x"), ("curp", RFC), ("clabe", "1")):
        with pytest.raises(NoIdentifier):
            read_identifier(kind, wrong)


def test_an_erased_body_keeps_its_numbers_as_they_were_written() -> None:
    person = Person([read_identifier("clabe", CLABE)])
    erased = person.erase_body(
        b'{"monto": 1500.250, "nombre": "A B", "cuenta": "012180015987654320", "id": 7}'
    ).decode()
    assert erased == '{"monto": 1500.250, "nombre": "***", "cuenta": "***", "id": 7}'
    for strange in (b"<a>Zoraida</a>", b'{"a": "Zoraida"', b"\xff", b'"Zoraida"', b""):
        assert json.loads(person.erase_body(strange)) == {"erased": True}
    assert not re.search("[0-9]{4}", person.erase_body(json.dumps({"x": CLABE}).encode()).decode())


def test_a_token_within_a_body_is_looked_into() -> None:
    import base64

    claims = base64.urlsafe_b64encode(json.dumps({"user": {"mail": EMAIL}}).encode()).decode().rstrip("=")
    body = json.dumps({"data": f"eyJhbGciOiJIUzI1NiJ9.{claims}.c2ln"}).encode()
    person = Person([read_identifier("email", EMAIL)])
    assert person.is_in_body(body)
    assert claims not in person.erase_body(body).decode()
    assert bring("stripe", b'{"id":"evt_1","object":"event","type":"x"}').event_key == "evt_1"
