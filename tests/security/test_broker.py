"""Who can write to the broker can ring the bell, and no more: no code runs, nobody is stopped, no statement is changed."""

import json
import os
import time
from pathlib import Path

import pytest
from celery import Celery

from tests.psps.simulated import sign, tell_all
from tests.security.planting import Planted
from tests.system.stack import wait_until
from workers.app import create_producer


class Payload:
    """What makes a file where somebody unpickles it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def intruder(planted: Planted) -> Celery:
    return create_producer(planted.stack.status()["environment"]["ACUSE_BROKER_URL"])


def test_the_payload_would_do_its_work_if_anybody_opened_it(tmp_path: Path) -> None:
    import pickle

    pickle.loads(pickle.dumps(Payload(tmp_path / "opened")))
    assert (tmp_path / "opened").is_dir()


def test_nothing_in_a_message_runs_and_the_workers_work_on(planted: Planted, intruder: Celery, tmp_path: Path) -> None:
    before = planted.stack.status()["processes"]
    mark = tmp_path / "opened"
    for queue, task in (("events", "workers.process_events"), ("maintenance", "schedules.sweep")):
        intruder.send_task(task, args=[Payload(mark)], queue=queue, serializer="pickle")
        intruder.send_task(task, args=["1); drop table payments; --"], queue=queue)
        intruder.send_task(task, args=[[2**70, -1, None, "x"]], queue=queue)
        intruder.send_task("os.system", args=[f"mkdir {mark}"], queue=queue)
        intruder.send_task("celery.backend_cleanup", queue=queue)
    intruder.control.broadcast("shutdown")
    intruder.control.broadcast("pool_restart")
    body = tell_all("stripe", "card.paid", start=int(time.time()) - 60, seed=31)[-1].body
    signed = sign("stripe", body, planted.keys, int(time.time()))
    assert planted.ask("POST", "/webhooks/stripe", headers=dict(signed.headers), content=signed.body).status_code == 200
    key = json.loads(signed.body)["id"]
    processed = f"select count(*) from inbox_events where event_key = '{key}' and processed_at is not null"
    wait_until(lambda: planted.stack.query(processed) == [(1,)], "the delivery after it is applied", 60)
    assert not mark.exists()
    after = planted.stack.status()["processes"]
    assert {name: child["pid"] for name, child in after.items()} == {
        name: child["pid"] for name, child in before.items()
    }
    assert planted.stack.query("select count(*) > 0 from payments") == [(True,)]
