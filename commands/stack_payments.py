"""What a running stack believes about the payments that the sandbox played."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from bootstrap_starting import build_engine
from config import Config
from migrations.head import HEAD
from models.reading import NotFound
from models.schema import check_schema
from models.states import InboxStatus
from models.unit_of_work import UnitOfWork

ALL = 10_000_000
PspPayment = tuple[str, str]  # psp and its payment id


@dataclass(frozen=True, slots=True)
class Decision:
    """One line of a payment's history."""

    to_state: str | None
    outcome: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class SeenPayment:
    """A payment as it stands; its history, where asked for, in the order of decision. Integer minor units."""

    method: str
    state: str
    received_minor: int
    refunded_minor: int
    currency: str | None
    history: tuple[Decision, ...] = ()


class StackPayments:
    """`with StackPayments(config) as payments:` - reads, never writes. Raises DatabaseUnavailable, NotReady."""

    def __init__(self, config: Config) -> None:
        self._engine = build_engine(config, "cli")

    def __enter__(self) -> Self:
        with UnitOfWork(self._engine):
            check_schema(self._engine, HEAD)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.dispose()

    def list_all(self) -> dict[PspPayment, SeenPayment]:
        """Every payment, without history."""
        with UnitOfWork(self._engine) as work:
            rows = work.reader.list_payments(None, None, ALL)
        return {(row["psp"], row["psp_payment_id"]): _seen(row) for row in rows}

    def find_stories(self, wanted: Collection[PspPayment]) -> dict[PspPayment, SeenPayment]:
        """Those of the wanted payments that the stack knows, with their history."""
        found = {}
        with UnitOfWork(self._engine) as work:
            for psp, payment_id in wanted:
                with suppress(NotFound):
                    found[psp, payment_id] = _seen(work.reader.get_payment(payment_id))
        return found

    def list_unfinished(self) -> set[tuple[str, str]]:
        """PSP and key of every stored event that still waits for a worker."""
        with UnitOfWork(self._engine) as work:
            rows = work.reader.list_events(None, InboxStatus.RECEIVED, ALL)
        return {(row["psp"], row["event_key"]) for row in rows}


def _seen(row: dict[str, Any]) -> SeenPayment:
    history = tuple(Decision(one["to_state"], one["outcome"], one["recorded_at"]) for one in row.get("transitions", []))
    return SeenPayment(
        method=row["method"],
        state=row["state"],
        received_minor=row["received_minor"],
        refunded_minor=row["refunded_minor"],
        currency=row["currency"],
        history=history,
    )
