"""Opening a house: a fresh database, an empty broker, ports, keys, and the environment that all its programs share."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis

from commands.stack_parts import Plan, build_environment
from embedded import LOOPBACK, free_port
from tests.faults.engines import Engines
from tests.faults.house import House
from tests.faults.proxy import FaultProxy

SETTINGS = {
    "ACUSE_LEASE_SECONDS": "5",
    "ACUSE_QUERY_AFTER_SECONDS": "2",
    "ACUSE_CALL_SECONDS": "2",
    "ACUSE_SANDBOX_PACE": "100",
    "ACUSE_UNMATCHED_WAIT_SECONDS": "30",
    "ACUSE_LOG_FORMAT": "json",
}
CALLS = {f"ACUSE_{psp}_CALLS_PER_SECOND": "100" for psp in ("STRIPE", "CONEKTA", "STP", "BITSO", "MERCADOPAGO")}


@contextmanager
def open_house(engines: Engines, folder: Path, broken: tuple[str, ...] = (), **settings: str) -> Iterator[House]:
    """A house with nothing running in it yet; what is started in it ends with it. `settings` are further variables."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("metrics", "sandbox"):
        (folder / part).mkdir(mode=0o700, exist_ok=True)
    database, port, api_port, sandbox_port = engines.make_database(), free_port(), free_port(), free_port()
    with Redis.from_url(engines.redis.url, socket_timeout=5) as redis:
        redis.flushall()
    with FaultProxy(sandbox_port) as to_psps:
        through_postgres = engines.url_of(database).replace(
            f":{engines.postgres.port}/", f":{engines.to_postgres.port}/"
        )
        through_redis = engines.redis.url.replace(f":{engines.redis.port}/", f":{engines.to_redis.port}/")
        plan = Plan(folder, port, to_psps.port, ("receiver", "worker", "beat", "sandbox"), True, "json")
        own = {name: value for name, value in os.environ.items() if not name.startswith("ACUSE_")}
        environment = build_environment(SETTINGS | CALLS | settings, plan, through_postgres, through_redis)
        environment |= {"ACUSE_API_URL": f"http://{LOOPBACK}:{api_port}"}
        house = House(engines, folder, database, port, api_port, sandbox_port, own | environment, to_psps, broken)
        try:
            yield house
        finally:
            house.close()
            for proxy in (engines.to_postgres, engines.to_redis):
                proxy.set("pass")
            engines.administer(f"drop database if exists {database} with (force)")
