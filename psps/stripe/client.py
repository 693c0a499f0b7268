"""Stripe's API: PaymentIntents by card, OXXO and SPEI, and refunds. Forms go in, JSON comes out.

Source: Stripe's API reference, version 2026-10-28.endive.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from models.states import Method
from psps.gate import Gate
from psps.http import Call, HttpAnswer, PspHttp
from psps.outbound import Answer, CancelRequest, ClientSettings, CreateRequest, RefundRequest, Refused
from psps.payload import find_object, hint_text
from psps.stripe.answers import heed_headers, is_replayed, read_fault, read_id, read_instructions
from psps.stripe.requests import EXPAND_CHARGE, REFUND_REASONS, Form, write_create_form, write_customer_form
from psps.windows import grow_windows

API_VERSION = "2026-10-28.endive"
PAGE = 100  # the most that Stripe gives
LOST_REFUND = frozenset({"failed", "canceled"})


class StripeClient:
    """Calls one Stripe account. Every change has an Idempotency-Key, which Stripe keeps for at least 24 hours."""

    settled_after = 60.0
    needs_refund_baseline = False
    # Once a call has begun, its answer is stored under the key, an error 500 too, and given to every repetition.
    replays_errors = True

    def __init__(self, settings: ClientSettings, gate: Gate) -> None:
        headers = {"authorization": f"Bearer {settings.options['API_KEY']}", "stripe-version": API_VERSION}
        self._http = PspHttp(settings.api_url, gate, read_fault, lambda method, path, body: headers, heed_headers)
        self._clock = gate.clock

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def create(self, request: CreateRequest) -> Answer:
        """Make a PaymentIntent and confirm it.

        SPEI needs a customer; where the payer has none yet, one is made first, under a key of its own. After a crash
        or a timeout between the two, the repeated create gets the same customer for the same key. Should Stripe have
        forgotten that key, a customer without money or payments is left behind, and never a second payment.
        """
        form = write_create_form(request, self._clock())
        if request.method is Method.SPEI:
            form.append(("customer", request.payer.psp_customer_id or self._make_customer(request)))
        answer = self._post("/v1/payment_intents", form, request.idempotency_key)
        return _read_changed(answer)

    def find_created(self, request: CreateRequest, since: datetime) -> Answer | None:
        """Looks through the list, which shows a PaymentIntent at once; Stripe's search is up to minutes behind."""
        for start, end in grow_windows(since, self._clock()):
            window = [("created[gte]", str(start)), *([("created[lt]", str(end))] if end else [])]
            for answer, intent in self._list("/v1/payment_intents", [*window, ("expand[]", "data.latest_charge")]):
                if _is_marked(intent, request.reference):
                    return self._show(answer, intent)
        return None

    def fetch(self, psp_payment_id: str) -> Answer:
        """One PaymentIntent with its latest charge, which knows about refunds, and with its disputes."""
        answer = self._http.call(Call("GET", _path_of(psp_payment_id), [EXPAND_CHARGE]))
        return self._show(answer, answer.object())

    def list_by_window(self, start: datetime, end: datetime) -> Iterator[Answer]:
        """By the time of creation, newest first: Stripe has no list by time of change."""
        window = [("created[gte]", _round_up(start)), ("created[lt]", _round_up(end))]
        for answer, intent in self._list("/v1/payment_intents", [*window, ("expand[]", "data.latest_charge")]):
            yield self._show(answer, intent)

    def refund(self, request: RefundRequest) -> Answer:
        """Stripe answers with the refund alone. OXXO cannot be refunded and Stripe says so."""
        reason = request.reason if request.reason in REFUND_REASONS else "requested_by_customer"
        form = [
            ("payment_intent", request.psp_payment_id),
            ("amount", str(request.amount_minor)),
            ("reason", reason),
            ("metadata[order_id]", request.reference),
        ]
        answer = self._post("/v1/refunds", form, request.idempotency_key)
        refund = answer.object()
        if str(refund.get("status")) in LOST_REFUND:
            # The payer gets nothing and the money is on our balance again: as good as never made.
            raise Refused(hint_text(refund.get("failure_reason")) or "refund_failed", "", answer.status)
        return Answer(answer.as_of, None, request.psp_payment_id, read_id(answer, refund))

    def find_refund(self, request: RefundRequest, since: datetime) -> Answer | None:
        """Whatever became of it: that a refund failed later is told by the payment and by refund.failed."""
        for answer, refund in self._list("/v1/refunds", [("payment_intent", request.psp_payment_id)]):
            if _is_marked(refund, request.reference):
                return Answer(answer.as_of, None, request.psp_payment_id, read_id(answer, refund))
        return None

    def cancel(self, request: CancelRequest) -> Answer:
        """Stripe refuses to cancel again what is canceled; the payment itself is the answer then."""
        form = [("cancellation_reason", "requested_by_customer"), EXPAND_CHARGE]
        path = f"{_path_of(request.psp_payment_id)}/cancel"
        try:
            return _read_changed(self._post(path, form, request.idempotency_key))
        except Refused as refusal:
            if refusal.code != "payment_intent_unexpected_state":
                raise
            answer = self._http.call(Call("GET", _path_of(request.psp_payment_id), [EXPAND_CHARGE]))
            if answer.object().get("status") != "canceled":
                raise
            return self._show(answer, answer.object())

    def _make_customer(self, request: CreateRequest) -> str:
        answer = self._post("/v1/customers", write_customer_form(request), f"{request.idempotency_key}-customer")
        return read_id(answer, answer.object())

    def _post(self, path: str, form: Form, key: str) -> HttpAnswer:
        return self._http.call(Call("POST", path, form=form, headers={"idempotency-key": key}, changes=True))

    def _list(self, path: str, params: Sequence[tuple[str, str]]) -> Iterator[tuple[HttpAnswer, dict[str, Any]]]:
        """Every object with the answer that brought it; a page is fetched when the one before is used up."""
        cursor: list[tuple[str, str]] = []
        while True:
            answer = self._http.call(Call("GET", path, [*params, ("limit", str(PAGE)), *cursor]))
            page = answer.object()
            found = answer.objects(page.get("data"))
            for item in found:
                yield answer, item
            if not found or page.get("has_more") is not True:
                return
            after = [("starting_after", read_id(answer, found[-1]))]
            if after == cursor:
                raise answer.unexpected("a page that does not move on")
            cursor = after

    def _show(self, answer: HttpAnswer, intent: dict[str, Any]) -> Answer:
        """A charge says that it is disputed and not how the dispute stands, so its disputes are fetched and added."""
        payment_id = read_id(answer, intent)
        if find_object(intent, "latest_charge").get("disputed") is True:
            disputes = [dispute for _, dispute in self._list("/v1/disputes", [("payment_intent", payment_id)])]
            intent = {**intent, "disputes": disputes}
        return Answer(answer.as_of, answer.write(intent), payment_id, instructions=read_instructions(intent))


def _read_changed(answer: HttpAnswer) -> Answer:
    """A replayed answer shows the payment as it was long ago, and the payment has to be fetched."""
    intent = answer.object()
    body = None if is_replayed(answer.headers) else answer.body
    return Answer(answer.as_of, body, read_id(answer, intent), instructions=read_instructions(intent))


def _path_of(payment_id: str) -> str:
    return f"/v1/payment_intents/{quote(payment_id, safe='')}"


def _is_marked(fields: dict[str, Any], reference: str) -> bool:
    return find_object(fields, "metadata").get("order_id") == reference


def _round_up(at: datetime) -> str:
    """Stripe counts whole seconds: one that begins before `at` is not within it."""
    return str(math.ceil(at.timestamp()))
