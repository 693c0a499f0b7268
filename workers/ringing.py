"""Ringing after a commit. Best effort: the sweep rings again."""

from collections.abc import Iterable, Sequence

import structlog

from workers.dependencies import WorkerDeps

log = structlog.get_logger(__name__)


def ring_quietly(
    deps: WorkerDeps, ids: Sequence[int] = (), accounts: Iterable[tuple[str, str]] = (), notify: bool = False
) -> None:
    """Tell the workers of new events, of accounts whose PSPs are to be called, and of notifications. Never raises."""
    try:
        if ids:
            deps.enqueue(ids)
        for psp, account in accounts:
            deps.ring_account(psp, account)
        if notify:
            deps.ring_notify()
    except Exception as error:  # noqa: BLE001 - whatever the broker raises
        log.warning("ring_failed", error=type(error).__name__)
