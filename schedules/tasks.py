"""The tasks of the timetable."""

from collections.abc import Callable

from celery import Celery

from schedules import searching, services
from schedules.services import ScheduleDeps


def register_tasks(app: Celery, deps: Callable[[], ScheduleDeps]) -> None:
    """Register the periodic tasks; `deps` is asked in the worker process, after the fork."""

    def sweep() -> None:
        services.sweep(deps())

    def index_search() -> None:
        searching.index_search(deps())

    def keep_house() -> None:
        services.keep_house(deps())

    app.task(name="schedules.sweep")(sweep)
    app.task(name="schedules.index_search")(index_search)
    app.task(name="schedules.keep_house")(keep_house)
