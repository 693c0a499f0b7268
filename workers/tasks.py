"""The tasks of event processing, of calling PSPs, of notifying merchants and of setting events going again: they fetch their
dependencies and call a service."""

from collections.abc import Callable

from celery import Celery

from workers import calling, notifying, replaying, services
from workers.dependencies import ReplayDeps, WorkerDeps
from workers.task_names import ADVANCE_REPLAYS, NOTIFY, PROCESS_EVENTS, SERVE_ACCOUNT


def register_tasks(app: Celery, deps: Callable[[], WorkerDeps], replay_deps: Callable[[], ReplayDeps]) -> None:
    """Register the tasks; dependencies are asked for in the worker process, after the fork."""

    def process_events(ids: list[int]) -> None:
        services.process_events(deps(), [int(i) for i in ids])

    def serve_account(psp: str, account: str) -> None:
        calling.serve_account(deps(), str(psp), str(account))

    def notify() -> None:
        notifying.notify(deps())

    def advance_replays() -> None:
        replaying.advance_all(replay_deps())

    app.task(name=PROCESS_EVENTS, max_retries=3)(process_events)
    app.task(name=SERVE_ACCOUNT, max_retries=3)(serve_account)
    app.task(name=NOTIFY, max_retries=3)(notify)
    app.task(name=ADVANCE_REPLAYS)(advance_replays)
