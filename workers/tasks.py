"""The tasks of event processing: they fetch their dependencies and call a service."""

from collections.abc import Callable

from celery import Celery

from workers import services
from workers.dependencies import WorkerDeps

PROCESS_EVENTS = "workers.process_events"


def register_tasks(app: Celery, deps: Callable[[], WorkerDeps]) -> None:
    """Register the tasks; `deps` is asked in the worker process, after the fork."""

    def process_events(ids: list[int]) -> None:
        services.process_events(deps(), [int(i) for i in ids])

    app.task(name=PROCESS_EVENTS, max_retries=3)(process_events)
