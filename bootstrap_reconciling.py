"""The composition root of what reconciles."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from config import Config
from models.engine import open_engine
from models.reconciliations import hold_account
from models.unit_of_work import UnitOfWork
from psps.gate import CallLimits
from psps.registry import PSPS
from schedules.calendar.banking import load_calendar
from schedules.reconciling.dependencies import ReconcileDeps
from workers.clients import build_clients

TURN_PATIENCE = 30.0  # seconds: a run makes many calls, and what people wait for goes first


def build_reconcile_deps(
    config: Config,
    enqueue: Callable[[Sequence[int]], None],
    ring_reconcile: Callable[[str, str, str, str | None], None],
    clock: Callable[[], datetime],
    limits: CallLimits,
) -> ReconcileDeps:
    """What a process needs that reconciles. It opens a pool of its own, so it is built after the fork."""
    engine = open_engine(config.database_url, "reconciler")
    unit_of_work = partial(UnitOfWork, engine)
    return ReconcileDeps(
        unit_of_work=unit_of_work,
        hold_account=partial(hold_account, engine),
        readers={name: psp.events for name, psp in PSPS.items()},
        lists_by={name: psp.lists_by for name, psp in PSPS.items()},
        accounts=config.accounts,
        find_client=build_clients(config.accounts, limits, unit_of_work, TURN_PATIENCE),
        enqueue=enqueue,
        ring_reconcile=ring_reconcile,
        calendar=load_calendar(),
        clock=clock,
    )
