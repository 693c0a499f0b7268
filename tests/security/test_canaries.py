"""I10: no secret and no card data stands in the database, the logs, the broker, the metrics or an answer, whatever fails."""

import base64
import json
import subprocess
import sys

import psycopg2
import pytest
from redis import Redis

from tests.security.canaries import Canary, Written, find, is_allowed, read_database, read_disk, read_logs, read_redis
from tests.security.planting import CARDS, ECHOING, Planted
from tests.system.stack import ROOT, wait_until

READERS = (read_logs, read_database, read_redis, read_disk)
# What may stand where (`log:`, `db:schema.table.column`, `redis:`, `disk:`, `metrics:`, `http:status method path`, `said:` by a
# command). What is not named here may stand nowhere, and what has no place at all has an empty list.
MAY_STAND = {
    "secret of a PSP": (),
    "password of an engine": (),
    "key that seals": (),
    "cookie": (),
    "authorization": (),
    "password": (),
    "card number": (),
    "card's secret": (),
    # Told once to whom it belongs, and kept as a digest or sealed.
    "the stack's own merchant key": ("log:up.log",),  # in the greeting of `acuse up`, for the developer on this machine
    "merchant key": ("said:keys create", "http:201 POST /v1/keys"),
    "session token": ("http:200 POST /v1/login",),
    "reset token": ("said:users reset",),
    "second factor": ("http:200 POST /v1/me/totp",),
    "endpoint's secret": ("http:201 POST /v1/endpoints", "http:200 POST /v1/endpoints/*/rotate-secret"),
    # Deliveries as they came are the evidence; a PSP is told who pays, and says so in its errors.
    "payer": (
        "db:public.inbox_payloads_*.body",
        "db:public.attempts.request",
        "db:public.attempts.error_message",
        "disk:*",
    ),
}


@pytest.fixture(scope="module")
def everything(planted: Planted) -> list[Written]:
    planted.keep("metrics:", planted.ask("GET", "/metrics").content)
    return [*planted.written, *(written for read in READERS for written in read(planted.stack))]


def test_everything_that_should_happen_has_happened(planted: Planted) -> None:
    """Without it the next test would say nothing."""
    answered = planted.statuses
    assert all(answered[f"POST /webhooks/{psp}"][:2] == [200, 401] for psp in planted.keys), answered
    assert answered["POST /webhooks/stripe"].count(503) >= 2, "while rows were refused, and without a database"
    assert {200, 202, 201, 401, 404, 422, 429, 500, 503} <= {
        status for statuses in answered.values() for status in statuses
    }
    assert answered["POST /v1/password-reset"] in ([204, 403], [204, 429])
    called = {psp for psp in ECHOING for told in planted.echoed if told.startswith(f"/{psp}".encode())}
    assert called == set(ECHOING)
    query = planted.stack.query
    assert query("select count(*) > 0 from attempts where error_message like '%***%'") == [(True,)]
    assert query("select count(*) > 0 from reconciliation_runs where error like '%***%'") == [(True,)]
    assert query("select count(*) >= 8 from inbox_payloads where redacted") == [(True,)]
    assert query("select count(distinct psp) >= 3 from inbox_events where status = 'parked'") == [(True,)]
    log, wanted = planted.stack.folder.parent / "up.log", ("event_failed", "inbox_writer.unavailable", "api.fault")
    assert all(word in log.read_text(errors="replace") for word in wanted)
    wait_until(lambda: "not_reconciled" in log.read_text(errors="replace"), "the tick of reconciliation came", 120)


def test_no_canary_stands_where_it_may_not(planted: Planted, everything: list[Written]) -> None:
    assert {canary.kind for canary in planted.canaries} == set(MAY_STAND)
    assert len({canary.value for canary in planted.canaries}) == len(planted.canaries) >= 50
    found = find(planted.canaries, everything)
    assert sorted((kind, place) for kind, place in found if not is_allowed(place, MAY_STAND[kind])) == []
    kept = {(kind, place.partition(":")[0]) for kind, place in found}
    assert {("payer", "db"), ("payer", "disk"), ("merchant key", "said"), ("endpoint's secret", "http")} <= kept


def test_what_is_left_of_a_card_number_are_its_first_six_and_last_four_digits(planted: Planted) -> None:
    bodies = b"\n".join(bytes(body) for (body,) in planted.stack.query("select body from inbox_payloads"))
    for psp in ("stripe", "conekta", "stp", "openpay", "moonpay", "broken"):
        number = CARDS[psp]
        assert number[:6].encode() + b"*" * (len(number) - 10) + number[-4:].encode() in bodies, psp


def test_a_canary_that_leaks_is_found_wherever_it_leaks_to(planted: Planted) -> None:
    leak = Canary("leak", "leakedCanary6Rt3Ws8")
    message = base64.b64encode(json.dumps({"body": base64.b64encode(leak.value.encode()).decode()}).encode())
    environment = planted.stack.status()["environment"]
    connection = psycopg2.connect(environment["ACUSE_DATABASE_URL"])
    with connection, connection.cursor() as cursor:
        cursor.execute("create schema elsewhere")
        cursor.execute("create table elsewhere.leaks (words text, bytes bytea, wrapped bytea, document jsonb)")
        values = (f"of {leak.value}", leak.value.encode(), message, json.dumps({"a": [leak.value]}))
        cursor.execute("insert into elsewhere.leaks values (%s, %s, %s, %s)", values)
    connection.close()
    with Redis.from_url(environment["ACUSE_REDIS_URL"]) as redis:
        redis.lpush("acuse:nobody", b'{"body": "' + message + b'"}')
        redis.set(f"limit:{leak.value}", 1)
    say = (
        f"import structlog, logs; logs.configure_logging('json'); structlog.get_logger().error('x', why='{leak.value}')"
    )
    with (planted.stack.folder / "leak.log").open("wb") as out:
        subprocess.run([sys.executable, "-c", say], cwd=ROOT, stdout=out, check=True)
    places = {place for _, place in find([leak], (one for read in READERS for one in read(planted.stack)))}
    assert {place for place in places if not place.startswith("disk:")} == {
        "log:leak.log",
        "db:elsewhere.leaks.words",
        "db:elsewhere.leaks.bytes",
        "db:elsewhere.leaks.wrapped",
        "db:elsewhere.leaks.document",
        "redis:acuse:nobody",
        f"redis:limit:{leak.value}",
    }
    assert any(place.startswith("disk:pg_wal/") for place in places)
