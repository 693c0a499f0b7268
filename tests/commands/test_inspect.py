"""The commands that look things up, over one database with a little history in it."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from redis import Redis
from sqlalchemy import Engine, text

import cli
from bootstrap_ringing import publish
from embedded import RunningEngine, free_port
from tests.paper import write_delivery
from tests.workers.test_services import PAID, Desk, at
from workers.app import create_producer

SECRET = "whsec_9fQ2researchVectorKey0123456789"
STP = {
    "ACUSE_PSPS": "stripe,stp",
    "ACUSE_STP_WEBHOOK_USER": "stp",
    "ACUSE_STP_WEBHOOK_PASSWORD": "throw-away",
}
Acuse = Callable[..., Result]


@pytest.fixture
def desk(engine: Engine) -> Desk:
    desk = Desk(engine)
    desk.receive(write_delivery(payment="p1", at=at(5), **PAID))
    desk.receive(write_delivery(payment="p1", at=at(7), kind="expired"))
    desk.receive(write_delivery(payment="p2", livemode=True, **PAID))
    desk.receive(write_delivery(ignored="no matter"))
    return desk


@pytest.fixture
def acuse(desk: Desk, redis_server: RunningEngine) -> Acuse:
    environment = {
        "ACUSE_DATABASE_URL": desk.engine.url.render_as_string(hide_password=False).replace("+psycopg2", ""),
        "ACUSE_BROKER_URL": redis_server.url,
        "ACUSE_PSPS": "stripe",
        "ACUSE_STRIPE_WEBHOOK_SECRETS": SECRET,
    }
    return lambda *arguments, **more: CliRunner().invoke(cli.main, arguments, env=environment | more)


def read(result: Result, code: int = 0) -> Any:
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_events_are_listed_and_filtered(acuse: Acuse) -> None:
    assert [e["status"] for e in read(acuse("events", "list", "--json"))] == [
        "ignored",
        "parked",
        "processed",
        "processed",
    ]
    assert [e["reason"] for e in read(acuse("events", "list", "--status", "parked", "--json"))] == ["livemode_mismatch"]
    assert read(acuse("events", "list", "--psp", "conekta", "--json")) == []
    assert "livemode_mismatch" in acuse("events", "list").output


def test_an_event_is_shown_with_its_decisions_and_without_its_body(acuse: Acuse) -> None:
    newest = read(acuse("events", "list", "--status", "processed", "--json"))[0]
    shown = read(acuse("events", "show", str(newest["id"]), "--json"))
    assert [d["outcome"] for d in shown["decisions"]] == ["FORBIDDEN"]
    assert "body" not in shown
    assert "FORBIDDEN" in acuse("events", "show", str(newest["id"])).output


def test_an_event_that_was_tried_before_is_shown_with_how_often(acuse: Acuse, desk: Desk) -> None:
    parked = read(acuse("events", "list", "--status", "parked", "--json"))[0]["id"]
    with desk.engine.begin() as connection:
        connection.execute(text("update inbox_events set attempts = 3 where id = :id"), {"id": parked})
    shown = acuse("events", "show", str(parked))
    assert shown.exit_code == 0, shown.output
    assert re.search(r"^attempts +3$", shown.output, re.MULTILINE)


def test_a_payment_is_shown_by_either_id_with_its_story(acuse: Acuse) -> None:
    [payment] = read(acuse("payments", "list", "--json"))
    for identity in (payment["id"], "p1"):
        shown = read(acuse("payments", "show", identity, "--json"))
        assert [t["outcome"] for t in shown["transitions"]] == ["APPLIED", "FORBIDDEN"]
        assert [d["kind"] for d in shown["discrepancies"]] == ["illegal_move"]
    assert "discrepancy" in acuse("payments", "show", "p1").output
    assert read(acuse("payments", "list", "--state", "pending", "--json")) == []
    assert read(acuse("payments", "list", "--state", "completed", "--psp", "paper", "--json")) == [payment]
    assert read(acuse("payments", "list", "--state", "completed", "--psp", "stripe", "--json")) == []


def test_a_payment_is_found_by_a_psps_id_that_is_a_uuid_and_in_whichever_account(acuse: Acuse, desk: Desk) -> None:
    foreign = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
    desk.receive(write_delivery(payment=foreign, account="strict", **PAID), write_delivery(payment="p9", **PAID))
    with desk.engine.begin() as connection:
        connection.execute(text("update payments set account = 'shop' where psp_payment_id = 'p9'"))
        moved = "update payments set psp = 'other', psp_payment_id = :id where psp_payment_id = 'p1'"
        connection.execute(text(moved), {"id": foreign})
    assert read(acuse("payments", "show", foreign, "--json"))["psp"] == "other"
    assert read(acuse("payments", "show", "p9", "--json"))["account"] == "shop"


def test_what_is_not_there_is_said_in_one_line(acuse: Acuse) -> None:
    for arguments in (("events", "show", "999"), ("payments", "show", "p9")):
        missing = acuse(*arguments)
        assert missing.exit_code == 1
        assert missing.stderr.strip() == f"acuse: there is no {arguments[0][:-1]} {arguments[2]}"


def test_a_parked_event_is_replayed_and_a_processed_one_is_not(acuse: Acuse, desk: Desk) -> None:
    parked = read(acuse("events", "list", "--status", "parked", "--json"))[0]["id"]
    processed = read(acuse("events", "list", "--status", "processed", "--json"))[0]["id"]
    assert read(acuse("events", "replay", str(parked), "--json"))["replayed"] == [parked]
    assert desk.rows(f"select status, attempts from inbox_events where id = {parked}") == [("received", 0)]
    refused = acuse("events", "replay", str(processed))
    assert refused.exit_code == 1
    assert "only parked and ignored events" in refused.stderr


def test_an_event_that_retention_has_passed_over_says_so(acuse: Acuse, desk: Desk) -> None:
    ignored = read(acuse("events", "list", "--status", "ignored", "--json"))[0]["id"]
    assert read(acuse("events", "show", str(ignored), "--json"))["payload"] == "stored"
    with desk.engine.begin() as connection:
        connection.execute(text("drop table inbox_payloads_2026_11; delete from inbox_payloads"))
    shown = read(acuse("events", "show", str(ignored), "--json"))
    assert (shown["payload"], shown["body_bytes"]) == ("its payload was dropped by retention", None)
    refused = acuse("events", "replay", str(ignored))
    assert refused.exit_code == 1
    assert f"its payload was dropped by retention, or erased: {ignored}" in refused.stderr
    assert desk.rows(f"select status from inbox_events where id = {ignored}") == [("ignored",)]


def test_replay_works_without_a_broker(acuse: Acuse) -> None:
    parked = read(acuse("events", "list", "--status", "parked", "--json"))[0]["id"]
    result = acuse("events", "replay", str(parked), ACUSE_BROKER_URL="redis://127.0.0.1:9/0")
    assert result.exit_code == 0
    assert "the sweep will pick them up" in result.stderr


def test_the_audit_says_what_holds_and_what_is_broken(acuse: Acuse, desk: Desk) -> None:
    assert read(acuse("audit", "--json"))["ok"] is True
    with desk.engine.begin() as connection:
        connection.execute(text("update payments set state = 'failed' where psp_payment_id = 'p1'"))
    broken = read(acuse("audit", "--json"), code=1)
    assert {f["invariant"] for f in broken["invariants"] if f["broken"]} == {"I4"}
    assert re.search(r"I4 +broken.+\n.+1 rows, for example payment ", acuse("audit").output)


def test_the_audit_of_the_last_days_finds_what_was_broken_in_them(acuse: Acuse, desk: Desk) -> None:
    assert read(acuse("audit", "--since", "2026-11-20", "--json"))["ok"] is True
    with desk.engine.begin() as connection:
        connection.execute(text("update payments set state = 'failed' where psp_payment_id = 'p1'"))
    assert read(acuse("audit", "--since", "2026-11-20T12:00:00-06:00", "--json"), code=1)["ok"] is False
    refused = acuse("audit", "--since", "yesterday")
    assert refused.exit_code == 2
    assert "neither days or hours (7d, 12h) nor a date or time" in refused.stderr


def test_the_doctor_finds_nothing_wrong_and_shows_no_secret(acuse: Acuse) -> None:
    healthy = acuse("doctor", "--json")
    assert read(healthy)["ok"] is True
    assert SECRET not in healthy.output + acuse("doctor").output
    sick = acuse("doctor", ACUSE_BROKER_URL="redis://127.0.0.1:9/0")
    assert sick.exit_code == 1
    assert re.search(r"broker +\S+", sick.output)


def test_clabes_are_checked_before_they_are_known(acuse: Acuse, desk: Desk) -> None:
    assert acuse("clabes", "add", "646180110400000007", **STP).exit_code == 0
    assert desk.rows("select psp, clabe from deposit_accounts") == [("stp", "646180110400000007")]
    wrong = acuse("clabes", "add", "646180110400000008", **STP)
    assert (wrong.exit_code, "646180110400000008" in wrong.stderr) == (2, False)


@pytest.mark.parametrize("place", [(), ("--psp", "paypal"), ("--psp", "stripe", "--account", "shop")])
def test_clabes_of_an_account_that_is_not_configured_are_refused(
    acuse: Acuse, desk: Desk, place: tuple[str, ...]
) -> None:
    refused = acuse("clabes", "add", "646180110400000007", *place)
    assert refused.exit_code == 2
    assert "is not configured; known are stripe/default" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert desk.rows("select count(*) from deposit_accounts") == [(0,)]


def test_the_doctor_labels_a_login_by_its_user_alone(acuse: Acuse) -> None:
    accounts = [
        read(acuse("doctor", "--json", **STP | {"ACUSE_STP_WEBHOOK_PASSWORD": password}))["accounts"]
        for password in ("throw-away", "thrown-away")
    ]
    assert accounts[0] == accounts[1]
    assert accounts[0][1]["keys"][0]["label"].startswith("user:sha256:")


def test_the_doctor_tells_when_each_key_was_last_used(acuse: Acuse, desk: Desk) -> None:
    with desk.engine.begin() as connection:
        connection.execute(text("update inbox_events set psp = 'stripe', verified_with = 'sha256:0ldk3y00'"))
    [account] = read(acuse("doctor", "--json"))["accounts"]
    assert [key["last_used_at"] for key in account["keys"]] == [None]
    [former] = account["former_keys"]
    assert former["label"] == "sha256:0ldk3y00"
    assert former["last_used_at"].startswith("2026-11-20")
    shown = acuse("doctor").output
    assert "never used" in shown
    assert "sha256:0ldk3y00 is not configured any more, last used 2026-11-20" in shown


def test_queues_tell_how_much_waits_and_for_how_long(acuse: Acuse, desk: Desk, redis_server: RunningEngine) -> None:
    with Redis.from_url(redis_server.url) as redis:
        redis.flushall()  # other tests ring as well, and nobody comes
    empty = {"waiting": 0, "due": 0, "leased": 0, "oldest_seconds": 0.0, "messages": 0}
    told = {row.pop("queue"): row for row in read(acuse("queues", "--json"))["queues"]}
    assert told == dict.fromkeys(("events", "psp_calls", "notifications", "reconcile"), empty)
    ids = desk.put(*(write_delivery(payment=f"p{number}", **PAID) for number in range(3)))
    publish(create_producer(redis_server.url), ids)
    with desk.engine.begin() as connection:
        connection.execute(
            text("update inbox_events set lease_until = now() + interval '1 hour' where id = :id"), {"id": ids[0]}
        )
        connection.execute(
            text("update inbox_events set received_at = now() - interval '90 s' where id = :id"), {"id": ids[1]}
        )
        connection.execute(
            text("update inbox_events set attempts = 1, next_attempt_at = now() + interval '1 hour' where id = :id"),
            {"id": ids[2]},
        )
    events = read(acuse("queues", "--json"))["queues"][0]
    assert 90 <= events.pop("oldest_seconds") < 150
    assert events == {"queue": "events", "waiting": 3, "due": 1, "leased": 1, "messages": 1}
    assert "psp_calls" in acuse("queues").output


def test_what_is_set_going_again_has_not_been_due_since_it_came(acuse: Acuse, desk: Desk) -> None:
    parked = read(acuse("events", "list", "--status", "parked", "--json"))[0]["id"]
    acuse("events", "replay", str(parked))
    events = read(acuse("queues", "--json"))["queues"][0]
    assert events["waiting"] == 1
    assert events["oldest_seconds"] < 60


def test_queues_are_told_without_the_broker_too(acuse: Acuse) -> None:
    shown = acuse("queues", "--json", ACUSE_BROKER_URL=f"redis://127.0.0.1:{free_port()}/0")
    assert shown.exit_code == 0
    assert {row["messages"] for row in json.loads(shown.stdout)["queues"]} == {None}
    assert "the broker did not answer" in shown.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ACUSE_DATABASE_URL", "mysql://x"),
        ("ACUSE_PSPS", "stripe,paypal"),
        ("ACUSE_STRIPE_WEBHOOK_SECRETS", "short"),
        ("ACUSE_STRIPE_WEBHOOK_SECRETS", f"{SECRET},"),
        ("ACUSE_STRIPE_WEBHOOK_SECRETS", "changeme"),
        ("ACUSE_STRIPE_LIVEMODE", "maybe"),
        ("ACUSE_STRIPE_UNMATCHED", "drop"),
        ("ACUSE_MAX_BODY_BYTES", "1e6"),
        ("ACUSE_MAX_ATTEMPTS", "-3"),
        ("ACUSE_LOG_FORMAT", "xml"),
    ],
)
def test_a_malformed_setting_is_named_in_one_line(acuse: Acuse, name: str, value: str) -> None:
    refused = acuse("audit", **{name: value})
    assert refused.exit_code == 2
    assert name in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert value not in refused.stderr or value in ("short", "stripe,paypal"), "a secret must not be shown"


def test_without_a_stack_it_says_what_to_do(tmp_path: Any) -> None:
    lost = CliRunner().invoke(cli.main, ["audit", "--data-dir", str(tmp_path)], env={"ACUSE_DATABASE_URL": None})
    assert lost.exit_code == 2
    assert "acuse up" in lost.stderr


def test_who_replayed_an_event_by_its_id_and_why_is_written_down(acuse: Acuse, desk: Desk) -> None:
    parked = read(acuse("events", "list", "--status", "parked", "--json"))[0]["id"]
    asked = "select reason, state, replayed, author like '%@%' from replay_runs order by id"
    assert acuse("events", "replay", str(parked), "999", "--why", "the mode was wrong").exit_code == 1
    assert desk.rows(asked) == [("the mode was wrong", "done", 1, True)]
    assert desk.rows("select event_ids from replay_batches") == [([parked],)]
    assert acuse("events", "replay", str(parked)).exit_code == 1, "it is not parked any more"
    assert len(desk.rows(asked)) == 1
    ignored = read(acuse("events", "list", "--status", "ignored", "--json"))[0]["id"]
    assert acuse("events", "replay", str(ignored)).exit_code == 0
    assert desk.rows(asked)[1:] == [("named by their ids", "done", 1, True)]


def test_accounts_of_people_are_masked_in_free_words(acuse: Acuse, desk: Desk) -> None:
    with desk.engine.begin() as connection:
        connection.execute(
            text(
                "insert into attempts (id, payment_id, psp, account, operation, idempotency_key, request, status, sends,"
                " next_attempt_at, created_at, first_sent_at, settled_at, instructions, error_message)"
                " select id, id, 'paper', 'default', 'create', 'c1', '{}', 'done', 1, now(), now(), now(), now(),"
                ' \'{"clabe": "646180157000000004", "reference": "A-17"}\', \'no account 646180157000000004\''
                " from payments where psp_payment_id = 'p1'"
            )
        )
        connection.execute(text("update discrepancies set decided_why = 'ana@example.com said so', decided_by = 'x'"))
    shown = acuse("payments", "show", "p1", "--json").output
    [attempt] = json.loads(shown)["attempts"]
    assert attempt["instructions"] == {"clabe": "•••• 0004", "reference": "A-17"}
    assert "646180157000000004" not in shown
    [difference] = json.loads(shown)["discrepancies"]
    for told in (
        acuse("discrepancies", "show", str(difference["id"])),
        acuse("discrepancies", "show", str(difference["id"]), "--json"),
    ):
        assert told.exit_code == 0
        assert "said so" in told.output
        assert "ana@example.com" not in told.output
