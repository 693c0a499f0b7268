"""What the pages about books show: a PSP that lists payments which nobody was told of, a day that is closed, an endpoint that
did not get everything."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import Engine, text
from uuid_utils.compat import uuid7

from bootstrap_reconciling import build_reconcile_deps
from config import Config
from models.closings import DayKey
from models.endpoints import NewEndpoint
from models.merchants import DEFAULT_MERCHANT_ID
from models.states import RunKind
from models.unit_of_work import UnitOfWork
from psps.gate import CallLimits
from psps.outbound import Answer, NotThere
from sandbox.flows import play_flow
from sandbox.identity import Identity
from sandbox.payment import SimulatedPayment
from sandbox.stripe.objects import payment_intent
from schedules.closing.service import Closed, CloseRequest, close_day
from schedules.reconciling.service import reconcile_by_clock, reconcile_day

ACCOUNT = ("stripe", "default")
AGO = 2 * 3600  # seconds: well within what is compared by the clock

FAIL_ONE = """
with one as (select notification_id, endpoint_id, merchant_id from notification_deliveries order by notification_id limit 1),
     tried as (insert into notification_attempts (notification_id, endpoint_id, merchant_id, number, sent_at, status, latency_ms)
               select notification_id, endpoint_id, merchant_id, 8, now(), 503, 17 from one)
update notification_deliveries d set status = 'failed', settled_at = now(), attempts = 8
from one where (d.notification_id, d.endpoint_id) = (one.notification_id, one.endpoint_id)
"""


@dataclass
class Ledger:
    """The PSP's own list: payments that were never told of."""

    payments: list[SimulatedPayment]

    def list_by_window(self, start: datetime, end: datetime) -> Iterator[Answer]:
        for one in self.payments:
            if start <= datetime.fromtimestamp(one.created, UTC) < end:
                yield Answer(datetime.now(UTC), orjson.dumps(payment_intent(one)), one.id)

    def fetch(self, psp_payment_id: str) -> Answer:
        raise NotThere("no_such_payment", "", 404)


def find_yesterday() -> date:
    return datetime.now(ZoneInfo("America/Mexico_City")).date() - timedelta(days=1)


def keep_books(config: Config, engine: Engine) -> None:
    """Two differences that wait for a person, and yesterday closed."""
    names, at = Identity(11, int(time.time())), int(time.time()) - AGO
    played = [play_flow("oxxo.paid", names, at, "stripe").payment for _ in range(2)]
    ledger = Ledger(played)
    deps = build_reconcile_deps(config, lambda ids: None, lambda *run: None, partial(datetime.now, UTC), CallLimits())
    deps = replace(
        deps,
        unit_of_work=partial(UnitOfWork, engine),
        find_client=lambda psp, account: ledger,  # type: ignore[arg-type,return-value]
        stand_back=lambda seconds: None,
    )
    day = find_yesterday()
    reconcile_day(deps, *ACCOUNT, day)
    key = DayKey(*ACCOUNT, day)
    done = close_day(deps.unit_of_work, CloseRequest(key, "ana", "1.0", "the books are wanted today"), deps.clock())
    assert isinstance(done, Closed), done
    reconcile_by_clock(deps, *ACCOUNT, RunKind.CONTINUOUS)


def add_endpoint(engine: Engine) -> None:
    """It hears of what is decided from now on; its secret is never opened."""
    now = datetime.now(UTC)
    with UnitOfWork(engine) as work:
        url = "https://shop.example/hooks/acuse"
        work.endpoints.add(NewEndpoint(uuid7(), DEFAULT_MERCHANT_ID, url, None, (), b"sealed", now))
        work.commit()


def fail_one(engine: Engine) -> None:
    """One of what the endpoint was to get is given up."""
    with engine.begin() as connection:
        connection.execute(text(FAIL_ONE))
