"""The tasks of event processing: they fetch their dependencies and call a service."""

from collections.abc import Callable
from typing import Any

from celery import Celery

from workers import services
from workers.dependencies import WorkerDeps

PROCESS_EVENTS = "workers.process_events"


def register_tasks(app: Celery, deps: Callable[[], WorkerDeps]) -> dict[str, Any]:
    """Register the tasks; `deps` is asked in the worker process, after the fork."""

    @app.task(name=PROCESS_EVENTS, max_retries=3)
    def process_events(ids: list[int]) -> None:
        services.process_events(deps(), [int(i) for i in ids])

    return {PROCESS_EVENTS: process_events}
