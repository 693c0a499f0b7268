"""Openpay's API as far as Acuse uses it: charges of the merchant and of customers, JSON both ways.

There is no idempotency key. An order_id is taken once, and a second refund is a second refund.
"""

import json
import time
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from flask import Blueprint, Response, g, request

from sandbox.answers import answer, has_api_key
from sandbox.openpay.errors import (
    MALFORMED,
    NOT_ALLOWED,
    NOT_FOUND,
    ORDER_EXISTS,
    UNAUTHORIZED,
    WRONG_VALUE,
    OpenpayError,
)
from sandbox.openpay.objects import DECLINES, METHODS, MEXICO_CITY, add_refund, charge, new_payment
from sandbox.payment import SimulatedPayment, Step, apply_step
from sandbox.state import SandboxState

INSTRUMENTS = {method: instrument for instrument, method in METHODS.items()}
CURRENCIES = {"store": ("MXN",), "bank_account": ("MXN",), "card": ("MXN", "USD")}
DECLINED_TOKENS = {"tok_test_card_declined": "3001", "tok_test_insufficient_funds": "3003"}
UNPAID = ("in_progress", "charge_pending")
LARGEST_PAGE = 100


def make_api(state: SandboxState) -> Blueprint:
    api = Blueprint("openpay", __name__, url_prefix="/openpay/v1/<merchant_id>")
    api.register_error_handler(OpenpayError, lambda error: error.reply())

    @api.url_value_preprocessor
    def take_merchant(endpoint: str | None, values: dict[str, Any] | None) -> None:
        g.merchant_id = (values or {}).pop("merchant_id", "")

    @api.before_request
    def check_key() -> None:
        keys = state.keys["openpay"]
        is_basic = request.authorization is not None and request.authorization.type == "basic"
        if not is_basic or not has_api_key(request, keys["api_key"]) or g.merchant_id != keys["merchant_id"]:
            raise OpenpayError(UNAUTHORIZED, "The api key or merchant id are invalid.")

    @api.post("/charges")
    @api.post("/customers/<customer_id>/charges")
    def create(customer_id: str | None = None) -> Response:
        with state.lock:
            return answer(charge(_create(state, customer_id)))

    @api.get("/charges/<charge_id>")
    @api.get("/customers/<customer_id>/charges/<charge_id>")
    def fetch(charge_id: str, customer_id: str | None = None) -> Response:
        with state.lock:
            return answer(charge(_get(state, charge_id, customer_id)))

    @api.get("/charges")
    def list_charges() -> Response:
        with state.lock:
            return answer([charge(payment) for payment in _page(state.newest_first("openpay"))])

    _add_changes(api, state)
    return api


def _add_changes(api: Blueprint, state: SandboxState) -> None:
    @api.post("/charges/<charge_id>/refund")
    def refund(charge_id: str) -> Response:
        with state.lock:
            return answer(charge(_refund(state, _get(state, charge_id))))

    @api.post("/charges/<charge_id>/cancel")
    def cancel(charge_id: str) -> Response:
        with state.lock:
            return answer(charge(_cancel(state, _get(state, charge_id))))


def _get(state: SandboxState, charge_id: str, customer_id: str | None = None) -> SimulatedPayment:
    """A customer's charge is there by the customer's path alone."""
    payment = state.find("openpay", charge_id)
    if payment is None or payment.ids.get("customer") != customer_id:
        raise OpenpayError(NOT_FOUND, f"The transaction with id '{charge_id}' does not exist")
    return payment


def _body() -> dict[str, Any]:
    try:
        sent = json.loads(request.get_data(), parse_float=Decimal)
    except ValueError:
        sent = None
    if not isinstance(sent, dict):
        raise OpenpayError(MALFORMED, "The request is not well formed")
    return sent


def _create(state: SandboxState, customer_id: str | None) -> SimulatedPayment:
    sent = _body()
    method, reference = _check_charge(sent, customer_id), sent.get("order_id")
    if reference and any(payment.reference == reference for payment in state.newest_first("openpay")):
        raise OpenpayError(ORDER_EXISTS, f"The order_id has already been processed: {reference}")
    amount = _read_amount(sent)
    payment = new_payment(state.names, INSTRUMENTS[method], int(time.time()), amount, reference)
    payment.payer = (sent.get("customer") or {}).get("name", payment.payer)
    payment.raw |= {name: sent[name] for name in ("description", "currency", "redirect_url") if name in sent}
    if sent.get("due_date"):
        payment.raw["due"] = _read_time(sent["due_date"])
    if customer_id:
        payment.ids["customer"] = customer_id
    state.add(payment)
    state.record_effect(payment, "create", reference or payment.id, currency=sent.get("currency", "MXN"))
    if method == "card":
        _charge_card(payment, sent)
    return payment


