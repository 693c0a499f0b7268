"""Ringing after a commit. Best effort: the sweep rings again."""

from collections.abc import Callable

import structlog

from ingress.api.dependencies import deps
from ingress.asking import Asked

log = structlog.get_logger(__name__)


def ring_asked(asked: Asked) -> None:
    """Tell the worker that calls this account, and those that deliver what was told of it. Never raises."""
    need = deps()
    _ring(lambda: need.ring_account(asked.psp, asked.account))
    if asked.told:
        ring_notify()


def ring_notify() -> None:
    """Tell the workers that something is to be delivered. Never raises."""
    _ring(deps().ring_notify)


def _ring(bell: Callable[[], None]) -> None:
    try:
        bell()
    except Exception as error:  # noqa: BLE001 - whatever the broker raises
        log.warning("api.ring_failed", error=type(error).__name__)
