"""The composition root of what a process makes sure of before it starts."""

from typing import Any

from bootstrap_reconciling import check_time_zones
from config import Config
from migrations.run import find_head
from models.engine import QUEUE_ROLES, most_connections, open_engine
from models.schema import NotReady, check_durability, check_room, check_schema, check_summer


def check_start(config: Config, connections: int) -> None:
    """Raises NotReady where the database is behind this code, does not keep what it commits or has not so many connections
    to give to this process, or where days would be wrong."""
    check_time_zones()
    engine = open_engine(config.database_url, "cli")
    try:
        check_schema(engine, find_head())
        check_durability(engine)
        check_summer(engine)
        check_room(engine, connections)
    finally:
        engine.dispose()


def refuse_start(config: Config, sender: Any, **_: Any) -> None:
    """End a worker or a beat that would work on a schema that is not its own, or that has no room beside the others."""
    try:
        check_start(config, _count_connections(sender))
    except NotReady as error:
        raise SystemExit(f"acuse: {error}") from None


def _count_connections(sender: Any) -> int:
    """What the processes of a Celery worker may hold together; a beat holds none."""
    processes = getattr(sender, "concurrency", 0)
    queues = sender.app.amqp.queues.consume_from if processes else ()
    roles = [role for name in queues for role in QUEUE_ROLES[name]]
    return most_connections(roles, processes if isinstance(processes, int) else 1)
