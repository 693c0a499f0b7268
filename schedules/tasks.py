"""The tasks of the timetable."""

from collections.abc import Callable
from datetime import date

from celery import Celery

from models.states import RunKind
from schedules import searching, services
from schedules.beat import RECONCILE_ACCOUNT, TAKE_CANARY
from schedules.reconciling import due, service
from schedules.reconciling.dependencies import ReconcileDeps
from schedules.services import ScheduleDeps

# A run may be long. A second message for it finds the account held and ends at once.
LONGEST_RUN_SECONDS = 3600


def register_tasks(app: Celery, deps: Callable[[], ScheduleDeps], reconcile_deps: Callable[[], ReconcileDeps]) -> None:
    """Register the periodic tasks; dependencies are asked for in the worker process, after the fork."""

    def sweep() -> None:
        services.sweep(deps())

    def index_search() -> None:
        searching.index_search(deps())

    def keep_house() -> None:
        services.keep_house(deps())

    def start_reconciling() -> None:
        due.start_due(reconcile_deps())

    def reconcile_account(psp: str, account: str, kind: str, day: str | None) -> None:
        wanted = date.fromisoformat(day) if day else None
        service.reconcile_quietly(reconcile_deps(), str(psp), str(account), RunKind(kind), wanted)

    def take_canary() -> None:
        """Nothing: that it is taken is noted, as it is of every task."""

    app.task(name=TAKE_CANARY)(take_canary)
    app.task(name="schedules.sweep")(sweep)
    app.task(name="schedules.index_search")(index_search)
    app.task(name="schedules.keep_house")(keep_house)
    app.task(name="schedules.start_reconciling")(start_reconciling)
    limits = {"soft_time_limit": LONGEST_RUN_SECONDS, "time_limit": LONGEST_RUN_SECONDS + 60}
    app.task(name=RECONCILE_ACCOUNT, **limits)(reconcile_account)
