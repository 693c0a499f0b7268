"""The composition root of the receiver, and of what every process that serves HTTP has. The API's is bootstrap_api."""

from collections.abc import Callable
from functools import partial

from celery import Celery
from kombu.exceptions import OperationalError
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from bootstrap_metrics import PoolMetrics
from bootstrap_ringing import build_publish_into
from bootstrap_starting import build_engine, utc_now
from config import Config
from ingress.app import ReceiverDeps
from ingress.doorbell import Doorbell
from ingress.framing import Limits
from ingress.inbox_writer import InboxWriter
from ingress.metrics import ReceiverMetrics
from ingress.receiver import Pending
from ingress.tracing import Record, trace_pending
from migrations.head import HEAD
from models.inbox import InboxStore
from models.schema import NotReady, check_schema
from workers.app import create_producer


def build_receiver(config: Config, record: Record | None = None) -> ReceiverDeps:
    """The receiver's parts; whoever serves them starts the doorbell and the writer. `record` traces what was answered."""
    registry = CollectorRegistry()
    engine = PoolMetrics(registry).watch(build_engine(config, "receiver"), "receiver")
    metrics = ReceiverMetrics(registry)
    doorbell = Doorbell(build_publish_into(config), metrics.count_doorbell)
    limits = limits_of(config)
    return ReceiverDeps(
        accounts=config.accounts,
        writer=InboxWriter(InboxStore(engine), doorbell.ring, limits.answer_seconds, observe=metrics.count_batch),
        doorbell=doorbell,
        clock=utc_now,
        metrics=metrics,
        checks=build_checks(config, engine),
        limits=limits,
        trusted_proxies=config.trusted_proxies,
        make_pending=trace_pending(record) if record else Pending,
    )


def limits_of(config: Config) -> Limits:
    """What one request may be and take."""
    return Limits(config.max_body_bytes, config.body_seconds, config.answer_seconds)


def build_checks(config: Config, engine: Engine) -> dict[str, Callable[[], None]]:
    """What /readyz asks: each returns or raises an error that says what is wrong."""
    return {
        "database": partial(check_schema, engine, HEAD),
        "broker": partial(_check_broker, create_producer(config.broker_url)),
    }


def _check_broker(app: Celery) -> None:
    """Raises NotReady, which says no address: anybody may ask for it."""
    with app.connection_for_write(connect_timeout=1) as connection:
        try:
            connection.ensure_connection(max_retries=1, timeout=1)
        except OperationalError as error:
            raise NotReady(f"the broker does not answer ({type(error.__cause__ or error).__name__})") from error
