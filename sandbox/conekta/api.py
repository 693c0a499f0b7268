"""Conekta's API as far as Acuse uses it: orders with one charge, JSON in and out, no idempotency key."""

import re
import time
from typing import Any

from flask import Blueprint, Response, request

from sandbox.answers import answer, has_api_key
from sandbox.conekta.errors import ConektaError, invalid_parameter, missing_precondition
from sandbox.conekta.objects import new_payment, order, refund
from sandbox.payment import SimulatedPayment, Step, apply_step
from sandbox.state import SandboxState

ACCEPTED_VERSION = re.compile(r"application/vnd\.conekta-v2\.\d+\.\d+\+json")
INSTRUMENTS = {"cash": "oxxo", "oxxo": "oxxo", "oxxo_cash": "oxxo", "spei": "spei", "card": "card"}
DECLINED_TOKENS = ("tok_test_card_declined", "tok_test_insufficient_funds")


def make_api(state: SandboxState) -> Blueprint:
    api = Blueprint("conekta", __name__, url_prefix="/conekta")
    api.register_error_handler(ConektaError, lambda error: error.reply())

    @api.before_request
    def check_key_and_version() -> None:
        if not has_api_key(request, state.keys["conekta"]["api_key"]):
            raise ConektaError(401, "authentication_error", "authentication.unauthorized", "Unknown access key.")
        if not ACCEPTED_VERSION.fullmatch(request.headers.get("Accept", "")):
            message = "The Accept header must name the API version, as in application/vnd.conekta-v2.3.0+json."
            raise invalid_parameter("version", message, "Accept")

    @api.post("/orders")
    def create() -> Response:
        with state.lock:
            return answer(order(_create(state)), 201)

    @api.get("/orders/<order_id>")
    def fetch(order_id: str) -> Response:
        with state.lock:
            return answer(order(_get(state, order_id)))

    @api.get("/orders")
    def list_orders() -> Response:
        with state.lock:
            return answer(_page(state.newest_first("conekta")))

    @api.post("/orders/<order_id>/refunds")
    def create_refund(order_id: str) -> Response:
        with state.lock:
            return answer(order(_refund(state, _get(state, order_id))))

    @api.post("/orders/<order_id>/cancel")
    def cancel(order_id: str) -> Response:
        with state.lock:
            return answer(order(_cancel(state, _get(state, order_id))))

    return api


def _create(state: SandboxState) -> SimulatedPayment:
    sent = _body()
    if sent.get("currency") != "MXN":
        raise invalid_parameter("currency", "The sandbox takes MXN alone.", "currency")
    for name in ("customer_info", "line_items", "charges"):
        if not sent.get(name):
            raise invalid_parameter(f"{name}.missing", f"The parameter {name} is required.", name)
    charged = sent["charges"][0]
    method = charged.get("payment_method", {})
    if method.get("type") not in INSTRUMENTS:
        message = f"The sandbox knows the payment method types {', '.join(INSTRUMENTS)}."
        raise invalid_parameter("payment_method", message, "charges[0].payment_method.type")
    metadata = sent.get("metadata", {})
    reference = metadata.get("order_id") or metadata.get("reference_id") or charged.get("reference_id")
    instrument = INSTRUMENTS[method["type"]]
    payment = new_payment(state.names, instrument, int(time.time()), _amount(sent, charged), reference)
    payment.payer = sent["customer_info"].get("name", payment.payer)
    payment.raw |= {name: sent[name] for name in ("metadata", "customer_info") if name in sent}
    payment.raw["expires_at"] = method.get("expires_at")
    state.add(payment)
    state.record_effect(payment, "create", payment.reference)
    if instrument == "card":
        _charge_card(payment, method.get("token_id"))
    return payment


