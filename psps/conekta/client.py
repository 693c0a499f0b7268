"""Conekta's API: orders by cash voucher, SPEI and card, and refunds. JSON both ways.

Source: Conekta's OpenAPI 2.3.0. There is no idempotency key: a create that is sent twice makes two orders, so an open
question is settled by looking the order up.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from psps.conekta.answers import (
    find_refund_id,
    is_marked,
    read_fault,
    read_id,
    read_instructions,
    read_next_page,
    read_refunded,
)
from psps.conekta.requests import write_order, write_refund
from psps.gate import Gate
from psps.http import Call, HttpAnswer, PspHttp
from psps.outbound import (
    Answer,
    CancelRequest,
    ClientSettings,
    CreateRequest,
    OutcomeUnknown,
    RefundRequest,
    Refused,
)
from psps.windows import CLOCKS_DIFFER, grow_windows

ACCEPT = "application/vnd.conekta-v2.3.0+json"  # without the version in it, Conekta does not answer
PAGE = 250  # the most that Conekta gives
CANNOT_CHANGE = frozenset({422, 428})


class ConektaClient:
    """Calls one Conekta account. The payment is the order; it has one charge."""

    # UNVERIFIED: whether a new order is in the list at once, so it is given time.
    settled_after = 120.0
    needs_refund_baseline = True
    replays_errors = False

    def __init__(self, settings: ClientSettings, gate: Gate) -> None:
        headers = {"authorization": f"Bearer {settings.options['API_KEY']}", "accept": ACCEPT, "accept-language": "es"}
        self._http = PspHttp(settings.api_url, gate, read_fault, lambda method, path, body: headers)
        self._clock = gate.clock

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def create(self, request: CreateRequest) -> Answer:
        """Make an order with its charge. A declined card leaves its order behind, which Refused.answer shows."""
        answer = self._post("/orders", write_order(request))
        return _show(answer, answer.object())

    def find_created(self, request: CreateRequest, since: datetime) -> Answer | None:
        """Looks through the orders made since then. Both of Conekta's bounds belong to the window."""
        for start, end in grow_windows(since, self._clock()):
            window = [("created_at.gte", str(start)), *([("created_at.lte", str(end - 1))] if end else [])]
            for answer, order in self._list(window):
                if is_marked(order, request.reference):
                    return _show(answer, order)
        return None

    def fetch(self, psp_payment_id: str) -> Answer:
        """One order with its charge."""
        answer = self._http.call(Call("GET", _path_of(psp_payment_id)))
        return _show(answer, answer.object())

    def list_by_window(self, start: datetime, end: datetime) -> Iterator[Answer]:
        """By time of change. Conekta's bounds are whole seconds and both belong to the window."""
        last = math.ceil(end.timestamp()) - 1
        window = [("updated_at.gte", str(math.ceil(start.timestamp()))), ("updated_at.lte", str(last))]
        for answer, order in self._list(window):
            yield _show(answer, order)

    def refund(self, request: RefundRequest) -> Answer:
        """The answer is the whole order. UNVERIFIED: how cash and SPEI are given back; Conekta refuses what it cannot."""
        since = self._clock() - CLOCKS_DIFFER
        answer = self._post(f"{_path_of(request.psp_payment_id)}/refunds", write_refund(request))
        order = answer.object()
        return _show(answer, order, find_refund_id(order, request.amount_minor, since))

    def find_refund(self, request: RefundRequest, since: datetime) -> Answer | None:
        """Refunds carry no reference: it was made if the order's sum of refunds has grown by it since."""
        if request.refunded_before_minor is None:
            raise OutcomeUnknown("no_refund_baseline", "what had been refunded before is not known")
        answer = self._http.call(Call("GET", _path_of(request.psp_payment_id)))
        order = answer.object()
        if read_refunded(answer, order) < request.refunded_before_minor + request.amount_minor:
            return None
        return _show(answer, order, find_refund_id(order, request.amount_minor, since - CLOCKS_DIFFER))

    def cancel(self, request: CancelRequest) -> Answer:
        """Conekta refuses to cancel again what is canceled; the order itself is the answer then."""
        path = _path_of(request.psp_payment_id)
        try:
            answer = self._post(f"{path}/cancel", None)
            return _show(answer, answer.object())
        except Refused as refusal:
            if refusal.status not in CANNOT_CHANGE:
                raise
            answer = self._http.call(Call("GET", path))
            if answer.object().get("payment_status") != "canceled":
                raise
            return _show(answer, answer.object())

    def _post(self, path: str, content: bytes | None) -> HttpAnswer:
        headers = {"content-type": "application/json"} if content else {}
        return self._http.call(Call("POST", path, headers=headers, content=content, changes=True))

    def _list(self, params: Sequence[tuple[str, str]]) -> Iterator[tuple[HttpAnswer, dict[str, Any]]]:
        """Every order with the answer that brought it; a page is fetched when the one before is used up."""
        cursor: list[tuple[str, str]] = []
        while True:
            answer = self._http.call(Call("GET", "/orders", [*params, ("limit", str(PAGE)), *cursor]))
            page = answer.object()
            for order in answer.objects(page.get("data")):
                yield answer, order
            place = read_next_page(page)
            if place is None and page.get("has_more") is not True:
                return
            if place is None or cursor == [("next", place)]:
                raise answer.unexpected("a page that does not lead on")
            cursor = [("next", place)]


def _show(answer: HttpAnswer, order: dict[str, Any], psp_ref: str | None = None) -> Answer:
    return Answer(answer.as_of, answer.write(order), read_id(answer, order), psp_ref, read_instructions(order))


def _path_of(order_id: str) -> str:
    return f"/orders/{quote(order_id, safe='')}"
