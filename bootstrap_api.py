"""The composition root of the API and the operators' pages. A receiver alone does without it, and without all that it imports."""

from collections.abc import Callable, Sequence
from functools import partial

from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from bootstrap_metrics import PoolMetrics
from bootstrap_ringing import build_publish, build_replay_deps, build_ring_account, build_ring_notify, ring_reconcile
from bootstrap_serving import build_checks, limits_of
from bootstrap_starting import build_engine, build_sealer, utc_now
from config import Config, PspAccount
from ingress.api.dependencies import MerchantDeps
from ingress.app import ApiDeps
from ingress.console.dependencies import Bookkeeping, ConsoleDeps, Workbench
from ingress.health import Backlog
from models.merchant_work import MerchantWork
from models.unit_of_work import UnitOfWork
from psps.credentials import LABELS
from psps.registry import PSPS
from schedules.beat import JOBS
from schedules.closing.service import find_obstacles
from schedules.reconciling.approving import approve
from schedules.reconciling.comparing import describe_ours
from schedules.reconciling.theirs import read_message
from schedules.reporting.documents import draw_certificate, write_certificate
from schedules.reporting.timeline import compare_sides
from workers.app import create_producer
from workers.assessing import verify_events
from workers.refolding import refold
from workers.rehearsing import rehearse

MOST_WINDOWS_SHOWN = 4  # of set-aside events that a page looks through


def build_api(config: Config) -> ApiDeps:
    """The API's parts."""
    registry = CollectorRegistry()
    engine = PoolMetrics(registry).watch(build_engine(config, "api"), "api")
    return ApiDeps(
        checks=build_checks(config, engine),
        count_backlog=partial(_count_backlog, engine, [key for key, one in config.accounts.items() if one.can_call]),
        limits=limits_of(config),
        registry=registry,
        metrics_dir=config.metrics_dir,
        merchants=build_merchants(config, engine),
        console=build_console(config, engine),
    )


def build_console(config: Config, engine: Engine) -> ConsoleDeps:
    """The parts of the operators' pages."""
    publish = build_publish(config)
    replay_deps = build_replay_deps(config, partial(UnitOfWork, engine), publish)
    return ConsoleDeps(
        open_front_work=partial(UnitOfWork, engine),
        accounts=config.accounts,
        publish=publish,
        workbench=Workbench(
            partial(rehearse, replay_deps, most_windows=MOST_WINDOWS_SHOWN),
            partial(refold, replay_deps),
            partial(verify_events, replay_deps),
        ),
        clock=utc_now,
        bookkeeping=build_bookkeeping(partial(ring_reconcile, create_producer(config.broker_url))),
        is_secure=not config.console_over_http,
        trusted_proxies=config.trusted_proxies,
        key_labels={key: _label_keys(account) for key, account in config.accounts.items()},
        metrics_dir=config.metrics_dir,
    )


def build_bookkeeping(ring: Callable[[str, str, str, str | None], None]) -> Bookkeeping:
    """What the operators' pages have done by those who reconcile and close; `ring` rings for a run."""
    return Bookkeeping(
        approve=approve,
        find_obstacles=find_obstacles,
        describe_ours=describe_ours,
        read_message=read_message,
        compare_sides=compare_sides,
        draw_certificate=draw_certificate,
        write_certificate=write_certificate,
        ring_reconcile=ring,
    )


def _label_keys(account: PspAccount) -> tuple[str, ...]:
    label = LABELS[PSPS[account.psp].credential]
    return tuple(label(secret) for secret in account.secrets)


def build_merchants(config: Config, engine: Engine) -> MerchantDeps:
    """The parts of the merchant API."""
    return MerchantDeps(
        open_work=partial(MerchantWork, engine),
        open_front_work=partial(UnitOfWork, engine),
        accounts=config.accounts,
        routes=config.routes,
        ring_account=build_ring_account(config),
        ring_notify=build_ring_notify(config),
        clock=utc_now,
        sealer=build_sealer(config),
        trusted_proxies=config.trusted_proxies,
        requests_per_minute=config.requests_per_minute,
        redis_url=config.redis_url,
        allow_loopback_endpoints=config.allow_loopback_endpoints,
    )


def _count_backlog(engine: Engine, accounts: Sequence[tuple[str, str]]) -> Backlog:
    now = utc_now()
    with UnitOfWork(engine) as work:
        set_aside = [(psp, status, count, 0.0) for psp, status, count in work.inbox.count_set_aside()]
        watches = work.canaries.list_watches(now)
        known = [(one.queue, one.lane, one.taken_seconds) for one in watches if one.taken_seconds is not None]
        inbox, queues = work.inbox.count_unfinished(now) + set_aside, work.queues.list_depths(now)
        ran = work.oversight.list_last_windows(list(JOBS.values()))
        return Backlog(
            inbox,
            queues,
            untouched=[(queue, seconds) for queue, lane, seconds in known if not lane],
            untouched_lanes=[(lane, seconds) for _, lane, seconds in known if lane],
            runs=[(entry, ran[job].timestamp()) for entry, job in JOBS.items() if job in ran],
            compared=[
                (psp, name, ended.timestamp() if ended else None)
                for psp, name, ended in work.oversight.list_last_successes(accounts)
            ],
            differences=work.oversight.count_open_differences(),
        )
