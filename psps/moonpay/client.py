"""MoonPay's API: a payment is a signed address of the widget, and a transaction there once the payer has come.

Source: dev.moonpay.com, widget API v1 (server to server) and URL signing.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

from models.states import Direction, Method
from psps.base import Unparseable
from psps.calls import Call, Fault, HttpAnswer
from psps.gate import Gate
from psps.http import PspHttp
from psps.identity import is_storable_key
from psps.moonpay.widget import find_widget_url, write_query, write_signed_url
from psps.outbound import (
    Answer,
    CancelRequest,
    ClientSettings,
    CreateRequest,
    Instructions,
    NotOffered,
    NotThere,
    RefundRequest,
    Refused,
)
from psps.payload import hint_text, read_json

AT_THEIR_DASHBOARD = "MoonPay is the seller; ask its support, and the transaction will tell what came of it"


class MoonPayClient:
    """Calls one MoonPay account. Test and live are told apart by the keys alone."""

    # Nothing is made at MoonPay before the payer comes: a payment that is not found was not made.
    settled_after = 0.0
    needs_refund_baseline = False
    replays_errors = False

    def __init__(self, settings: ClientSettings, gate: Gate) -> None:
        self._secret_key, self._publishable_key = settings.options["API_KEY"], settings.options["PUBLISHABLE_KEY"]
        self._widget_url = settings.options.get("WIDGET_URL") or find_widget_url(self._publishable_key)
        # The documents of v1 name this header, those of the newer platform API name X-Api-Key: here is the one place.
        headers = {"authorization": f"Api-Key {self._secret_key}"}
        self._http = PspHttp(settings.api_url, gate, read_fault, lambda method, path, body: headers)
        self._clock = gate.clock

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def create(self, request: CreateRequest) -> Answer:
        """Write and sign the widget's address. No call is made, so nothing can be left half done."""
        if request.method is not Method.CRYPTO_ONRAMP or request.direction is not Direction.IN:
            raise NotOffered("MoonPay has no other payments than crypto_onramp: choose another PSP")
        if not request.crypto_asset:
            raise Refused("crypto_asset_missing", "MoonPay must be told which crypto_asset to sell")
        query = write_query(request, request.crypto_asset, self._publishable_key)
        url = write_signed_url(self._widget_url, query, self._secret_key)
        return Answer(self._clock().replace(microsecond=0), instructions=Instructions(redirect_url=url))

    def find_created(self, request: CreateRequest, since: datetime) -> Answer | None:
        """By externalTransactionId, which is not unique there: a payer who tries again makes another transaction.

        UNVERIFIED: the path, and that it answers with a list. One object is read too, and 404 is none.
        """
        try:
            answer = self._http.call(Call("GET", f"/v1/transactions/ext/{quote(request.reference, safe='')}"))
        except NotThere:
            return None
        said = answer.json()
        found = answer.objects(said if type(said) is list else [said])
        ours = [one for one in found if one.get("externalTransactionId") == request.reference]
        return _show(answer, max(ours, key=_rank)) if ours else None

    def fetch(self, psp_payment_id: str) -> Answer:
        """One transaction, whatever its status."""
        answer = self._http.call(Call("GET", f"/v1/transactions/{quote(psp_payment_id, safe='')}"))
        return _show(answer, answer.object())

    def list_by_window(self, start: datetime, end: datetime) -> Iterator[Answer]:
        """MoonPay's list cannot be asked for a time, and hides what failed."""
        raise NotOffered(
            "MoonPay lists only successful transactions by id or customer: open payments are fetched singly"
        )

    def refund(self, request: RefundRequest) -> Answer:
        """MoonPay alone decides about the money of a buy."""
        raise NotOffered(f"MoonPay has no refund of a buy: {AT_THEIR_DASHBOARD}")

    def find_refund(self, request: RefundRequest, since: datetime) -> Answer | None:
        """There is none of ours."""
        raise NotOffered(f"MoonPay has no refund of a buy: {AT_THEIR_DASHBOARD}")

    def cancel(self, request: CancelRequest) -> Answer:
        """Only sales can be called off there."""
        raise NotOffered("MoonPay has no cancel of a buy: a transaction that nobody pays runs out by itself")


def read_fault(status: int, body: bytes) -> Fault:
    """{code, type, message}; the code may be missing. No call of ours changes anything, so the status says the rest."""
    try:
        error = read_json(body)
    except Unparseable:
        return Fault("")
    code = hint_text(error.get("code")) or hint_text(error.get("type"))
    return Fault(code or "", hint_text(error.get("message")) or "")


def _show(answer: HttpAnswer, transaction: dict[str, Any]) -> Answer:
    found = transaction.get("id")
    if not is_storable_key(found):
        raise answer.unexpected("a transaction without an id")
    return Answer(answer.as_of, answer.write(transaction), str(found))


def _rank(transaction: dict[str, Any]) -> tuple[bool, bool, str]:
    """The one that was paid, else one that may still be, else the newest."""
    status = transaction.get("status")
    return status == "completed", status != "failed", hint_text(transaction.get("createdAt")) or ""
