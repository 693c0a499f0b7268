"""The tasks of event processing, of calling PSPs and of notifying merchants: they fetch their dependencies and call a service."""

from collections.abc import Callable

from celery import Celery

from workers import calling, notifying, services
from workers.dependencies import WorkerDeps

PROCESS_EVENTS = "workers.process_events"
SERVE_ACCOUNT = "workers.serve_account"
NOTIFY = "workers.notify"


def register_tasks(app: Celery, deps: Callable[[], WorkerDeps]) -> None:
    """Register the tasks; `deps` is asked in the worker process, after the fork."""

    def process_events(ids: list[int]) -> None:
        services.process_events(deps(), [int(i) for i in ids])

    def serve_account(psp: str, account: str) -> None:
        calling.serve_account(deps(), str(psp), str(account))

    def notify() -> None:
        notifying.notify(deps())

    app.task(name=PROCESS_EVENTS, max_retries=3)(process_events)
    app.task(name=SERVE_ACCOUNT, max_retries=3)(serve_account)
    app.task(name=NOTIFY, max_retries=3)(notify)
