"""A PSP on paper: its bodies are the fields of one payment event as JSON. For tests of what comes after reading."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from itertools import count
from typing import Any

from models.inbox import Delivery
from models.states import Decision, EventKind, Method
from psps.base import Hint, Ignored, PaymentEvent, Reply, Unparseable

_numbers = count(1)
NOON = datetime(2026, 11, 20, 18, tzinfo=UTC)


class PaperPsp:
    """psps.base.EventsModule for paper bodies. The word `poison` makes it fail as a bug would."""

    def event_key(self, headers: Mapping[str, str], body: bytes) -> str:
        return str(json.loads(body)["key"])

    def content_digest(self, body: bytes) -> bytes:
        return hashlib.sha256(body).digest()

    def read(self, headers: Mapping[str, str], body: bytes) -> list[PaymentEvent] | Ignored | Hint:
        try:
            said = json.loads(body)
        except ValueError as error:
            raise Unparseable("not JSON") from error
        if said.get("poison"):
            raise RuntimeError("a bug")
        if "ignored" in said:
            return Ignored("paper", said["ignored"], known=said.get("known", True))
        if "hint" in said:
            return Hint("paper", said["hint"])
        said.pop("key", None)
        at, expires_at = said.pop("at", None), said.pop("expires_at", None)
        created_at, operating_day = said.pop("created_at", None), said.pop("operating_day", None)
        return [
            PaymentEvent(
                kind=EventKind(said.pop("kind")),
                raw_type="paper",
                psp_payment_id=said.pop("payment", None),
                occurred_at=datetime.fromisoformat(at) if at else None,
                psp_refs=tuple(said.pop("refs", ())),
                method=Method(said.pop("method", "card")),
                expires_at=datetime.fromisoformat(expires_at) if expires_at else None,
                created_at=datetime.fromisoformat(created_at) if created_at else None,
                operating_day=date.fromisoformat(operating_day) if operating_day else None,
                **said,
            )
        ]

    def read_snapshot(self, body: bytes, as_of: datetime) -> list[PaymentEvent] | Ignored:
        said = self.read({}, body)
        assert not isinstance(said, Hint)
        return said

    def parse(self, headers: Mapping[str, str], body: bytes) -> list[PaymentEvent]:
        said = self.read(headers, body)
        return said if isinstance(said, list) else []

    def reply(self, body: bytes, decision: Decision) -> Reply:
        return Reply(200, b"{}")

    def deposit_clabe(self, body: bytes) -> str | None:
        return None


def write_delivery(received_at: datetime = NOON, account: str = "default", **said: Any) -> Delivery:
    """A delivery of the paper PSP; `said` are the fields of its payment event, `key` is made up unless given."""
    said.setdefault("key", f"evt_{next(_numbers):08d}")
    for name in ("at", "expires_at", "created_at", "operating_day"):
        if isinstance(said.get(name), date):  # a datetime is one, too
            said[name] = said[name].isoformat()
    return make_delivery(json.dumps(said).encode(), str(said["key"]), "paper", account, received_at)


def make_delivery(
    body: bytes, event_key: str, psp: str = "paper", account: str = "default", received_at: datetime = NOON
) -> Delivery:
    """A delivery of any body."""
    digest = hashlib.sha256(body).digest()
    return Delivery(
        psp,
        account,
        event_key,
        digest,
        digest,
        [("content-type", "application/json")],
        body,
        "test",
        False,
        received_at,
    )