def _charge_card(payment: SimulatedPayment, token: str | None) -> None:
    """A declined card leaves its order behind, which the error shows."""
    if token in DECLINED_TOKENS:
        apply_step(payment, Step("", "declined", detail="insufficient_funds"), payment.created)
        code = "processing.bank.insufficient_funds"
        message = "The card has no funds for this purchase."
        raise ConektaError(402, "processing_error", code, message, data=order(payment))
    apply_step(payment, Step("", "paid", received=100), payment.created)


def _body() -> dict[str, Any]:
    sent = request.get_json(silent=True)
    if not isinstance(sent, dict):
        raise invalid_parameter("body", "The body must be a JSON object.", "body")
    return sent


def _amount(sent: dict[str, Any], charged: dict[str, Any]) -> int:
    ordered = 0
    for place, item in enumerate(sent["line_items"]):
        for name in ("unit_price", "quantity"):
            if type(item.get(name)) is not int or item[name] <= 0:
                raise invalid_parameter("integer", "Must be a positive integer.", f"line_items[{place}].{name}")
        ordered += item["unit_price"] * item["quantity"]
    if charged.get("amount", ordered) != ordered:
        raise invalid_parameter(
            "charge.amount", "The charge must equal the sum of the line items.", "charges[0].amount"
        )
    return ordered


def _get(state: SandboxState, order_id: str) -> SimulatedPayment:
    payment = state.find("conekta", order_id)
    if payment is None:
        code = "resource_not_found.order"
        raise ConektaError(404, "resource_not_found_error", code, "The order does not exist.", "id")
    return payment


def _page(payments: list[SimulatedPayment]) -> dict[str, Any]:
    limit = request.args.get("limit", 20, type=int)
    if not 1 <= limit <= 250:
        raise invalid_parameter("limit", "limit must be 1 to 250.", "limit")
    ids = [payment.id for payment in payments]
    after = request.args.get("next")
    if after and after not in ids:
        raise invalid_parameter("next", "There is no such place in the list.", "next")
    rest = payments[ids.index(after) + 1 :] if after else payments
    found = [payment for payment in rest if _is_asked_for(payment)]
    shown = [order(payment) for payment in found[:limit]]
    more = len(found) > limit
    next_page = f"{request.base_url}?limit={limit}&next={shown[-1]['id']}" if more else None
    return {"object": "list", "has_more": more, "next_page_url": next_page, "previous_page_url": None, "data": shown}


def _is_asked_for(payment: SimulatedPayment) -> bool:
    times = {"created_at": payment.created, "updated_at": payment.updated}
    wanted = request.args.get("payment_status", payment.status) == payment.status
    return wanted and all(
        request.args.get(f"{name}.gte", at, type=int) <= at <= request.args.get(f"{name}.lte", at, type=int)
        for name, at in times.items()
    )


def _refund(state: SandboxState, payment: SimulatedPayment) -> SimulatedPayment:
    sent = _body()
    left = payment.received_minor - payment.refunded_minor
    amount = sent.get("amount", left)
    if payment.status not in ("paid", "partially_refunded"):
        raise missing_precondition("order.not_refundable", "Only a paid order can be refunded.")
    if type(amount) is not int or not 0 < amount <= left:
        raise invalid_parameter("amount", f"The amount must be 1 to {left} centavos.", "amount")
    if not sent.get("reason"):
        raise invalid_parameter("reason.missing", "The parameter reason is required.", "reason")
    payment.refunded_minor += amount
    payment.updated = int(time.time())
    payment.status = "refunded" if payment.refunded_minor == payment.amount_minor else "partially_refunded"
    made = refund(state.names.hex(24), amount, payment.updated)
    payment.raw.setdefault("refunds", []).append(made)
    state.record_effect(payment, "refund", payment.reference, made["id"], amount)
    return payment


def _cancel(state: SandboxState, payment: SimulatedPayment) -> SimulatedPayment:
    if payment.status not in ("pending_payment", "pre_authorized"):
        raise missing_precondition("order.not_cancelable", "This order can no longer be canceled.")
    apply_step(payment, Step("", "canceled"), int(time.time()))
    state.record_effect(payment, "cancel", payment.reference)
    return payment
