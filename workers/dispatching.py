"""One attempt at one delivery, or one probe: signed with what is open of the endpoint's secrets, and sent."""

from dataclasses import dataclass
from datetime import datetime

import structlog

import crash_points
from models.deliveries import ClaimedDelivery
from models.endpoint_health import SealedSecrets
from notifications.retrying import MOST_ATTEMPTS
from notifications.sealing import CannotOpen, Sealer
from notifications.sending import SendResult
from notifications.signing import sign
from workers.dependencies import WorkerDeps

log = structlog.get_logger(__name__)

SECRET_UNAVAILABLE, GAVE_UP, BROKEN = "secret_unavailable", "gave_up", "internal_error"
GONE = 410


@dataclass(frozen=True, slots=True)
class Sent:
    """How an attempt went. Without a status there is an error, the endpoint's or ours."""

    delivery: ClaimedDelivery
    sent_at: datetime
    status: int | None
    error: str | None
    latency_ms: int = 0
    retry_after: float | None = None
    ok: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether it failed here, before the endpoint could do anything about it."""
        return self.error in (SECRET_UNAVAILABLE, GAVE_UP, BROKEN)


async def dispatch(deps: WorkerDeps, delivery: ClaimedDelivery) -> Sent:
    """Send one delivery. Never raises."""
    now = deps.clock()
    if delivery.attempts > MOST_ATTEMPTS:  # whoever made the attempts before died of them, or lost their results
        return Sent(delivery, now, None, GAVE_UP)
    try:
        with deps.tracer.notification(delivery.notification_id, delivery.attempts):
            result = await send(deps, delivery.url, delivery.secrets, str(delivery.notification_id), delivery.body)
    except (CannotOpen, ValueError):
        log.error("secret_unavailable", endpoint_id=str(delivery.endpoint_id))
        return Sent(delivery, now, None, SECRET_UNAVAILABLE)
    except Exception as error:  # noqa: BLE001 - it must not cost the neighbours their turn
        log.error("dispatch_broken", endpoint_id=str(delivery.endpoint_id), error=type(error).__name__)
        return Sent(delivery, now, None, BROKEN)
    crash_points.reach("notify.answered")
    said = str(result.error) if result.error else None
    return Sent(delivery, now, result.status, said, result.latency_ms, result.retry_after, result.ok)


async def send(deps: WorkerDeps, url: str, secrets: SealedSecrets, message_id: str, body: bytes) -> SendResult:
    """Sign and send. Raises CannotOpen, or ValueError where a secret is malformed."""
    now = deps.clock()
    headers = sign(open_secrets(deps.sealer, secrets, now), message_id, now, body)
    return await deps.make_sender().send(url, headers, body)


def open_secrets(sealer: Sealer | None, secrets: SealedSecrets, now: datetime) -> list[str]:
    """What signs now, the newest first. Raises CannotOpen."""
    if sealer is None:
        raise CannotOpen("ACUSE_SECRET_KEYS is not set")
    is_rotating = secrets.previous is not None and secrets.previous_until is not None and now < secrets.previous_until
    return [sealer.open(one) for one in (secrets.current, secrets.previous if is_rotating else None) if one]
