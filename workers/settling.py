"""What becomes of deliveries after an attempt, and of endpoints that are gone or have failed for days."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from models.deliveries import DeliveryResult
from models.endpoint_health import DisabledReason
from models.states import DeliveryStatus
from models.unit_of_work import UnitOfWork
from notifications.retrying import DISABLED_AFTER, next_pause
from workers.dependencies import WorkerDeps
from workers.dispatching import GONE, SECRET_UNAVAILABLE, Sent

log = structlog.get_logger(__name__)

SECRET_PAUSE = timedelta(hours=1)
PROBE_EVERY = timedelta(hours=1)


Held = set[tuple[UUID, UUID]]  # (notification, endpoint) of what was still under our lease


def settle(deps: WorkerDeps, work: UnitOfWork, sent: Sequence[Sent]) -> tuple[list[DeliveryResult], Held]:
    """Write down how attempts went; the caller commits, and tells. What is not committed is sent again after its lease,
    with the same id."""
    if not sent:
        return [], set()
    now = deps.clock()
    results = [_judge(deps, one, now) for one in sent]
    # Endpoints before deliveries, as everybody locks them.
    work.endpoint_health.note(_sum_up([one for one in sent if not one.is_ours]), now)
    held = work.deliveries.settle(results, now)
    for one in sent:
        if (one.delivery.notification_id, one.delivery.endpoint_id) in held:
            _heed(deps, work, one, now)
    return results, held


def _judge(deps: WorkerDeps, one: Sent, now: datetime) -> DeliveryResult:
    outcome, attempts, next_attempt_at = _decide(deps, one, now)
    return DeliveryResult(
        notification_id=one.delivery.notification_id,
        endpoint_id=one.delivery.endpoint_id,
        merchant_id=one.delivery.merchant_id,
        token=one.delivery.token,
        number=one.delivery.attempts,
        outcome=outcome,
        attempts=attempts,
        next_attempt_at=next_attempt_at,
        sent_at=one.sent_at,
        status=one.status,
        error=one.error,
        latency_ms=one.latency_ms,
    )


def _decide(deps: WorkerDeps, one: Sent, now: datetime) -> tuple[DeliveryStatus, int, datetime | None]:
    attempts = one.delivery.attempts
    if one.ok:
        return DeliveryStatus.DELIVERED, attempts, None
    if one.status == GONE:
        return DeliveryStatus.SKIPPED, attempts, None
    if one.error == SECRET_UNAVAILABLE:  # not the endpoint's fault, so it does not count
        return DeliveryStatus.PENDING, attempts - 1, now + SECRET_PAUSE
    pause = next_pause(attempts, one.retry_after, random.random)
    if pause is None:
        return DeliveryStatus.FAILED, attempts, None
    return DeliveryStatus.PENDING, attempts, now + pause / deps.notify_pace


def _sum_up(sent: Sequence[Sent]) -> dict[UUID, tuple[bool, datetime | None]]:
    """Whether anything succeeded, and the first failure after the last success, by endpoint."""
    health: dict[UUID, tuple[bool, datetime | None]] = {}
    for one in sorted(sent, key=lambda one: one.sent_at + timedelta(milliseconds=one.latency_ms)):
        has_succeeded, failing_since = health.get(one.delivery.endpoint_id, (False, None))
        health[one.delivery.endpoint_id] = (True, None) if one.ok else (has_succeeded, failing_since or one.sent_at)
    return health


def _heed(deps: WorkerDeps, work: UnitOfWork, one: Sent, now: datetime) -> None:
    """What a failure means for everything else that waits for its endpoint."""
    endpoint_id, failing_since = one.delivery.endpoint_id, one.delivery.failing_since
    if one.ok:
        return
    if one.error == SECRET_UNAVAILABLE:
        work.deliveries.hold_back(endpoint_id, now, now + SECRET_PAUSE)
    elif one.status == GONE:
        disable_gone(work, endpoint_id, now)
    elif one.retry_after:
        work.deliveries.hold_back(endpoint_id, now, now + timedelta(seconds=one.retry_after) / deps.notify_pace)
    if failing_since and now - failing_since >= DISABLED_AFTER and not one.is_ours:
        _disable_failing(work, endpoint_id, now)


def disable_gone(work: UnitOfWork, endpoint_id: UUID, now: datetime) -> None:
    """Send nothing more to an endpoint that says that it is gone, and tell its merchant."""
    if merchant_id := work.endpoint_health.disable(endpoint_id, DisabledReason.GONE, now):
        work.outbox.add_disabled(merchant_id, endpoint_id, DisabledReason.GONE, now)
        log.warning("endpoint_disabled", endpoint_id=str(endpoint_id), reason=DisabledReason.GONE)


def _disable_failing(work: UnitOfWork, endpoint_id: UUID, now: datetime) -> None:
    reason, probe_at = DisabledReason.FAILING, now + PROBE_EVERY
    if merchant_id := work.endpoint_health.disable(endpoint_id, reason, now, probe_at, now - DISABLED_AFTER):
        work.outbox.add_disabled(merchant_id, endpoint_id, reason, now)
        log.warning("endpoint_disabled", endpoint_id=str(endpoint_id), reason=reason)


def tell(deps: WorkerDeps, results: Sequence[DeliveryResult], held: Held) -> None:
    """Tell the metrics and the log what was settled."""
    for result in results:
        place = {"notification_id": str(result.notification_id), "endpoint_id": str(result.endpoint_id)}
        if (result.notification_id, result.endpoint_id) not in held:
            log.warning("delivery_lease_lost", **place)
            continue
        deps.metrics.notifications.labels(result.outcome).inc()
        if result.latency_ms:  # else it was never sent
            deps.metrics.notification_seconds.observe(result.latency_ms / 1000)
        if result.outcome is DeliveryStatus.FAILED:
            log.warning("notification_given_up", **place, status=result.status, error=result.error)
