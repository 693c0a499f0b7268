"""The composition root of the doorbells, which ring for work that Postgres holds, and of the workbench that sets it going again."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

from celery import Celery
from kombu import Connection
from kombu.exceptions import KombuError, OperationalError

from bootstrap_starting import utc_now
from celeryconfig import EVENT_LANES, QUORUM
from config import Config
from models.canaries import CANARY_SECONDS
from models.replays import StoredEvent
from models.states import Verification
from models.unit_of_work import UnitOfWork
from psps.registry import PSPS
from schedules.beat import RECONCILE_ACCOUNT, RECONCILE_SECONDS, SWEEP_SECONDS, TAKE_CANARY
from workers.app import create_producer, make_own_queue
from workers.dependencies import ReplayDeps
from workers.task_names import NOTIFY, PROCESS_EVENTS, SERVE_ACCOUNT
from workers.verifying import verify_again


def build_publish(config: Config) -> Callable[[Sequence[int]], None]:
    """A function that rings `process_events` for some ids, in a few seconds at most, or raises."""
    return partial(publish, create_producer(config.broker_url))


def build_publish_into(config: Config) -> Callable[[Sequence[int], int], None]:
    """The same for some ids and their lane, a place in `celeryconfig.EVENT_LANES`."""
    return partial(publish, create_producer(config.broker_url))


def build_ring_account(config: Config) -> Callable[[str, str], None]:
    """The same for `serve_account` and a PSP with an account of it."""
    return partial(ring_account, create_producer(config.broker_url))


def build_ring_notify(config: Config) -> Callable[[], None]:
    """The same for `notify`."""
    return partial(ring_notify, create_producer(config.broker_url))


def build_replay_deps(
    config: Config, unit_of_work: Callable[[], UnitOfWork], enqueue: Callable[[Sequence[int]], None]
) -> ReplayDeps:
    """What a process needs that says what a replay would do, or does it."""

    def verify(stored: StoredEvent) -> Verification:
        return verify_again(PSPS, config.accounts, utc_now(), stored)

    return ReplayDeps(
        unit_of_work=unit_of_work,
        readers={name: psp.events for name, psp in PSPS.items()},
        accounts=config.accounts,
        unmatched_wait=timedelta(seconds=config.unmatched_wait_seconds),
        verify=verify,
        enqueue=enqueue,
        clock=utc_now,
    )


def build_send_canary(config: Config) -> Callable[[str], None]:
    """A function that sends a canary to the own queue of a worker, by its name, in a few seconds at most, or raises."""
    return partial(send_canary, create_producer(config.broker_url))


def publish(app: Celery, ids: Sequence[int], lane: int = 0) -> None:
    app.send_task(PROCESS_EVENTS, args=[list(ids)], ignore_result=True, queue=EVENT_LANES[lane])


def ring_account(app: Celery, psp: str, account: str) -> None:
    # The sweep rings again: older messages would only stand in the way of other accounts.
    app.send_task(SERVE_ACCOUNT, args=[psp, account], ignore_result=True, expires=SWEEP_SECONDS)


def ring_notify(app: Celery) -> None:
    app.send_task(NOTIFY, ignore_result=True, expires=SWEEP_SECONDS)


def ring_reconcile(app: Celery, psp: str, account: str, kind: str, day: str | None) -> None:
    """Ring for a run of an account."""
    app.send_task(RECONCILE_ACCOUNT, args=[psp, account, kind, day], ignore_result=True, expires=RECONCILE_SECONDS)


def send_canary(app: Celery, own_queue: str) -> None:
    app.send_task(TAKE_CANARY, queue=make_own_queue(own_queue), ignore_result=True, expires=CANARY_SECONDS)


def count_messages(config: Config, queues: Sequence[str]) -> dict[str, int]:
    """Messages that nobody has taken yet, by queue, those of `events` in all of its lanes; none of them where the broker does not
    answer or does not let us look."""
    broker = create_producer(config.broker_url).connection_for_write()
    lost = (KombuError, OperationalError, OSError, *broker.connection_errors, *broker.channel_errors)
    with suppress(*lost), broker:
        broker.ensure_connection(max_retries=1, timeout=2)
        lanes = {"events": EVENT_LANES}
        return {queue: sum(_count_in(broker, lane) for lane in lanes.get(queue, (queue,))) for queue in queues}
    return {}


def _count_in(broker: Connection, queue: str) -> int:
    """It is declared as the workers do: kombu cannot look for one on a Redis whose keys have a prefix."""
    channel: Any = broker.default_channel
    return int(channel.queue_declare(queue=queue, durable=True, auto_delete=False, arguments=QUORUM).message_count)
