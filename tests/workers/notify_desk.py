"""A worker that notifies merchants: real deliveries over loopback, with a clock that the test moves."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from cryptography.fernet import Fernet
from uuid_utils.compat import uuid7

from models.endpoints import NewEndpoint
from models.merchants import DEFAULT_MERCHANT_ID
from notifications.sealing import Sealer
from notifications.sending import Sender
from notifications.signing import new_secret
from tests.paper import write_delivery
from tests.workers.desk import Desk
from tests.workers.merchant_server import Hook
from workers.notifying import notify

DEADLINE = 1.0  # of one send; 15 in earnest


@dataclass
class NotifyDesk(Desk):
    """With endpoints, and secrets that can be opened."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    sealer: Sealer = field(default_factory=lambda: Sealer([Fernet.generate_key().decode()]))
    rings: list[datetime] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        sender = Sender(allow_loopback=True, deadline=DEADLINE)
        self.deps = replace(
            self.deps,
            sealer=self.sealer,
            make_sender=lambda: sender,
            ring_notify=lambda: self.rings.append(self.now),
        )

    def add_endpoint(self, hook: Hook, types: Sequence[str] = (), merchant_id: UUID = DEFAULT_MERCHANT_ID) -> UUID:
        secret, endpoint_id = new_secret(), uuid7()
        hook.secrets.append(secret)
        sealed = self.sealer.seal(secret)
        with self.deps.unit_of_work() as work:
            new = NewEndpoint(endpoint_id, merchant_id, hook.url, None, types, sealed, self.now)
            work.endpoints.add(new)
            work.commit()
        return endpoint_id

    def pay(self, *payments: str, **said: Any) -> None:
        """A completed payment for each name."""
        said = {"kind": "completed", "amount_minor": 1000, "received_minor": 1000, "currency": "MXN", **said}
        self.receive(*(write_delivery(payment=name, received_at=self.now, **said) for name in payments))

    def notify(self) -> None:
        notify(self.deps)

    def deliveries(self, endpoint_id: UUID | None = None) -> list[Any]:
        """(event type, status, attempts, last status), in the order of writing."""
        return self.rows(
            "select n.event_type, d.status, d.attempts, d.last_status from notification_deliveries d"
            " join notifications n on n.id = d.notification_id"
            " where cast(:id as uuid) is null or d.endpoint_id = :id order by n.id",
            id=endpoint_id,
        )

    def endpoint(self, endpoint_id: UUID) -> Any:
        """(failing since, disabled at, disabled reason, next probe at)."""
        columns = "failing_since, disabled_at, disabled_reason, next_probe_at"
        return self.rows(f"select {columns} from endpoints where id = :id", id=endpoint_id)[0]
