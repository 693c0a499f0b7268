"""The composition root of what every process needs: its clock, its pool, and what it makes sure of before it starts."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from celeryconfig import EVENT_LANES
from config import Config, ConfigError
from migrations.head import HEAD
from models.engine import QUEUE_ROLES, Role, most_connections, open_engine
from models.payload_rotation import check_payload_keys
from models.payload_vault import PayloadVault, use_vault
from models.schema import NotReady, check_durability, check_room, check_schema, check_summer
from notifications.sealing import Sealer
from psps.gate import CallLimits
from schedules.calendar.zones import OldTimeZones, check_zones

if TYPE_CHECKING:
    from bootstrap_tracing import Tracing


def utc_now() -> datetime:
    """The clock of every process."""
    return datetime.now(UTC)


def build_engine(config: Config, role: Role) -> Engine:
    """A pool for one process. Nothing connects before the first use, so it may be built before a fork."""
    return use_vault(open_engine(config.database_url, role), PayloadVault.from_texts(config.payload_keys))


def build_sealer(config: Config) -> Sealer | None:
    """What seals the secrets that we must be able to read again."""
    return Sealer(config.secret_keys) if config.secret_keys else None


def call_limits(config: Config) -> CallLimits:
    """How long calls to PSPs may take."""
    return CallLimits(deadline=config.call_seconds, tries_deadline=config.call_seconds * 0.8)


def find_tracing(config: Config) -> "Callable[[str], Tracing] | None":
    """What makes the traces of a process, given its service's name, where it is told to trace; else nothing of
    OpenTelemetry is even imported. Raises ConfigError where its packages are missing."""
    if config.traces_url is None:
        return None
    try:
        from bootstrap_tracing import Tracing  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise ConfigError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT is set, but {error.name} is not installed:"
            " pip install -r requirements-image.lock (the image has it)"
        ) from error
    return partial(Tracing, config.traces_url, config.traces_percent / 100)


def check_time_zones() -> None:
    """Raises NotReady where the zone data would put evenings on the wrong day."""
    try:
        check_zones()
    except OldTimeZones as error:
        raise NotReady(str(error)) from error


def check_start(config: Config, connections: int) -> None:
    """Raises NotReady where the database is behind this code, does not keep what it commits or has not so many connections
    to give to this process, where it holds payloads that this process could not open, or where days would be wrong."""
    check_time_zones()
    engine = open_engine(config.database_url, "cli")
    try:
        check_schema(engine, HEAD)
        check_durability(engine)
        check_summer(engine)
        check_room(engine, connections)
        check_payload_keys(engine, PayloadVault.from_texts(config.payload_keys))
    finally:
        engine.dispose()


def refuse_start(config: Config, sender: Any, **_: Any) -> None:
    """End a worker or a beat whose schema is behind its code, or that has no room beside the others."""
    try:
        check_start(config, _count_connections(sender))
    except NotReady as error:
        raise SystemExit(f"acuse: {error}") from None


def take_lanes(sender: Any, **_: Any) -> None:
    """A worker of `events` consumes all the lanes of it, whatever its command line names."""
    queues = sender.app.amqp.queues
    if EVENT_LANES[0] in queues.consume_from:
        for lane in EVENT_LANES:
            queues.select_add(queues[lane])


def _count_connections(sender: Any) -> int:
    """What a beat may hold, or the processes of a Celery worker together."""
    processes = getattr(sender, "concurrency", 0)
    if not processes:
        return most_connections(["beat"])
    queues = sender.app.amqp.queues.consume_from
    roles = [role for name in queues for role in QUEUE_ROLES[name]]
    return most_connections(roles, processes if isinstance(processes, int) else 1)
