"""The search entries of payments that are new or called something else by now."""

from datetime import timedelta

import structlog

from schedules.beat import INDEX_SECONDS
from schedules.services import ScheduleDeps, find_window

log = structlog.get_logger(__name__)

INDEX_BATCH = 100  # workers that change one of them again wait for the batch
INDEX_FOR = timedelta(seconds=3)


def index_search(deps: ScheduleDeps) -> int:
    """Index what is queued, for some seconds at most; how many payments there were. Losing a commit costs a repetition."""
    began, total = deps.clock(), 0
    with deps.unit_of_work() as work:
        if not work.windows.take("index_search", find_window(began, INDEX_SECONDS / 2)):
            return 0
        work.commit_lazily()
    while deps.clock() - began < INDEX_FOR:
        with deps.unit_of_work() as work:
            indexed = work.search.index(INDEX_BATCH)
            work.commit_lazily()
        total += indexed
        if indexed < INDEX_BATCH:
            break
    if total:
        log.info("search_indexed", payments=total)
    return total
