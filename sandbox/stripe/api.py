"""Stripe's API as far as Acuse uses it: PaymentIntents and refunds, form-encoded in, JSON out."""

import re
import time
from typing import Any

from flask import Blueprint, Response, request

from sandbox.answers import answer, has_api_key
from sandbox.payment import SimulatedPayment, Step, apply_step
from sandbox.state import SandboxState
from sandbox.stripe.errors import StripeError
from sandbox.stripe.idempotency import answer_once
from sandbox.stripe.objects import METHOD_TYPES, charge, new_payment, payment_intent, refund

INSTRUMENTS = {method_type: instrument for instrument, method_type in METHOD_TYPES.items()}
VOUCHER_LIMITS = (1_000, 1_000_000)  # centavos
CANCELABLE = ("requires_payment_method", "requires_action", "requires_capture")
CANCEL_REASONS = ("duplicate", "fraudulent", "requested_by_customer", "abandoned")
REFUND_REASONS = ("duplicate", "fraudulent", "requested_by_customer")


def make_api(state: SandboxState) -> Blueprint:
    api = Blueprint("stripe", __name__, url_prefix="/stripe/v1")
    api.register_error_handler(StripeError, lambda error: error.reply())

    @api.before_request
    def check_key() -> None:
        if not has_api_key(request, state.keys["stripe"]["api_key"]):
            raise StripeError(401, "invalid_request_error", "Invalid API Key provided.")

    @api.post("/payment_intents")
    def create() -> Response:
        return answer_once(state, lambda: answer(_shown(_create(state))))

    @api.get("/payment_intents/<payment_id>")
    def fetch(payment_id: str) -> Response:
        with state.lock:
            return answer(_shown(_get(state, payment_id)))

    @api.get("/payment_intents")
    def list_created() -> Response:
        with state.lock:
            return answer(_page(state.newest_first("stripe")))

    @api.post("/payment_intents/<payment_id>/cancel")
    def cancel(payment_id: str) -> Response:
        return answer_once(state, lambda: answer(_shown(_cancel(state, payment_id))))

    @api.post("/refunds")
    def create_refund() -> Response:
        return answer_once(state, lambda: answer(_refund(state)))

    return api


def _create(state: SandboxState) -> SimulatedPayment:
    instrument = _instrument()
    amount = _amount("amount", *(VOUCHER_LIMITS if instrument == "oxxo" else (1_000, 99_999_999)))
    if request.form.get("currency") != "mxn":
        raise StripeError(400, "invalid_request_error", "The sandbox takes mxn alone.", param="currency")
    if instrument == "spei" and "customer" not in request.form:
        message = "A customer is required for customer_balance."
        raise StripeError(400, "invalid_request_error", message, "parameter_missing", "customer")
    with state.lock:
        reference = request.form.get("metadata[order_id]", "")
        payment = new_payment(state.names, instrument, int(time.time()), amount, reference)
        payment.ids["customer"] = request.form.get("customer", payment.ids["customer"])
        state.add(payment)
        if request.form.get("confirm") == "true":
            _confirm(payment)
    return payment


def _confirm(payment: SimulatedPayment) -> None:
    if payment.instrument != "card":
        payment.status = "requires_action"
    elif "Declined" in request.form.get("payment_method", ""):
        apply_step(payment, Step("", "requires_payment_method", detail="card_declined"), payment.created)
        raise StripeError(402, "card_error", "Your card was declined.", "card_declined", decline_code="generic_decline")
    else:
        apply_step(payment, Step("", "succeeded", received=100), payment.created)


def _instrument() -> str:
    asked = request.form.getlist("payment_method_types[]") or [request.form.get("payment_method_types[0]", "card")]
    if asked[0] not in INSTRUMENTS:
        message = f"The sandbox knows the payment method types {', '.join(INSTRUMENTS)}."
        raise StripeError(400, "invalid_request_error", message, param="payment_method_types")
    return INSTRUMENTS[asked[0]]


def _amount(name: str, least: int, most: int) -> int:
    text = request.form.get(name)
    if text is None:
        raise StripeError(400, "invalid_request_error", f"Missing required param: {name}.", "parameter_missing", name)
    if not re.fullmatch(r"\d{1,15}", text):
        raise StripeError(400, "invalid_request_error", f"Invalid integer: {name}", "parameter_invalid_integer", name)
    if not least <= int(text) <= most:
        code = "amount_too_small" if int(text) < least else "amount_too_large"
        raise StripeError(400, "invalid_request_error", f"Amount must be {least} to {most} centavos.", code, name)
    return int(text)


def _get(state: SandboxState, payment_id: str | None) -> SimulatedPayment:
    payment = state.find("stripe", payment_id or "")
    if payment is None:
        message = f"No such payment_intent: '{payment_id}'"
        raise StripeError(404, "invalid_request_error", message, "resource_missing", "intent")
    return payment


def _shown(payment: SimulatedPayment) -> dict[str, Any]:
    shown = payment_intent(payment)
    if "latest_charge" in request.values.getlist("expand[]") and shown["latest_charge"]:
        shown["latest_charge"] = charge(payment)
    return shown


def _page(payments: list[SimulatedPayment]) -> dict[str, Any]:
    limit = request.args.get("limit", 10, type=int)
    if not 1 <= limit <= 100:
        raise StripeError(400, "invalid_request_error", "limit must be 1 to 100.", param="limit")
    first = request.args.get("created[gte]", 0, type=int)
    end = request.args.get("created[lt]", 2**62, type=int)
    found = [payment for payment in payments if first <= payment.created < end]
    after = request.args.get("starting_after")
    if after:
        ids = [payment.id for payment in found]
        found = found[ids.index(after) + 1 :] if after in ids else []
    data = [payment_intent(payment) for payment in found[:limit]]
    return {"object": "list", "data": data, "has_more": len(found) > limit, "url": "/v1/payment_intents"}


def _cancel(state: SandboxState, payment_id: str) -> SimulatedPayment:
    reason = request.form.get("cancellation_reason", "")
    if reason and reason not in CANCEL_REASONS:
        raise StripeError(400, "invalid_request_error", "Invalid cancellation_reason.", param="cancellation_reason")
    with state.lock:
        payment = _get(state, payment_id)
        if payment.status not in CANCELABLE:
            message = f"You cannot cancel this PaymentIntent because it has a status of {payment.status}."
            raise StripeError(400, "invalid_request_error", message, "payment_intent_unexpected_state")
        apply_step(payment, Step("", "canceled", detail=reason), int(time.time()))
    return payment


def _refund(state: SandboxState) -> dict[str, Any]:
    if request.form.get("reason", "duplicate") not in REFUND_REASONS:
        raise StripeError(400, "invalid_request_error", "Invalid reason.", param="reason")
    with state.lock:
        payment = _get(state, request.form.get("payment_intent"))
        left = payment.received_minor - payment.refunded_minor
        if payment.status != "succeeded" or payment.instrument == "oxxo" or not left:
            code = "charge_already_refunded" if payment.refunded_minor else None
            raise StripeError(400, "invalid_request_error", "This payment has nothing to refund.", code)
        amount = _amount("amount", 1, left) if "amount" in request.form else left
        payment.previous_refunded_minor, payment.refund_minor = payment.refunded_minor, amount
        payment.refunded_minor += amount
        payment.updated, payment.detail = int(time.time()), ""
        payment.ids["refund"] = state.names.text("re_3", 20)
        return refund(payment)
