"""The composition root: the one place where parts are put together. Nothing is built before somebody asks."""

import os
import socket
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cache, partial
from typing import Any, TypeVar

from celery import Celery
from celery.exceptions import SoftTimeLimitExceeded
from celery.signals import (
    after_task_publish,
    beat_init,
    celeryd_after_setup,
    task_prerun,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
)

from bootstrap_metrics import ProcessMetrics, connect_signals, share_through
from bootstrap_reconciling import build_reconcile_deps
from bootstrap_ringing import build_replay_deps, publish, ring_account, ring_notify, ring_reconcile
from bootstrap_starting import build_engine, build_sealer, call_limits, find_tracing, refuse_start, take_lanes, utc_now
from celeryconfig import EVENT_LANES
from config import Config, load_config
from logs import configure_logging
from models.canaries import name_own_queue
from models.unit_of_work import UnitOfWork
from notifications.sending import DEADLINE, Sender
from psps.registry import PSPS
from schedules.beat import TIMETABLE
from schedules.reconciling.dependencies import ReconcileDeps
from schedules.sending import Sendings
from schedules.services import ScheduleDeps
from schedules.tasks import register_tasks as register_schedule_tasks
from workers.app import consume_own_queue, create_celery
from workers.clients import build_clients
from workers.dependencies import ReplayDeps, WorkerDeps
from workers.taking import Takings
from workers.tasks import register_tasks as register_worker_tasks
from workers.tracing import UNTRACED, Untraced
from workers.watching import CallWatch

T = TypeVar("T")


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
    worker_init.connect(take_lanes, dispatch_uid="acuse.take_lanes")
    connect_signals(config, worker_init, worker_process_init, worker_process_shutdown, beat_init, after_task_publish)
    metrics = _once_per_process(ProcessMetrics.build)
    open_tracer = _prepare_tracer(config)
    worker_deps = _once_per_process(lambda: build_worker_deps(config, app, metrics(), open_tracer()))
    register_worker_tasks(app, worker_deps, lambda: _build_replay_deps(config, app, worker_deps()))
    register_schedule_tasks(
        app,
        lambda: _build_schedule_deps(config, app, worker_deps()),
        _once_per_process(lambda: _build_reconcile_deps(config, app, metrics(), open_tracer())),
    )
    _note_takings(app, worker_deps)
    _note_sendings(app, config)
    return app


def _note_takings(app: Celery, worker_deps: Callable[[], WorkerDeps]) -> None:
    """Have workers take from a queue of their own too, and write down what they take from which queue."""
    host, pid = socket.gethostname(), os.getpid()  # of the main process: tasks run in forks of it
    takings = _once_per_process(lambda: Takings(worker_deps().unit_of_work, utc_now, host, pid))

    def note(task: Any, **_: Any) -> None:
        info = task.request.delivery_info or {}
        if task.app is app and info.get("routing_key") and task.request.hostname:
            takings().note(task.request.hostname, info["routing_key"])

    def add_queue(instance: Any, **_: Any) -> None:
        if instance.app is app:
            consume_own_queue(app, name_own_queue(host, pid))

    task_prerun.connect(note, weak=False)
    celeryd_after_setup.connect(add_queue, weak=False)


def _note_sendings(app: Celery, config: Config) -> None:
    """Have beat write down what it sends."""

    def begin(**_: Any) -> None:
        unit_of_work = partial(UnitOfWork, build_engine(config, "beat"))
        sendings = Sendings(app.conf.beat_schedule, unit_of_work, utc_now, socket.gethostname(), os.getpid())

        def note(sender: str, routing_key: str, **_: Any) -> None:
            sendings.note(sender, routing_key)

        after_task_publish.connect(note, weak=False)

    beat_init.connect(begin, weak=False)


def build_worker_deps(
    config: Config, app: Celery, metrics: ProcessMetrics | None = None, tracer: Untraced = UNTRACED
) -> WorkerDeps:
    """What the tasks of one worker process need. It opens a pool of its own, so it is built after the fork."""
    metrics = metrics or ProcessMetrics.build()
    unit_of_work = partial(UnitOfWork, metrics.pools.watch(build_engine(config, "worker"), "worker"))
    make_watch = partial(CallWatch, metrics.calls, tracer=tracer)
    return WorkerDeps(
        unit_of_work=unit_of_work,
        readers={name: psp.events for name, psp in PSPS.items()},
        accounts=config.accounts,
        enqueue=partial(publish, app),
        ring_account=partial(ring_account, app),
        ring_notify=partial(ring_notify, app),
        find_client=build_clients(config.accounts, call_limits(config), unit_of_work, make_watch=make_watch),
        clock=utc_now,
        metrics=metrics.worker,
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
        tracer=tracer,
    )


def _build_replay_deps(config: Config, app: Celery, deps: WorkerDeps) -> ReplayDeps:
    return build_replay_deps(config, deps.unit_of_work, _publish_behind(app))


def _build_schedule_deps(config: Config, app: Celery, deps: WorkerDeps) -> ScheduleDeps:
    return ScheduleDeps(
        unit_of_work=deps.unit_of_work,
        enqueue=deps.enqueue,
        enqueue_behind=_publish_behind(app),
        ring_account=deps.ring_account,
        clock=deps.clock,
        ring_notify=deps.ring_notify,
        retention_months=config.retention_months,
    )


def _publish_behind(app: Celery) -> Callable[[Sequence[int]], None]:
    """For what need not be at once, a long backlog as a rule: it stands in nobody's way in the last lane."""
    return partial(publish, app, lane=len(EVENT_LANES) - 1)


def _prepare_tracer(config: Config) -> Callable[[], Untraced]:
    """What gives each worker process its tracer. Raises ConfigError where it could not."""
    make = find_tracing(config)
    if make is None:
        return lambda: UNTRACED
    tracing = _once_per_process(partial(make, "acuse-worker"))
    worker_process_shutdown.connect(lambda **_: tracing().close(), weak=False, dispatch_uid="acuse.close_traces")
    return _once_per_process(lambda: tracing().for_workers())


def _build_reconcile_deps(config: Config, app: Celery, metrics: ProcessMetrics, tracer: Untraced) -> ReconcileDeps:
    return build_reconcile_deps(
        config,
        _publish_behind(app),
        partial(ring_reconcile, app),
        utc_now,
        call_limits(config),
        interruption=SoftTimeLimitExceeded,
        metrics=metrics,
        tracer=tracer,
    )


def _make_sender(config: Config) -> Sender:
    return Sender(config.allow_loopback_endpoints, deadline=max(DEADLINE / _notify_pace(config), 1.0))


def _notify_pace(config: Config) -> int:
    """Merchants on the internet are never hurried; those of a simulation are, as its PSPs are."""
    return config.sandbox_pace if config.allow_loopback_endpoints else 1


def _once_per_process(build: Callable[[], T]) -> Callable[[], T]:
    """`build`, called once in each process that asks: a connection must not be shared over a fork."""
    built: dict[int, T] = {}

    def get() -> T:
        if os.getpid() not in built:
            built.clear()
            built[os.getpid()] = build()
        return built[os.getpid()]

    return get
