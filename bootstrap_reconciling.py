"""The composition root of what reconciles."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import partial

from bootstrap_metrics import ProcessMetrics
from bootstrap_starting import build_engine
from config import Config
from models.holding import hold_account
from models.schema import NotReady
from models.unit_of_work import UnitOfWork, refuse_inside_transaction
from psps.cep.client import CepClient
from psps.gate import CallLimits, Gate, Watch
from psps.outbound import NotNow
from psps.registry import PSPS
from schedules.calendar.banking import load_calendar
from schedules.reconciling.dependencies import ReconcileDeps
from schedules.settlements.missing import load_expected_days
from workers.clients import build_clients
from workers.tracing import UNTRACED, Untraced
from workers.watching import CallWatch

CEP_BURST = 6.0  # calls
# Seconds. Nobody goes first: a turn goes to whoever asks when there is one. A run makes many calls and would fail as a
# whole, so it keeps asking for longer; what it is asked to leave for others is ACUSE_<PSP>_CALLS_PER_SECOND.
TURN_PATIENCE = 30.0


def build_reconcile_deps(
    config: Config,
    enqueue: Callable[[Sequence[int]], None],
    ring_reconcile: Callable[[str, str, str, str | None], None],
    clock: Callable[[], datetime],
    limits: CallLimits,
    interruption: type[BaseException] = KeyboardInterrupt,
    metrics: ProcessMetrics | None = None,
    tracer: Untraced = UNTRACED,
) -> ReconcileDeps:
    """What a process needs that reconciles. It opens a pool of its own, so it is built after the fork."""
    metrics = metrics or ProcessMetrics.build()
    engine = metrics.pools.watch(build_engine(config, "reconciler"), "reconciler")
    make_watch = partial(CallWatch, metrics.calls, tracer=tracer)
    unit_of_work = partial(UnitOfWork, engine)
    return ReconcileDeps(
        unit_of_work=unit_of_work,
        hold_account=partial(hold_account, engine),
        readers={name: psp.events for name, psp in PSPS.items()},
        lists_by={name: psp.lists_by for name, psp in PSPS.items()},
        accounts=config.accounts,
        find_client=build_clients(config.accounts, limits, unit_of_work, TURN_PATIENCE, make_watch),
        enqueue=enqueue,
        ring_reconcile=ring_reconcile,
        calendar=load_calendar(),
        expected_days=load_expected_days(),
        clock=clock,
        cep=_make_cep(config, limits, unit_of_work, make_watch("cep", "banxico")),
        interruption=interruption,
        tell_silence=metrics.schedules.tell_silence,
    )


def _make_cep(
    config: Config, limits: CallLimits, unit_of_work: Callable[[], UnitOfWork], watch: Watch
) -> CepClient | None:
    if config.cep_url is None:
        return None
    take_turn = partial(_take_cep_turn, config, unit_of_work)
    gate = Gate(limits, check=refuse_inside_transaction, take_turn=take_turn, watch=watch)
    return CepClient(config.cep_url, gate)


def _take_cep_turn(config: Config, unit_of_work: Callable[[], UnitOfWork]) -> None:
    """All processes share it. A question takes two turns or more, one after the other."""
    rate = config.cep_calls_per_minute / 60
    with unit_of_work() as work:
        is_ours = work.calls.take_turn("cep", "banxico", rate, burst=CEP_BURST)
        work.commit_lazily()
    if not is_ours:
        raise NotNow("no_turn", "enough was asked for now", retry_after=1 / rate, is_held_back=True)


def check_banking_days(today: date) -> None:
    """Raises NotReady from 90 days before the banking calendar ends."""
    warning = load_calendar().find_warning(today)
    if warning:
        raise NotReady(warning)
