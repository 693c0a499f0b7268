"""A PSP on paper that can be called: it keeps what it did, and fails as the test says."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

from psps.outbound import Answer, CancelRequest, CreateRequest, Instructions, NotThere, RefundRequest
from tests.paper import NOON


@dataclass
class PaperClient:
    """psps.outbound.Client over plain dictionaries. `before` and `after` run around each effect and may raise."""

    payments: dict[str, dict[str, Any]] = field(default_factory=dict)
    refunds: list[RefundRequest] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)  # of every changing call that arrived
    calls: list[str] = field(default_factory=list)
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None
    settled_after: float = 60.0
    needs_refund_baseline: bool = False
    replays_errors: bool = False
    as_of: datetime = NOON
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def create(self, request: CreateRequest) -> Answer:
        self.calls.append("create")
        self.keys.append(request.idempotency_key)
        self.before()
        made = {
            "payment": f"psp_{next(self._numbers)}",
            "kind": "pending",
            "amount_minor": request.amount_minor,
            "currency": request.currency,
            "merchant_reference": request.reference,
        }
        self.payments[made["payment"]] = made
        self.after()
        return self._show(made["payment"])

    def find_created(self, request: CreateRequest, since: datetime) -> Answer | None:
        self.calls.append("find_created")
        found = [i for i, said in self.payments.items() if said["merchant_reference"] == request.reference]
        return self._show(found[0]) if found else None

    def fetch(self, psp_payment_id: str) -> Answer:
        self.calls.append("fetch")
        self.before()
        if psp_payment_id not in self.payments:
            raise NotThere("unknown_payment", "", 404)
        return self._show(psp_payment_id)

    def list_by_window(self, start: datetime, end: datetime) -> Iterator[Answer]:
        return (self._show(i) for i in self.payments)

    def refund(self, request: RefundRequest) -> Answer:
        self.calls.append("refund")
        self.keys.append(request.idempotency_key)
        self.before()
        self.refunds.append(request)
        said = self.payments[request.psp_payment_id]
        said |= {"kind": "refunded", "refunded_minor": said.get("refunded_minor", 0) + request.amount_minor}
        self.after()
        return Answer(self.as_of, None, request.psp_payment_id, f"re_{len(self.refunds)}")

    def find_refund(self, request: RefundRequest, since: datetime) -> Answer | None:
        self.calls.append("find_refund")
        if self.needs_refund_baseline:
            refunded = self.payments[request.psp_payment_id].get("refunded_minor", 0)
            is_made = refunded >= (request.refunded_before_minor or 0) + request.amount_minor
        else:
            is_made = any(refund.reference == request.reference for refund in self.refunds)
        return Answer(self.as_of, None, request.psp_payment_id, "re_found") if is_made else None

    def cancel(self, request: CancelRequest) -> Answer:
        self.calls.append("cancel")
        self.before()
        self.payments[request.psp_payment_id]["kind"] = "canceled"
        self.after()
        return self._show(request.psp_payment_id)

    def _show(self, psp_payment_id: str) -> Answer:
        body = json.dumps(self.payments[psp_payment_id]).encode()
        return Answer(self.as_of, body, psp_payment_id, instructions=Instructions(voucher_number="98000012345678"))
