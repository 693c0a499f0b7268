"""The composition root: the one place where parts are put together. Nothing is built before somebody asks."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from operator import attrgetter
from typing import TypeVar

from celery import Celery
from celery.exceptions import SoftTimeLimitExceeded
from celery.signals import beat_init, worker_init
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from bootstrap_reconciling import build_reconcile_deps
from bootstrap_ringing import (
    build_publish,
    build_ring_account,
    build_ring_notify,
    publish,
    ring_account,
    ring_notify,
    ring_reconcile,
)
from bootstrap_starting import refuse_start
from config import Config, load_config
from ingress.api.dependencies import MerchantDeps
from ingress.app import ApiDeps, ReceiverDeps
from ingress.doorbell import Doorbell
from ingress.framing import Limits
from ingress.inbox_writer import InboxWriter
from ingress.metrics import ReceiverMetrics, share_through
from logs import configure_logging
from migrations.run import find_head
from models.engine import Role, open_engine
from models.inbox import InboxStore
from models.merchant_work import MerchantWork
from models.schema import check_schema
from models.unit_of_work import UnitOfWork
from notifications.sealing import Sealer
from notifications.sending import DEADLINE, Sender
from psps.gate import CallLimits
from psps.registry import PSPS
from schedules.beat import TIMETABLE
from schedules.reconciling.dependencies import ReconcileDeps
from schedules.services import ScheduleDeps
from schedules.tasks import register_tasks as register_schedule_tasks
from workers.app import create_celery, create_producer
from workers.clients import build_clients
from workers.dependencies import WorkerDeps
from workers.metrics import WorkerMetrics
from workers.tasks import register_tasks as register_worker_tasks

T = TypeVar("T")


def utc_now() -> datetime:
    """The clock of every process."""
    return datetime.now(UTC)


def build_engine(config: Config, role: Role) -> Engine:
    """A pool for one process. Nothing connects before the first use, so it may be built before a fork."""
    return open_engine(config.database_url, role)


def build_celery(config: Config | None = None) -> Celery:
    """The application of workers and beat, with every task. Dependencies are made in the process that runs them."""
    config = config or load_config()
    configure_logging(config.log_format)
    if config.metrics_dir:
        share_through(config.metrics_dir)
    app = create_celery(config.broker_url)
    app.conf.beat_schedule = TIMETABLE
    for starting in (worker_init, beat_init):
        starting.connect(partial(refuse_start, config), weak=False, dispatch_uid="acuse.check_start")
    worker_deps = _once_per_process(partial(build_worker_deps, config, app))
    register_worker_tasks(app, worker_deps)
    register_schedule_tasks(
        app,
        lambda: ScheduleDeps(
            *attrgetter("unit_of_work", "enqueue", "ring_account", "clock", "ring_notify")(worker_deps())
        ),
        _once_per_process(partial(_build_reconcile_deps, config, app)),
    )
    return app


def build_receiver(config: Config) -> ReceiverDeps:
    """The receiver's parts; whoever serves them starts the doorbell and the writer."""
    engine = build_engine(config, "receiver")
    metrics = ReceiverMetrics(CollectorRegistry())
    doorbell = Doorbell(build_publish(config), metrics.count_doorbell)
    limits = _limits(config)
    return ReceiverDeps(
        accounts=config.accounts,
        writer=InboxWriter(InboxStore(engine), doorbell.ring, limits.answer_seconds, observe=metrics.count_batch),
        doorbell=doorbell,
        clock=utc_now,
        metrics=metrics,
        checks=build_checks(config, engine),
        limits=limits,
        trusted_proxies=config.trusted_proxies,
    )


def build_api(config: Config) -> ApiDeps:
    """The API's parts."""
    engine = build_engine(config, "api")
    return ApiDeps(
        checks=build_checks(config, engine),
        inbox_depth=partial(_count_inbox, engine),
        limits=_limits(config),
        registry=CollectorRegistry(),
        metrics_dir=config.metrics_dir,
        merchants=build_merchants(config, engine),
    )


