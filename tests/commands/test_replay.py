"""`acuse events replay`: what would change, from signed deliveries of Stripe that were set aside, and what then does."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

import cli
from commands.replay_history import show_history
from models.inbox import Delivery, InboxStore
from models.replays import ReplayFilter
from models.unit_of_work import UnitOfWork
from psps.credentials import fingerprint
from psps.registry import PSPS
from sandbox.stripe.webhooks import sign
from tests.paper import PaperPsp, make_delivery, write_delivery
from tests.workers.desk import Desk, Rules
from tests.workers.replays import make_bench
from tests.workers.test_services import PAID
from workers.services import process_events

SECRET, ANOTHER = "whsec_9fQ2researchVectorKey0123456789", "whsec_7gR3anotherVectorKey9876543210"
OLD = datetime(2026, 11, 20, 18, tzinfo=UTC)
ROOT = Path(cli.__file__).parent
Acuse = Callable[..., Result]
PARK = "update inbox_events set status = 'parked', reason = 'unparseable: no such word', processed_at = now()"


def write_stripe(samples: Path, number: int, at: datetime = OLD) -> Delivery:
    """A voucher that was paid, signed weeks ago."""
    said = json.loads((samples / "stripe/payment_intent.succeeded.oxxo.json").read_text())
    said["id"], said["data"]["object"]["id"] = f"evt_{number}", f"pi_{number}"
    body = json.dumps(said).encode()
    headers = {n.lower(): v for n, v in sign(body, {"webhook_secret": SECRET}, int(at.timestamp())).items()}
    made = make_delivery(body, said["id"], "stripe", received_at=at)
    return replace(made, headers=list(headers.items()), verified_with=fingerprint(SECRET))


@pytest.fixture
def environment(engine: Engine) -> dict[str, str]:
    return {
        "ACUSE_DATABASE_URL": engine.url.render_as_string(hide_password=False).replace("+psycopg2", ""),
        "ACUSE_BROKER_URL": "redis://127.0.0.1:9/0",
        "ACUSE_PSPS": "stripe",
        "ACUSE_STRIPE_WEBHOOK_SECRETS": SECRET,
    }


@pytest.fixture
def acuse(environment: dict[str, str]) -> Acuse:
    return lambda *arguments, **more: CliRunner().invoke(
        cli.main, ["events", "replay", *arguments], env=environment | more
    )


@pytest.fixture
def parked(engine: Engine, samples: Path) -> list[int]:
    stored = InboxStore(engine).put([write_stripe(samples, number) for number in (1, 2, 3)])
    with engine.begin() as connection:
        connection.execute(text(PARK))
    return [one.event_id for one in stored]


def read(result: Result, code: int = 0) -> Any:
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def rows(engine: Engine, query: str) -> list[Any]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def work(engine: Engine, ids: list[int]) -> None:
    desk = Desk(engine, now=datetime.now(UTC))
    accounts: Any = {("stripe", "default"): Rules()}
    process_events(replace(desk.deps, readers={"stripe": PSPS["stripe"].events}, accounts=accounts), ids)


def test_a_dry_run_names_the_payments_and_a_run_changes_those(acuse: Acuse, engine: Engine, parked: list[int]) -> None:
    told = read(acuse("--status", "parked", "--json"))
    assert [one["verification"] for one in told["events"]] == ["fits"] * 3, "however long ago it was signed"
    assert {one["psp_payment_id"]: one["changes"] for one in told["payments"]} == dict.fromkeys(
        ("pi_1", "pi_2", "pi_3"), True
    )
    shown = acuse("--reason", "unparseable*").output
    assert "these 3 payments would change" in shown
    assert "not there" in shown
    assert rows(engine, "select count(*) from payments") == [(0,)]
    done = read(acuse("--status", "parked", "--run", "--why", "the mapping is mended", "--rate", "1000", "--json"))
    assert (done["state"], done["replayed"], done["refused"]) == ("done", 3, 0)
    assert "@" in done["author"]
    work(engine, parked)
    query = "select psp_payment_id, state, amount_minor, received_minor, refunded_minor, currency from payments"
    after = {one["psp_payment_id"]: tuple(one["after"].values()) for one in told["payments"]}
    assert {row[0]: row[1:] for row in rows(engine, query)} == after
    again = read(acuse("--psp", "stripe", "--run", "--why", "once more", "--json"))
    assert again["replayed"] == 0


def test_a_rotated_key_is_told_and_its_events_go_only_where_that_is_said(
    acuse: Acuse, engine: Engine, parked: list[int]
) -> None:
    rotated = {"ACUSE_STRIPE_WEBHOOK_SECRETS": ANOTHER}
    told = read(acuse("--status", "parked", "--json", **rotated))
    assert [(one["verification"], one["goes"]) for one in told["events"]] == [("rotated", False)] * 3
    assert told["payments"] == []
    shown = acuse("--status", "parked", **rotated).output
    assert "key rotated" in shown
    assert "--accept-recorded-verification" in shown
    run = ("--status", "parked", "--run", "--why", "it was genuine then", "--rate", "1000")
    left = read(acuse(*run, "--json", **rotated))
    assert (left["replayed"], left["refused"]) == (0, 3)
    assert "left: 3 that fit no active secret" in acuse(*run, **rotated).output
    assert read(acuse(*run, "--accept-recorded-verification", "--json", **rotated))["replayed"] == 3


def test_a_body_that_was_changed_where_it_is_stored_never_goes(acuse: Acuse, engine: Engine, parked: list[int]) -> None:
    forged = "update inbox_payloads set body = replace(convert_from(body, 'utf8'), '\"pi_1\"', '\"pi_9\"')::bytea where event_id = :id"
    both = "update inbox_payloads set body_sha256 = sha256(body) where event_id = :id"
    for statement in (forged, both):  # and whoever did so may have changed its digest too
        with engine.begin() as connection:
            connection.execute(text(statement), {"id": parked[0]})
        told = read(acuse("--status", "parked", "--accept-recorded-verification", "--json"))
        assert [(one["verification"], one["goes"]) for one in told["events"]] == [
            ("altered", False),
            ("fits", True),
            ("fits", True),
        ]


def test_by_its_id_too_what_was_changed_never_goes_and_a_rotated_key_is_told(
    acuse: Acuse, engine: Engine, parked: list[int]
) -> None:
    with engine.begin() as connection:
        forged = "update inbox_payloads set body = body || ' ', body_sha256 = sha256(body || ' ') where event_id = :id"
        connection.execute(text(forged), {"id": parked[0]})
        sealed = "update inbox_payloads set key_id = '0123456789abcdef' where event_id = :id"
        connection.execute(text(sealed), {"id": parked[1]})
    told = read(acuse(*map(str, parked), "--json"), code=1)
    assert told["refused"] == {str(parked[0]): "altered", str(parked[1]): "locked"}
    assert (told["replayed"], told["left_alone"]) == (parked[2:], [])
    assert f"event {parked[0]} is never replayed: what is stored is not what came" in acuse(str(parked[0])).stderr
    assert rows(engine, "select status from inbox_events order by id") == [("parked",), ("parked",), ("received",)]
    with engine.begin() as connection:
        connection.execute(text("update inbox_events set status = 'parked', processed_at = now() where id = 3"))
    went = read(acuse(str(parked[2]), "--json", ACUSE_STRIPE_WEBHOOK_SECRETS=ANOTHER))
    assert (went["replayed"], went["key_rotated"]) == (parked[2:], parked[2:])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "say which events"),
        (("--run", "--status", "parked"), "--run takes a reason"),
        (("--run", "--status", "parked", "--why", " "), "--run takes a reason"),
        (("1", "--status", "parked"), "ids say which events are meant"),
        (("--status", "parked", "--run", "--why", "x", "--dry-run"), "--run stands alone"),
        (
            (
                "--status",
                "processed",
            ),
            "'processed' is not one of",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(acuse: Acuse, arguments: tuple[str, ...], says: str) -> None:
    refused = acuse(*arguments)
    assert refused.exit_code == 2
    assert says in refused.stderr


def test_events_are_rehearsed_by_id(acuse: Acuse, parked: list[int]) -> None:
    told = read(acuse(str(parked[1]), "--dry-run", "--json"))
    assert [one["id"] for one in told["events"]] == [parked[1]]


def test_a_history_is_folded_anew(acuse: Acuse, engine: Engine, parked: list[int]) -> None:
    read(acuse("--status", "parked", "--run", "--why", "mended", "--rate", "1000", "--json"))
    work(engine, parked)
    same = acuse("--history", "--payment", "pi_2").output
    assert "is the same" in same
    assert read(acuse("--history", "--psp", "stripe", "--json")) == {
        "looked_at": 3,
        "is_whole": True,
        "unread": 0,
        "payments": [],
    }
    with engine.begin() as connection:
        connection.execute(
            text(
                "update payments set state = 'refunded', refunded_minor = received_minor where psp_payment_id = 'pi_2'"
            )
        )
    [differing] = read(acuse("--history", "--psp", "stripe", "--json"))["payments"]
    assert (differing["psp_payment_id"], differing["stored"]["state"], differing["folded"]["state"]) == (
        "pi_2",
        "refunded",
        "completed",
    )
    assert "folded anew: completed" in acuse("--history", "--payment", "pi_2").output
    assert "1 of 3 payments differ" in acuse("--history", "--psp", "stripe").output
    assert acuse("--history", "--payment", "nothing").exit_code == 1


def change(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


def test_how_many_events_could_not_be_read_is_told(acuse: Acuse, engine: Engine, parked: list[int]) -> None:
    assert read(acuse("--status", "parked", "--json"))["unread"] == 0
    assert "could not be read" not in acuse("--status", "parked").output
    change(engine, f"delete from inbox_payloads where event_id = {parked[0]}")
    change(engine, f"update inbox_payloads set key_id = '0123456789abcdef' where event_id = {parked[1]}")
    told = read(acuse("--status", "parked", "--json"))
    assert (told["unread"], [one["goes"] for one in told["events"]]) == (2, [False, False, True])
    assert "2 events could not be read" in acuse("--status", "parked").output
    assert "2 events could not be read" in acuse(*map(str, parked), "--dry-run").output


def test_how_many_events_of_histories_could_not_be_read_is_told(
    acuse: Acuse, engine: Engine, parked: list[int]
) -> None:
    read(acuse("--status", "parked", "--run", "--why", "mended", "--rate", "1000", "--json"))
    work(engine, parked)
    change(engine, f"update inbox_payloads set erased_at = now() where event_id = {parked[0]}")
    change(engine, f"delete from inbox_payloads where event_id = {parked[1]}")
    told = read(acuse("--history", "--psp", "stripe", "--json"))
    assert (told["looked_at"], told["unread"], told["payments"]) == (3, 2, [])
    shown = acuse("--history", "--psp", "stripe").output
    assert "0 of 3 payments differ\nof 2 events the payload is gone" in shown
    assert read(acuse("--history", "--payment", "pi_3", "--json"))["unread"] == 0
    assert "payload is gone" not in acuse("--history", "--payment", "pi_3").output
    assert "of 1 events the payload is gone" in acuse("--history", "--payment", "pi_1").output


class _Twofold(PaperPsp):
    """Each of its deliveries is about two payments."""

    def read(self, headers: Any, body: bytes) -> Any:
        said = super().read(headers, body)
        return [*said, *(replace(one, psp_payment_id="q2") for one in said)] if isinstance(said, list) else said


def test_an_event_of_two_payments_that_cannot_be_read_counts_once(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = make_bench(engine)
    bench.know(_Twofold())
    [event] = bench.desk.receive(write_delivery(payment="q1", **PAID))
    change(engine, f"delete from inbox_payloads where event_id = {event}")
    capsys.readouterr()
    show_history(bench.deps, ReplayFilter(psp="paper"), 1000, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["looked_at"], told["unread"]) == (6, 1)


def test_a_run_that_keeps_failing_pauses_itself_and_tells_with_what(
    acuse: Acuse, engine: Engine, parked: list[int]
) -> None:
    whole = rows(engine, f"select headers::text from inbox_payloads where event_id = {parked[1]}")[0][0]
    broken = f"update inbox_payloads set headers = '[[\"odd\"]]' where event_id = {parked[1]}"
    change(engine, broken)  # nothing that Acuse writes, so that our own code fails at it
    arguments = ("--status", "parked", "--run", "--why", "mended", "--rate", "1000")
    told = read(acuse(*arguments, "--json"), code=1)
    assert (told["state"], told["replayed"], told["failures"]) == ("paused", 0, 5)
    assert (told["failing_with"], told["paused_itself"]) == ("ValueError", True)
    shown = acuse("--resume", "1")
    assert shown.exit_code == 1
    assert "it paused itself: 5 steps in a row failed, the last one with ValueError" in shown.output
    assert "go on with: acuse events replay --resume 1" in shown.output
    with engine.begin() as connection:
        mend = text("update inbox_payloads set headers = cast(:whole as jsonb) where event_id = :id")
        connection.execute(mend, {"whole": whole, "id": parked[1]})
    done = read(acuse("--resume", "1", "--json"))
    assert (done["state"], done["replayed"]) == ("done", 3)
    assert (done["failures"], done["failing_with"], done["paused_itself"]) == (0, None, False)


def test_ctrl_c_pauses_a_run_between_two_steps_and_says_how_to_go_on(
    environment: dict[str, str], acuse: Acuse, engine: Engine, samples: Path
) -> None:
    InboxStore(engine).put([write_stripe(samples, number) for number in range(20)])
    with engine.begin() as connection:
        connection.execute(text(PARK))
    arguments = ["--status", "parked", "--run", "--why", "slowly", "--rate", "5"]
    command = [sys.executable, "-m", "cli", "events", "replay", *arguments]
    process = subprocess.Popen(command, env=os.environ | environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 20
    while not rows(engine, "select 1 from replay_runs where replayed > 0") and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "go on with: acuse events replay --resume 1" in said
    [(state, replayed)] = rows(engine, "select state, replayed from replay_runs")
    assert (state, 0 < replayed < 20) == ("paused", True)
    assert rows(engine, "select count(*) from inbox_events where status = 'received'") == [(replayed,)]
    with UnitOfWork(engine) as unit:
        unit.connection.execute(text("update replay_runs set rate = 1000"))
        unit.commit()
    done = read(acuse("--resume", "1", "--json"))
    assert (done["state"], done["replayed"]) == ("done", 20)
    assert "run 1 is done" in acuse("--resume", "1").stderr
    assert acuse("--resume", "7").exit_code == 1
