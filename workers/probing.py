"""Probes: endpoints that were disabled because they failed are asked every hour whether they work again."""

import asyncio

import structlog
from uuid_utils.compat import uuid7

from models.endpoint_health import Probe
from models.notification_bodies import ENDPOINT_PROBE, write_endpoint_body
from models.unit_of_work import Contention, DatabaseUnavailable
from notifications.sealing import CannotOpen
from notifications.sending import SendResult
from workers.dependencies import WorkerDeps
from workers.dispatching import GONE, send
from workers.settling import PROBE_EVERY, disable_gone

log = structlog.get_logger(__name__)

PROBES_AT_ONCE = 50


async def probe_due(deps: WorkerDeps) -> None:
    """Send the probes that are due, all at once. Never raises."""
    probes = await asyncio.to_thread(_claim, deps)
    await asyncio.gather(*(_probe(deps, probe) for probe in probes))


def _claim(deps: WorkerDeps) -> list[Probe]:
    now = deps.clock()
    try:
        with deps.unit_of_work() as work:
            probes = work.endpoint_health.claim_probes(now, now + PROBE_EVERY, PROBES_AT_ONCE)
            work.commit_lazily()
    except (Contention, DatabaseUnavailable) as error:
        log.warning("probes_left", error=type(error).__name__)
        return []
    return probes


async def _probe(deps: WorkerDeps, probe: Probe) -> None:
    body = write_endpoint_body(ENDPOINT_PROBE, probe.endpoint_id, deps.clock())
    try:
        result = await send(deps, probe.url, probe.secrets, str(uuid7()), body)
    except (CannotOpen, ValueError):
        log.error("secret_unavailable", endpoint_id=str(probe.endpoint_id))
    else:
        await asyncio.to_thread(_heed, deps, probe, result)


def _heed(deps: WorkerDeps, probe: Probe, result: SendResult) -> None:
    now, is_enabled = deps.clock(), False
    try:
        with deps.unit_of_work() as work:
            if result.ok:
                is_enabled = work.endpoint_health.revive(probe.endpoint_id, now)
            elif result.status == GONE:
                disable_gone(work, probe.endpoint_id, now)
            work.commit()
    except (Contention, DatabaseUnavailable) as error:  # it is asked again in an hour
        log.warning("probe_not_heeded", endpoint_id=str(probe.endpoint_id), error=type(error).__name__)
    log.info("endpoint_probed", endpoint_id=str(probe.endpoint_id), status=result.status, enabled=is_enabled)
