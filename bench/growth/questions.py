"""The pieces of the product that are asked for their plans: what runs all the time, by the clock, or when somebody looks."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine

from bench.growth.deliveries import make_bodies
from bench.growth.history import History
from bench.growth.plans import Plan, watch
from bench.growth.running import Running
from bench.growth.seeding import MERCHANT
from bootstrap import build_worker_deps
from bootstrap_reconciling import build_reconcile_deps
from bootstrap_starting import call_limits
from models.engine import Role, open_engine
from models.inbox import Delivery, InboxStore
from models.merchant_payments import PaymentFilters
from models.merchant_work import MerchantWork
from models.unit_of_work import UnitOfWork
from psps.stripe import events as stripe
from schedules import searching, services
from schedules.overdue import list_overdue
from schedules.reconciling import due
from workers.app import create_celery
from workers.services import process_events

BATCH = 200
PAGE = 50
Question = Callable[[], Any]
ONE_DAY = timedelta(days=1)


def ask_all(running: Running, history: History) -> dict[str, list[Plan]]:
    """The plans of all questions, by name."""
    found: dict[str, list[Plan]] = {}
    for role, name_questions in ROLES.items():
        engine = open_engine(running.config().database_url, role)
        engine = engine.execution_options(isolation_level="READ COMMITTED")  # the receiver's has no transactions
        for name, question in name_questions(engine, running, history).items():
            with watch(engine) as plans:
                question()
            found[name] = plans
        engine.dispose()
    return found


def make_deliveries(history: History, seed: str, size: int = BATCH, age: timedelta = ONE_DAY * 0) -> list[Delivery]:
    """New ones, some that are stored, and some about stored payments."""
    return [deliver(body, datetime.now(UTC) - age) for body in make_bodies(history, size, seed)]


def deliver(body: bytes, at: datetime) -> Delivery:
    """As the receiver hands it on."""
    digest = stripe.content_digest(body)
    label, headers = "sha256:b111bd95", [("content-type", "application/json")]
    return Delivery("stripe", "default", stripe.event_key({}, body), digest, digest, headers, body, label, False, at)


def _ask_receiver(engine: Engine, running: Running, history: History) -> dict[str, Question]:
    store, new = InboxStore(engine), make_deliveries(history, f"plan{uuid4().hex}")
    return {
        "acknowledge a batch": partial(store.put, new),
        "acknowledge duplicates": partial(store.put, new),
        "acknowledge one": partial(store.put, make_deliveries(history, f"one{uuid4().hex}", 1)),
    }


def _ask_worker(engine: Engine, running: Running, history: History) -> dict[str, Question]:
    config, unit_of_work = running.config(), partial(UnitOfWork, engine)
    soon = datetime.now(UTC) + timedelta(minutes=1)
    quiet = {"enqueue": _ignore, "ring_account": _ignore, "ring_notify": _ignore, "unit_of_work": unit_of_work}
    deps = replace(build_worker_deps(config, create_celery(config.broker_url)), **quiet)
    timed = services.ScheduleDeps(unit_of_work, _ignore, _ignore, _ignore, lambda: soon, _ignore)
    stored = [one.event_id for one in InboxStore(engine).put(make_deliveries(history, uuid4().hex, age=ONE_DAY / 5000))]
    return {
        "sweep": partial(services.sweep, timed),
        "apply a batch": partial(process_events, deps, stored),
        "apply it again": partial(process_events, deps, stored),
        "index search": partial(_in_work, engine, lambda work: work.search.index(searching.INDEX_BATCH)),
        "keep house": partial(services.keep_house, timed),
        "claim a hint, a call": partial(_in_work, engine, _claim_calls),
        "claim notifications": partial(_in_work, engine, _claim_notifications),
    }


def _ask_reconciler(engine: Engine, running: Running, history: History) -> dict[str, Question]:
    config = running.config()
    reconciling = replace(
        build_reconcile_deps(config, _ignore, _ignore, lambda: datetime.now(UTC), call_limits(config)),
        unit_of_work=partial(UnitOfWork, engine),
        ring_reconcile=_ignore,
    )
    return {
        "start reconciling": partial(due.start_due, reconciling),
        "compare a page": partial(_in_work, engine, lambda work: _compare(work, history)),
        "overdue payments": partial(_in_work, engine, _list_overdue),
    }


def _ask_api(engine: Engine, running: Running, history: History) -> dict[str, Question]:
    now = datetime.now(UTC)
    return {
        "counts for /metrics": partial(
            _in_work, engine, lambda work: (work.inbox.count_unfinished(now), work.inbox.count_set_aside())
        ),
        "a merchant's page": partial(_in_wall, engine, lambda own: own.list(PaymentFilters(), None, PAGE)),
    }


def _ask_people(engine: Engine, running: Running, history: History) -> dict[str, Question]:
    intent, _ = history.psp_ids(1)
    event_id = history.events // 2
    own_id = running.ask("select id::text from payments where psp_payment_id = %s", intent)
    return {
        "doctor: uses of keys": partial(_in_work, engine, lambda work: work.calls.count_key_uses()),
        "events list": partial(_in_work, engine, lambda work: work.reader.list_events(None, None, PAGE)),
        "events list --status parked": partial(
            _in_work, engine, lambda work: work.reader.list_events(None, "parked", PAGE)
        ),
        "events list --status conflict": partial(
            _in_work, engine, lambda work: work.reader.list_events(None, "conflict", PAGE)
        ),
        "events list --psp bitso": partial(_in_work, engine, lambda work: work.reader.list_events("bitso", None, PAGE)),
        "events show": partial(_in_work, engine, lambda work: work.reader.get_event(event_id)),
        "payments list": partial(_in_work, engine, lambda work: work.reader.list_payments(None, None, PAGE)),
        "payments list --state disputed": partial(
            _in_work, engine, lambda work: work.reader.list_payments(None, "disputed", PAGE)
        ),
        "payments show, by our id": partial(_in_work, engine, lambda work: work.reader.get_payment(own_id)),
        "payments show": partial(_in_work, engine, lambda work: work.reader.get_payment(intent)),
    }


# The roles in the order in which they are asked: the batch that is applied was acknowledged before.
ROLES: dict[Role, Callable[[Engine, Running, History], dict[str, Question]]] = {
    "receiver": _ask_receiver,
    "worker": _ask_worker,
    "reconciler": _ask_reconciler,
    "api": _ask_api,
    "cli": _ask_people,
}


def _in_work(engine: Engine, use: Callable[[UnitOfWork], Any]) -> None:
    with UnitOfWork(engine) as work:
        use(work)


def _in_wall(engine: Engine, use: Callable[[Any], Any]) -> None:
    with MerchantWork(engine, MERCHANT) as work:
        use(work.own_payments)


def _compare(work: UnitOfWork, history: History) -> None:
    ids = [history.psp_ids(payment) for payment in range(1, history.payments, history.payments // PAGE)]
    work.our_side.find_by_psp_id("stripe", "default", [intent for intent, _ in ids])
    work.our_side.find_by_reference("stripe", "default", [charge for _, charge in ids])


def _list_overdue(work: UnitOfWork) -> None:
    list_overdue(work.open_payments, "stripe", "default", datetime.now(UTC))


def _claim_calls(work: UnitOfWork) -> None:
    now, token = datetime.now(UTC), uuid4()
    work.hints.claim_next("stripe", "default", token, now, now + ONE_DAY, 4)
    work.attempts.claim_next("stripe", "default", token, now, now + ONE_DAY, 4)


def _claim_notifications(work: UnitOfWork) -> None:
    now, token = datetime.now(UTC), UUID(int=1)
    work.deliveries.claim(token, now, now + ONE_DAY, 10, 100, 10)


def _ignore(*_: Any) -> None:
    """Nobody is rung for."""
