"""Mercado Pago's API: payments by OXXO, SPEI and card, and refunds. JSON both ways, amounts in pesos.

Source: the API reference of payments and refunds, the guides of Checkout API, mercadopago-python 3.6.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import quote

from psps.calls import Call, HttpAnswer
from psps.gate import Gate
from psps.http import PspHttp
from psps.mercadopago.answers import (
    LOST_REFUND,
    find_collector,
    find_refund_id,
    read_fault,
    read_instructions,
    read_money,
    read_own_id,
)
from psps.mercadopago.requests import write_create
from psps.mercadopago.search import PAGE, Page, Params, Payment, read_page, walk_changes
from psps.outbound import (
    Answer,
    CancelRequest,
    ClientSettings,
    CreateRequest,
    NotNow,
    NotOffered,
    OutcomeUnknown,
    RefundRequest,
    Refused,
)
from psps.payload import hint_text
from psps.writing import major_units, write_json

CLOCKS_DIFFER = timedelta(minutes=1)
CALLED_OFF = frozenset({"cancelled", "canceled"})
CANCELABLE = frozenset({"pending", "in_process", "authorized"})
NOT_IN_THIS_STATE = frozenset({400, 409})
# Without it a refund that is still under way is told as an error 400 (source: the guide on refunds of Pix).
SHOW_PENDING = {"x-render-in-process-refunds": "true"}


class MercadoPagoClient:
    """Calls one Mercado Pago account. Every change has an X-Idempotency-Key, "a UUID v4 or a random string"."""

    # The search and even a payment's own address may be minutes behind.
    settled_after = 600.0
    needs_refund_baseline = True
    # UNVERIFIED. If an error were kept, the same key would only be refused again, and nothing done twice.
    replays_errors = False

    def __init__(self, settings: ClientSettings, gate: Gate) -> None:
        headers = {"authorization": f"Bearer {settings.options['API_KEY']}"}
        self._http = PspHttp(settings.api_url, gate, read_fault, lambda method, path, body: headers)
        self._collector = settings.options.get("COLLECTOR_ID")

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def create(self, request: CreateRequest) -> Answer:
        """Make a payment. A declined card leaves one behind, with the status rejected and an answer 201."""
        answer = self._change("POST", "/v1/payments", request.idempotency_key, write_create(request))
        payment = answer.object()
        made = _show(answer, payment)
        if payment.get("status") == "rejected":
            raise Refused(hint_text(payment.get("status_detail")) or "rejected", "", answer.status, made)
        return made

    def find_created(self, request: CreateRequest, since: datetime) -> Answer | None:
        """By external_reference. Should there be several, the one that may still bring money counts."""
        newest_first = [("sort", "date_created"), ("criteria", "desc"), ("limit", str(PAGE))]
        page = self._search([("external_reference", request.reference), *newest_first])
        found = [payment for payment in page.payments if payment.get("external_reference") == request.reference]
        ours = sorted(filter(self._is_ours, found), key=_is_over)
        return _show(page.answer, ours[0]) if ours else None

    def fetch(self, psp_payment_id: str) -> Answer:
        """One payment. Right after its notification it may not be there yet, or be as it was."""
        return _show(*self._fetch(psp_payment_id))

    def list_by_window(self, start: datetime, end: datetime) -> Iterator[Answer]:
        """By the time of the latest change: refunds and chargebacks come long after the payment was made."""
        for answer, payment in walk_changes(self._search, start, end):
            if self._is_ours(payment):
                yield _show(answer, payment)

    def refund(self, request: RefundRequest) -> Answer:
        """The whole payment goes back by an empty body, because some methods refuse an amount (3024), a part by its
        amount. Mercado Pago answers with the refund alone."""
        if request.currency != "MXN":
            raise NotOffered("Mercado Pago has no other currency than MXN in Mexico: refund in pesos")
        is_whole = read_money(*self._fetch(request.psp_payment_id)) == (request.amount_minor, 0)
        content = None if is_whole else write_json({"amount": major_units(request.amount_minor)})
        path = f"{_path_of(request.psp_payment_id)}/refunds"
        answer = self._change("POST", path, request.idempotency_key, content, SHOW_PENDING)
        refund = answer.object()
        if str(refund.get("status")) in LOST_REFUND:
            raise Refused(LOST_REFUND[str(refund["status"])], "", answer.status)
        return Answer(answer.as_of, None, request.psp_payment_id, read_own_id(answer, refund))

    def find_refund(self, request: RefundRequest, since: datetime) -> Answer | None:
        """A refund carries nothing of ours: it was made if so much more has been refunded than before it was sent.

        One that is still under way does not count yet; sent again, its key brings the same refund.
        """
        if request.refunded_before_minor is None:
            raise OutcomeUnknown("no_baseline", "what was refunded before the call is not known")
        answer, payment = self._fetch(request.psp_payment_id)
        _, refunded = read_money(answer, payment)
        if refunded < request.refunded_before_minor + request.amount_minor:
            return None
        refund_id = find_refund_id(payment, request.amount_minor, since - CLOCKS_DIFFER)
        return replace(_show(answer, payment), psp_ref=refund_id)

    def cancel(self, request: CancelRequest) -> Answer:
        """Only what is not paid yet. What is canceled already is refused there, and is an answer here."""
        path = _path_of(request.psp_payment_id)
        content = write_json({"status": "cancelled"})
        try:
            answer = self._change("PUT", path, request.idempotency_key, content)
            return _show(answer, answer.object())
        except (Refused, OutcomeUnknown) as error:
            if error.status not in NOT_IN_THIS_STATE:
                raise
            answer, payment = self._fetch(request.psp_payment_id)
            if str(payment.get("status")) in CALLED_OFF:
                return _show(answer, payment)
            if str(payment.get("status")) not in CANCELABLE:
                raise Refused(error.code, error.message, error.status) from None
            raise

    def _fetch(self, psp_payment_id: str) -> tuple[HttpAnswer, Payment]:
        answer = self._look(Call("GET", _path_of(psp_payment_id)))
        payment = answer.object()
        if not self._is_ours(payment):
            raise Refused("other_collector", "the payment belongs to another Mercado Pago account")
        return answer, payment

    def _is_ours(self, payment: Payment) -> bool:
        return self._collector is None or find_collector(payment) in (None, self._collector)

    def _search(self, params: Params) -> Page:
        return read_page(self._look(Call("GET", "/v1/payments/search", params)))

    def _look(self, call: Call) -> HttpAnswer:
        """A question changes nothing, whatever becomes of it."""
        try:
            return self._http.call(call)
        except OutcomeUnknown as error:
            raise NotNow(error.code, error.message, error.status) from None

    def _change(
        self, method: str, path: str, key: str, content: bytes | None, headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        sent = {"content-type": "application/json", "x-idempotency-key": key, **(headers or {})}
        return self._http.call(Call(method, path, headers=sent, content=content, changes=True))


def _show(answer: HttpAnswer, payment: Payment) -> Answer:
    return Answer(
        answer.as_of, answer.write(payment), read_own_id(answer, payment), instructions=read_instructions(payment)
    )


def _path_of(payment_id: str) -> str:
    return f"/v1/payments/{quote(payment_id, safe='')}"


def _is_over(payment: Payment) -> bool:
    return str(payment.get("status")) in CALLED_OFF or payment.get("status") == "rejected"
