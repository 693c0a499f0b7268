"""The tasks of event processing and of calling PSPs: they fetch their dependencies and call a service."""

from collections.abc import Callable

from celery import Celery

from workers import calling, services
from workers.dependencies import WorkerDeps

PROCESS_EVENTS = "workers.process_events"
SERVE_ACCOUNT = "workers.serve_account"


def register_tasks(app: Celery, deps: Callable[[], WorkerDeps]) -> None:
    """Register the tasks; `deps` is asked in the worker process, after the fork."""

    def process_events(ids: list[int]) -> None:
        services.process_events(deps(), [int(i) for i in ids])

    def serve_account(psp: str, account: str) -> None:
        calling.serve_account(deps(), str(psp), str(account))

    app.task(name=PROCESS_EVENTS, max_retries=3)(process_events)
    app.task(name=SERVE_ACCOUNT, max_retries=3)(serve_account)
