"""Transak's API: a widget in which the payer makes the order, and the list of orders. It has no refunds and no cancels.

Source: Transak's pages on query parameters, on the Partner Access Token and on getting orders.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn
from urllib.parse import quote, urlencode

from models.states import Direction, EventKind, Method
from psps.base import Unparseable
from psps.calls import Call, Fault, HttpAnswer
from psps.currencies import find_exponent
from psps.gate import Gate
from psps.http import PspHttp
from psps.identity import is_storable_key
from psps.outbound import (
    Answer,
    CancelRequest,
    ClientSettings,
    CreateRequest,
    Instructions,
    NotNow,
    NotOffered,
    RefundRequest,
    Refused,
)
from psps.payload import find_object, hint_iso_time, hint_seconds, hint_text, read_json
from psps.transak.orders import STATUS_KINDS
from psps.writing import major_units, write_json

ORDERS_PATH = "/partners/api/v2/orders"
# UNVERIFIED in Transak's own pages; public code calls it so, and finds the order under `data`.
ORDER_PATH = "/partners/api/v2/order/"
REFRESH_PATH = "/partners/api/v2/refresh-token"
# By the API's address; the widget of any other, such as a simulator's, is beside its API.
WIDGETS = {
    "https://api.transak.com": "https://global.transak.com",
    "https://api-stg.transak.com": "https://global-stg.transak.com",
}
PAGE = 100
# Pages are counted by offset. So many orders may leave a status between two pages and no other is passed over.
PAGES_OVERLAP = 10
ONE_DAY, TOKEN_LIFE = timedelta(days=1), timedelta(days=7)
UNAUTHORIZED = 401
HOW_TO_RENEW = "put a fresh Partner Access Token first in ACUSE_TRANSAK_ACCESS_TOKENS, before the one that it replaces"
# Of several orders with one reference, the one with the most of the payer's money counts.
MONEY_IN = (EventKind.PENDING, EventKind.PROCESSING, EventKind.REFUNDED, EventKind.COMPLETED)


class TransakClient:
    """Calls one partner account with its newest access token, which is the first of `settings.secrets`.

    The token is never renewed here: renewing it ends the old one, with which webhooks are signed and other processes call.
    """

    settled_after = 0.0  # `create` sends nothing, so there is nothing to wait for
    needs_refund_baseline = False
    replays_errors = False

    def __init__(self, settings: ClientSettings, gate: Gate) -> None:
        self._http = PspHttp(settings.api_url, gate, read_fault)
        self._clock = gate.clock
        self._api_key, self._api_secret = settings.options["API_KEY"], settings.options["API_SECRET"]
        self._token = settings.secrets[0]
        address = settings.api_url.rstrip("/")
        self._widget = settings.options.get("WIDGET_URL") or WIDGETS.get(address, f"{address}/widget")

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def create(self, request: CreateRequest) -> Answer:
        """The address of the widget for this payment. Nothing is sent: Transak makes the order when the payer comes.

        The same request gives the same address. It is not signed, so a payer can change its amount; the order then tells
        another one than was asked for, and does not complete the payment.

        Transak calls addresses with parameters deprecated, without a date. What replaces them, its "Create Widget URL",
        gives an address for one use within five minutes, too short for a payer who comes later.
        """
        if request.direction is Direction.OUT or request.method is not Method.CRYPTO_ONRAMP:
            raise NotOffered("Transak has nothing but the on-ramp: use another PSP for this method")
        url = f"{self._widget.rstrip('/')}?{urlencode(_write_parameters(request, self._api_key))}"
        return Answer(self._clock().replace(microsecond=0), instructions=Instructions(redirect_url=url))

    def find_created(self, request: CreateRequest, since: datetime) -> Answer | None:
        """By partnerOrderId. A payer who tries again leaves several orders, whose reference Transak lets be the same."""
        mine = ("filter[partnerOrderId]", request.reference)
        found = [
            (answer, order)
            for answer, order in self._list(since, self._clock(), mine)
            if order.get("partnerOrderId") == request.reference
        ]
        return _show(*max(found, key=lambda one: _rank(one[1]))) if found else None

    def fetch(self, psp_payment_id: str) -> Answer:
        """One order."""
        answer = self._ask(ORDER_PATH + quote(psp_payment_id, safe=""))
        told = answer.object()
        order = find_object(told, "data") or told
        if order.get("id") != psp_payment_id:
            raise answer.unexpected("another order than was asked for")
        return _show(answer, order)

    def list_by_window(self, start: datetime, end: datetime) -> Iterator[Answer]:
        """By the time of creation. An order that changes its status meanwhile may come twice; the later one is newer."""
        for answer, order in self._list(start, end):
            created_at = hint_iso_time(order.get("createdAt"))
            if created_at is None or start <= created_at < end:
                yield _show(answer, order)

    def refund(self, request: RefundRequest) -> Answer:
        """Transak has no such call."""
        _refuse_refund()

    def find_refund(self, request: RefundRequest, since: datetime) -> Answer | None:
        """Transak has no such call."""
        _refuse_refund()

    def cancel(self, request: CancelRequest) -> Answer:
        """Transak has no such call."""
        raise NotOffered("Transak has no way to cancel an order: one that nobody pays expires by itself")

    def request_token(self) -> tuple[str, datetime]:
        """A fresh access token and when it ends. For a person's command: it ends the token before, for everybody.

        It must be written down before anything else is done: without it no webhook can be verified any more.
        """
        headers = {"api-secret": self._api_secret, "content-type": "application/json"}
        content = write_json({"apiKey": self._api_key})
        answer = self._http.call(Call("POST", REFRESH_PATH, headers=headers, content=content, changes=True))
        told = find_object(answer.object(), "data")
        token = told.get("accessToken")
        if type(token) is not str or not token.strip() or not token.isprintable():
            raise answer.unexpected("no access token")
        return token, hint_seconds(told.get("expiresAt")) or answer.as_of + TOKEN_LIFE

    def _ask(self, path: str, params: list[tuple[str, str]] | None = None) -> HttpAnswer:
        try:
            return self._http.call(Call("GET", path, params or [], {"access-token": self._token}))
        except Refused as refusal:
            if refusal.status != UNAUTHORIZED:
                raise
            raise NotNow("token_expired", HOW_TO_RENEW, UNAUTHORIZED) from None

    def _list(
        self, start: datetime, end: datetime, *filters: tuple[str, str]
    ) -> Iterator[tuple[HttpAnswer, dict[str, Any]]]:
        """Orders of the days around [start, end), one status after the other.

        What is not sent has a default that hides orders: COMPLETED, BUY, the last 90 days. That the days are of UTC is
        UNVERIFIED, so a day more is asked for on either side.
        """
        first, last = ((at + shift).astimezone(UTC).date() for at, shift in ((start, -ONE_DAY), (end, ONE_DAY)))
        window = [("startDate", first.isoformat()), ("endDate", last.isoformat())]
        for status in STATUS_KINDS:
            asked = [("filter[status]", status), ("filter[productsAvailed]", '["BUY"]'), ("filter[sortOrder]", "asc")]
            yield from self._list_pages([*window, *asked, *filters])

    def _list_pages(self, params: list[tuple[str, str]]) -> Iterator[tuple[HttpAnswer, dict[str, Any]]]:
        """Every order once. That 100 are given where 100 are asked for is UNVERIFIED: a page without news is the end."""
        seen: set[str] = set()
        skip = 0
        while True:
            answer = self._ask(ORDERS_PATH, [*params, ("limit", str(PAGE)), ("skip", str(skip))])
            page = {_read_id(answer, order): order for order in answer.objects(answer.object().get("data"))}
            fresh = page.keys() - seen
            yield from ((answer, order) for order_id, order in page.items() if order_id in fresh)
            if not fresh:
                return
            seen |= fresh
            skip += len(page) - min(PAGES_OVERLAP, len(page) // 2)


def read_fault(status: int, body: bytes) -> Fault:
    """{"error": {name, message}}, in the few answers that are public; otherwise the status speaks."""
    try:
        error = find_object(read_json(body), "error")
    except Unparseable:
        return Fault("")
    return Fault(hint_text(error.get("name")) or "", hint_text(error.get("message")) or "")


def _write_parameters(request: CreateRequest, api_key: str) -> dict[str, str]:
    """The widget's parameters. With fiatAmount the payer is not asked for another amount."""
    exponent = find_exponent(request.currency)
    parameters = {
        "apiKey": api_key,
        "productsAvailed": "BUY",
        "partnerOrderId": request.reference,
        "fiatCurrency": request.currency,
        "fiatAmount": format(major_units(request.amount_minor, exponent), "f"),
        "cryptoCurrencyCode": (request.crypto_asset or "").upper(),
        "network": request.crypto_network or "",
        "walletAddress": request.wallet_address or "",
        "disableWalletAddressForm": "true" if request.wallet_address else "",
        "redirectURL": request.return_url or "",
    }
    return {name: value for name, value in parameters.items() if value}


def _refuse_refund() -> NoReturn:
    raise NotOffered("Transak has no refunds by API: ask its support, and the order's status will tell")


def _rank(order: dict[str, Any]) -> int:
    kind = STATUS_KINDS.get(str(order.get("status")))
    return MONEY_IN.index(kind) if kind in MONEY_IN else -1


def _read_id(answer: HttpAnswer, order: dict[str, Any]) -> str:
    found = order.get("id")
    if not is_storable_key(found):
        raise answer.unexpected("an order without an id")
    return str(found)


def _show(answer: HttpAnswer, order: dict[str, Any]) -> Answer:
    return Answer(answer.as_of, answer.write(order), _read_id(answer, order))
