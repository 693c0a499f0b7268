"""What happens to a PaymentIntent after it is made: it is canceled, or given back."""

import time
from typing import Any

from flask import request

from sandbox.payment import SimulatedPayment, Step, apply_step
from sandbox.state import SandboxState
from sandbox.stripe.errors import StripeError
from sandbox.stripe.forms import read_amount, read_idempotency_key, read_metadata
from sandbox.stripe.objects import payment_intent, refund

CANCELABLE = ("requires_payment_method", "requires_action", "requires_capture")
CANCEL_REASONS = ("duplicate", "fraudulent", "requested_by_customer", "abandoned")
REFUND_REASONS = ("duplicate", "fraudulent", "requested_by_customer")


def get_payment(state: SandboxState, payment_id: str | None) -> SimulatedPayment:
    payment = state.find("stripe", payment_id or "")
    if payment is None:
        message = f"No such payment_intent: '{payment_id}'"
        raise StripeError(404, "invalid_request_error", message, "resource_missing", "intent")
    return payment


def cancel_payment(state: SandboxState, payment_id: str) -> SimulatedPayment:
    reason = request.form.get("cancellation_reason", "")
    if reason and reason not in CANCEL_REASONS:
        raise StripeError(400, "invalid_request_error", "Invalid cancellation_reason.", param="cancellation_reason")
    with state.lock:
        payment = get_payment(state, payment_id)
        if payment.status not in CANCELABLE:
            message = f"You cannot cancel this PaymentIntent because it has a status of {payment.status}."
            code, shown = "payment_intent_unexpected_state", payment_intent(payment)
            raise StripeError(400, "invalid_request_error", message, code, payment_intent=shown)
        apply_step(payment, Step("", "canceled", detail=reason), int(time.time()))
        state.record_effect(payment, "cancel", read_idempotency_key())
    return payment


def make_refund(state: SandboxState) -> dict[str, Any]:
    if request.form.get("reason", "duplicate") not in REFUND_REASONS:
        raise StripeError(400, "invalid_request_error", "Invalid reason.", param="reason")
    with state.lock:
        payment = get_payment(state, request.form.get("payment_intent"))
        left = payment.received_minor - payment.refunded_minor
        if payment.status != "succeeded" or payment.instrument == "oxxo" or not left:
            code = "charge_already_refunded" if payment.refunded_minor else None
            raise StripeError(400, "invalid_request_error", "This payment has nothing to refund.", code)
        amount = read_amount("amount", 1, left) if "amount" in request.form else left
        payment.previous_refunded_minor, payment.refund_minor = payment.refunded_minor, amount
        payment.refunded_minor += amount
        payment.updated, payment.detail = int(time.time()), ""
        payment.ids["refund"] = state.names.text("re_3", 20)
        made = refund(payment) | {"metadata": read_metadata()}
        payment.raw.setdefault("refunds", []).append(made)
        state.record_effect(payment, "refund", read_idempotency_key(), made["id"], amount)
        return made