def build_merchants(config: Config, engine: Engine) -> MerchantDeps:
    """The parts of the merchant API."""
    return MerchantDeps(
        open_work=partial(MerchantWork, engine),
        open_front_work=partial(UnitOfWork, engine),
        accounts=config.accounts,
        routes=config.routes,
        ring_account=build_ring_account(config),
        ring_notify=build_ring_notify(config),
        clock=utc_now,
        sealer=build_sealer(config),
        trusted_proxies=config.trusted_proxies,
        requests_per_minute=config.requests_per_minute,
        redis_url=config.redis_url,
        allow_loopback_endpoints=config.allow_loopback_endpoints,
    )


def build_sealer(config: Config) -> Sealer | None:
    """What seals the secrets that we must be able to read again."""
    return Sealer(config.secret_keys) if config.secret_keys else None


def _limits(config: Config) -> Limits:
    return Limits(config.max_body_bytes, config.body_seconds, config.answer_seconds)


def build_checks(config: Config, engine: Engine) -> dict[str, Callable[[], None]]:
    """What /readyz asks: each returns or raises an error that says what is wrong."""
    return {
        "database": partial(check_schema, engine, find_head()),
        "broker": partial(_check_broker, create_producer(config.broker_url)),
    }


def _check_broker(app: Celery) -> None:
    with app.connection_for_write(connect_timeout=1) as connection:
        connection.ensure_connection(max_retries=1, timeout=1)


def _count_inbox(engine: Engine) -> list[tuple[str, str, int, float]]:
    with UnitOfWork(engine) as work:
        unfinished = work.inbox.count_unfinished(utc_now())
        return unfinished + [(psp, status, count, 0.0) for psp, status, count in work.inbox.count_set_aside()]


def build_worker_deps(config: Config, app: Celery) -> WorkerDeps:
    """What the tasks of one worker process need. It opens a pool of its own, so it is built after the fork."""
    unit_of_work = partial(UnitOfWork, build_engine(config, "worker"))
    return WorkerDeps(
        unit_of_work=unit_of_work,
        readers={name: psp.events for name, psp in PSPS.items()},
        accounts=config.accounts,
        enqueue=partial(publish, app),
        ring_account=partial(ring_account, app),
        ring_notify=partial(ring_notify, app),
        find_client=build_clients(config.accounts, call_limits(config), unit_of_work),
        clock=utc_now,
        metrics=WorkerMetrics(CollectorRegistry()),
        interruption=SoftTimeLimitExceeded,
        lease=timedelta(seconds=config.lease_seconds),
        max_attempts=config.max_attempts,
        unmatched_wait=timedelta(seconds=config.unmatched_wait_seconds),
        longest_call=timedelta(seconds=call_limits(config).longest),
        sandbox_pace=config.sandbox_pace,
        query_after=timedelta(seconds=config.query_after_seconds),
        sealer=build_sealer(config),
        make_sender=cache(partial(_make_sender, config)),
        notify_pace=_notify_pace(config),
    )


def _build_reconcile_deps(config: Config, app: Celery) -> ReconcileDeps:
    return build_reconcile_deps(
        config,
        partial(publish, app),
        partial(ring_reconcile, app),
        utc_now,
        call_limits(config),
        interruption=SoftTimeLimitExceeded,
    )


def _make_sender(config: Config) -> Sender:
    return Sender(config.allow_loopback_endpoints, deadline=max(DEADLINE / _notify_pace(config), 1.0))


def _notify_pace(config: Config) -> int:
    """Merchants on the internet are never hurried; those of a simulation are, as its PSPs are."""
    return config.sandbox_pace if config.allow_loopback_endpoints else 1


def call_limits(config: Config) -> CallLimits:
    """How long calls to PSPs may take."""
    return CallLimits(deadline=config.call_seconds, tries_deadline=config.call_seconds * 0.8)


def _once_per_process(build: Callable[[], T]) -> Callable[[], T]:
    """`build`, called once in each process that asks: a connection must not be shared over a fork."""
    built: dict[int, T] = {}

    def get() -> T:
        if os.getpid() not in built:
            built.clear()
            built[os.getpid()] = build()
        return built[os.getpid()]

    return get