def _check_charge(sent: dict[str, Any], customer_id: str | None) -> str:
    """The method. Raises OpenpayError for what is missing or wrong."""
    method = str(sent.get("method"))
    if method not in INSTRUMENTS:
        raise OpenpayError(WRONG_VALUE, f"The sandbox knows the methods {', '.join(INSTRUMENTS)}")
    description = sent.get("description")
    if not isinstance(description, str) or not 0 < len(description) <= 250:
        raise OpenpayError(MALFORMED, "description is required and has at most 250 characters")
    customer = sent.get("customer") or {}
    if method != "bank_account" and not customer_id and not (customer.get("name") and customer.get("email")):
        raise OpenpayError(MALFORMED, "customer is required, with its name and email")
    if sent.get("currency", "MXN") not in CURRENCIES[method]:
        raise OpenpayError(WRONG_VALUE, "currency is not supported")
    if (
        method == "card"
        and not sent.get("source_id")
        and not (sent.get("confirm") is False and sent.get("redirect_url"))
    ):
        raise OpenpayError(MALFORMED, "source_id is required")
    return method


def _charge_card(payment: SimulatedPayment, sent: dict[str, Any]) -> None:
    """A declined card leaves its failed charge behind."""
    code = DECLINED_TOKENS.get(str(sent.get("source_id")))
    if code:
        apply_step(payment, Step("", "failed", detail=code), payment.created)
        raise OpenpayError(int(code), DECLINES[code], "gateway")
    if sent.get("redirect_url"):
        apply_step(payment, Step("", "charge_pending"), payment.created)
    elif sent.get("capture") is not False:
        apply_step(payment, Step("", "completed", received=100), payment.created)


def _read_amount(sent: dict[str, Any], most: int = 10**12) -> int:
    amount = sent.get("amount")
    minor = amount * 100 if isinstance(amount, int | Decimal) and not isinstance(amount, bool) else -1
    if minor != int(minor) or not 0 < minor <= most:
        raise OpenpayError(WRONG_VALUE, "amount must be more than zero, with up to two decimals, and not too much")
    return int(minor)


def _read_time(text: object) -> int:
    """Without an offset it is central time."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        raise OpenpayError(MALFORMED, "due_date is not a date") from None
    return int((at if at.tzinfo else at.replace(tzinfo=MEXICO_CITY)).timestamp())


def _page(payments: list[SimulatedPayment]) -> list[SimulatedPayment]:
    offset, limit = request.args.get("offset", 0, type=int), request.args.get("limit", 10, type=int)
    found = [payment for payment in payments if not payment.ids.get("customer") and _is_asked_for(payment)]
    return found[max(offset, 0) :][: min(max(limit, 0), LARGEST_PAGE)]


def _is_asked_for(payment: SimulatedPayment) -> bool:
    """By order and status, and by the day of creation in Mexico City, both ends included."""
    day = datetime.fromtimestamp(payment.created, MEXICO_CITY).date()
    fits: dict[str, Callable[[date], bool]] = {
        "creation": lambda asked: day == asked,
        "creation[gte]": lambda asked: day >= asked,
        "creation[lte]": lambda asked: day <= asked,
    }
    return (
        request.args.get("order_id", payment.reference) == payment.reference
        and request.args.get("status", payment.status.upper()) == payment.status.upper()
        and all(fit(_read_day(request.args[name])) for name, fit in fits.items() if name in request.args)
    )


def _read_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise OpenpayError(MALFORMED, "creation is not a date yyyy-mm-dd") from None


def _refund(state: SandboxState, payment: SimulatedPayment) -> SimulatedPayment:
    sent, now = _body(), int(time.time())
    if payment.instrument == "card" and payment.status == "in_progress":
        return _cancel(state, payment)
    left = payment.received_minor - payment.refunded_minor
    if payment.instrument != "card" or payment.status != "completed" or not left:
        raise OpenpayError(NOT_ALLOWED, "The operation is not allowed for this transaction")
    amount = _read_amount(sent, left) if "amount" in sent else left
    description = sent.get("description", "")
    refund_id = add_refund(payment, state.names, amount, description, now)
    payment.previous_refunded_minor, payment.refund_minor = payment.refunded_minor, amount
    payment.refunded_minor += amount
    payment.updated = now
    currency = payment.raw.get("currency", "MXN")
    state.record_effect(payment, "refund", description or refund_id, refund_id, amount, currency)
    return payment


def _cancel(state: SandboxState, payment: SimulatedPayment) -> SimulatedPayment:
    if payment.status not in UNPAID:
        raise OpenpayError(NOT_ALLOWED, "The operation is not allowed for this transaction")
    apply_step(payment, Step("", "cancelled"), int(time.time()))
    state.record_effect(payment, "cancel", payment.reference, currency=payment.raw.get("currency", "MXN"))
    return payment
