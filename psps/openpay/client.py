"""Openpay's API: charges at stores, by SPEI and by card, and refunds of cards. JSON both ways.

Source: Openpay's API documentation, openpay-java.
"""

import base64
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from psps.calls import Call, HttpAnswer
from psps.gate import Gate
from psps.http import PspHttp
from psps.openpay.answers import (
    count_refunded,
    find_refund_id,
    find_whole,
    is_declined_card,
    read_fault,
    read_id,
    read_page,
    show,
    show_entry,
)
from psps.openpay.requests import write_create
from psps.outbound import (
    Answer,
    CancelRequest,
    ClientSettings,
    CreateRequest,
    NotOffered,
    NotThere,
    OutcomeUnknown,
    PspError,
    RefundRequest,
    Refused,
)
from psps.payload import MEXICO_CITY, hint_iso_time, hint_text
from psps.writing import major_units, write_json

JSON_TYPE = {"content-type": "application/json"}
# The most that Openpay's own samples ask for, and what it gives where nothing is asked for.
PAGE, USUAL_PAGE = 100, 10
ONE_DAY = timedelta(days=1)
UNPAID = frozenset({"in_progress", "charge_pending"})
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


class OpenpayClient:
    """Calls one merchant account. There is no idempotency key: the unique order_id stands in for it, at creation alone."""

    settled_after = 120.0  # Openpay's own SDKs wait 90 s for an answer
    needs_refund_baseline = True
    replays_errors = False

    def __init__(self, settings: ClientSettings, gate: Gate) -> None:
        merchant = quote(settings.options["MERCHANT_ID"], safe="")
        login = base64.b64encode(f"{settings.options['API_KEY']}:".encode()).decode("ascii")
        headers = {"authorization": f"Basic {login}"}
        base = f"{settings.api_url.rstrip('/')}/v1/{merchant}"
        self._http = PspHttp(base, gate, read_fault, lambda method, path, body: headers)

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def create(self, request: CreateRequest) -> Answer:
        """Make a charge. A used order_id (409, 1006) is OutcomeUnknown, and find_created tells what used it.

        A declined card is Refused with the failed charge that Openpay keeps, as far as it can be looked up now.
        """
        try:
            answer = self._post("/charges", write_create(request))
        except Refused as refusal:
            if not is_declined_card(refusal.code):
                raise
            failed = self._find_quietly(request.reference)
            raise Refused(refusal.code, refusal.message, refusal.status, failed) from None
        return show(answer, answer.object())

    def find_created(self, request: CreateRequest, since: datetime) -> Answer | None:
        """By the order_id. Should Openpay ignore the filter, the order_id still keeps a second charge from being made."""
        return self._find(request.reference)

    def fetch(self, psp_payment_id: str) -> Answer:
        """One charge, by its id, or by `customer:charge` as the webhooks of customers' charges name it.

        A customer's charge by its id alone is NotThere where Openpay shows it by the customer's path only: no other
        documented look-up leads from a charge's id to its customer.
        """
        return show(*self._get(psp_payment_id))

    def list_by_window(self, start: datetime, end: datetime) -> Iterator[Answer]:
        """By the time of creation, newest first: Openpay has no list by time of change.

        Openpay filters by dates alone. That they are days of Mexico City and that the last one is included is
        UNVERIFIED, so a day more is asked for on either side and the rest is left out here.
        """
        first, last = (start - ONE_DAY).astimezone(MEXICO_CITY).date(), (end + ONE_DAY).astimezone(MEXICO_CITY).date()
        window = [("creation[gte]", first.isoformat()), ("creation[lte]", last.isoformat())]
        for answer, charge in self._list(window):
            created_at = hint_iso_time(charge.get("creation_date"), MEXICO_CITY)
            if created_at is None or start <= created_at < end:
                yield show_entry(answer, charge)

    def refund(self, request: RefundRequest) -> Answer:
        """Give money back to a card; the answer is the charge. Nothing else keeps a refund from being made twice, so one
        that carries our reference already is the answer instead."""
        answer, charge = self._get(request.psp_payment_id)
        if charge.get("method") != "card":
            raise NotOffered("Openpay refunds cards only: pay back with a payout")
        status = hint_text(charge.get("status"))
        if status in UNPAID:  # an authorisation would be released whole, whatever the amount
            raise Refused("not_refundable", f"the charge is {status}")
        if find_refund_id(answer, charge, request.reference) is None:
            # The description is the one thing of ours that a refund keeps.
            body = {"description": request.reference, "amount": major_units(request.amount_minor)}
            answer = self._post(f"{_path_of(request.psp_payment_id)}/refund", write_json(body))
            charge = _check(answer, request.psp_payment_id)
        return replace(show(answer, charge), psp_ref=find_refund_id(answer, charge, request.reference))

    def find_refund(self, request: RefundRequest, since: datetime) -> Answer | None:
        """By our reference in the refund's description, whatever became of it later; or, should Openpay not give the
        description back, by the sum of the refunds, which has grown by this one's amount."""
        answer, charge = self._get(request.psp_payment_id)
        refund_id = find_refund_id(answer, charge, request.reference)
        if refund_id is None:
            if request.refunded_before_minor is None:
                raise OutcomeUnknown("no_refund_baseline", "what had been refunded before is not known")
            if count_refunded(answer, charge) < request.refunded_before_minor + request.amount_minor:
                return None
        return replace(show(answer, charge), psp_ref=refund_id)

    def cancel(self, request: CancelRequest) -> Answer:
        """Call off what is not paid: POST /cancel, which openpay-java has and the documentation has not.

        What it does to vouchers and SPEI is UNVERIFIED, and what it would do to money that came, so a paid charge is
        refused here.
        """
        answer, charge = self._get(request.psp_payment_id)
        status = hint_text(charge.get("status"))
        if status == "cancelled":
            return show(answer, charge)
        if status not in UNPAID:
            raise Refused("not_cancelable", f"the charge is {status}", answer=show(answer, charge))
        # A card that is authorised and not captured is released by a refund (documentation, "Confirming a charge").
        is_authorised = charge.get("method") == "card" and status == "in_progress"
        try:
            path = f"{_path_of(request.psp_payment_id)}/{'refund' if is_authorised else 'cancel'}"
            changed = self._post(path, write_json({}))
        except NotThere:
            raise NotOffered("Openpay has no way to cancel this charge: let it expire") from None
        charge_id = read_id(answer, charge)
        return Answer(changed.as_of, find_whole(changed, charge_id), charge_id)

    def _get(self, psp_payment_id: str) -> tuple[HttpAnswer, dict[str, Any]]:
        answer = self._http.call(Call("GET", _path_of(psp_payment_id)))
        return answer, _check(answer, psp_payment_id)

    def _post(self, path: str, body: bytes) -> HttpAnswer:
        return self._http.call(Call("POST", path, content=body, headers=JSON_TYPE, changes=True))

    def _find(self, order_id: str) -> Answer | None:
        answer = self._http.call(Call("GET", "/charges", [("order_id", order_id)]))
        found = (charge for charge in read_page(answer) if charge.get("order_id") == order_id)
        return next((show_entry(answer, charge) for charge in found), None)

    def _find_quietly(self, order_id: str) -> Answer | None:
        """The failed charge of a declined card; the refusal is as true without it."""
        try:
            return self._find(order_id)
        except PspError:
            return None

    def _list(self, window: list[tuple[str, str]]) -> Iterator[tuple[HttpAnswer, dict[str, Any]]]:
        """Every charge once. One that is made meanwhile comes first and moves the others on, so some are seen twice."""
        seen: set[str] = set()
        ids: list[str] = []
        offset = 0
        while True:
            place = [("offset", str(offset)), ("limit", str(PAGE))]
            answer = self._http.call(Call("GET", "/charges", [*window, *place]))
            page = read_page(answer)
            before, ids = ids, [read_id(answer, charge) for charge in page]
            for charge_id, charge in zip(ids, page, strict=True):
                if charge_id not in seen:
                    yield answer, charge
            # That as many are given as are asked for is UNVERIFIED: a page ends the list for certain only where it has
            # fewer than Openpay gives anyway.
            if len(page) < USUAL_PAGE:
                return
            if ids == before:
                raise answer.unexpected("a page that does not move on")
            seen.update(ids)
            offset += len(page)


def _check(answer: HttpAnswer, psp_payment_id: str) -> dict[str, Any]:
    charge = answer.object()
    if charge.get("id") != psp_payment_id.rpartition(":")[2]:
        raise answer.unexpected("another charge than the one asked for")
    return charge


def _path_of(psp_payment_id: str) -> str:
    """The id comes from bodies that nobody protects: what is no id of Openpay's never gets into an address."""
    customer_id, _, charge_id = psp_payment_id.rpartition(":")
    if not _ID.fullmatch(charge_id) or (customer_id and not _ID.fullmatch(customer_id)):
        raise NotThere("malformed_id", "not an id of Openpay")
    return f"/customers/{customer_id}/charges/{charge_id}" if customer_id else f"/charges/{charge_id}"
