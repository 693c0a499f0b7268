"""Stripe's API as far as Acuse uses it: PaymentIntents, customers, refunds, disputes. Form-encoded in, JSON out."""

import time
from typing import Any

from flask import Blueprint, Response, request

from sandbox.answers import answer, has_api_key
from sandbox.payment import SimulatedPayment, Step, apply_step
from sandbox.state import SandboxState
from sandbox.stripe.changes import cancel_payment, get_payment, make_refund
from sandbox.stripe.errors import StripeError
from sandbox.stripe.forms import read_amount, read_idempotency_key, read_metadata
from sandbox.stripe.idempotency import answer_once
from sandbox.stripe.lists import list_disputes, list_payments, list_refunds
from sandbox.stripe.objects import METHOD_TYPES, customer, expand_charge, new_payment, payment_intent

INSTRUMENTS = {method_type: instrument for instrument, method_type in METHOD_TYPES.items()}
VOUCHER_LIMITS = (1_000, 1_000_000)  # centavos


def make_api(state: SandboxState) -> Blueprint:
    api = Blueprint("stripe", __name__, url_prefix="/stripe/v1")
    api.register_error_handler(StripeError, lambda error: error.reply())

    @api.before_request
    def check_key() -> None:
        if not has_api_key(request, state.keys["stripe"]["api_key"]):
            raise StripeError(401, "invalid_request_error", "Invalid API Key provided.")

    _add_payments(api, state)
    _add_what_belongs_to_payments(api, state)
    return api


def _add_payments(api: Blueprint, state: SandboxState) -> None:
    @api.post("/payment_intents")
    def create() -> Response:
        return answer_once(state, lambda: answer(_shown(_create(state))))

    @api.get("/payment_intents/<payment_id>")
    def fetch(payment_id: str) -> Response:
        with state.lock:
            return answer(_shown(get_payment(state, payment_id)))

    @api.get("/payment_intents")
    def list_created() -> Response:
        with state.lock:
            return answer(list_payments(state))

    @api.post("/payment_intents/<payment_id>/cancel")
    def cancel(payment_id: str) -> Response:
        return answer_once(state, lambda: answer(_shown(cancel_payment(state, payment_id))))


def _add_what_belongs_to_payments(api: Blueprint, state: SandboxState) -> None:
    @api.post("/customers")
    def create_customer() -> Response:
        return answer_once(state, lambda: answer(_make_customer(state)))

    @api.post("/refunds")
    def create_refund() -> Response:
        return answer_once(state, lambda: answer(make_refund(state)))

    @api.get("/refunds")
    def show_refunds() -> Response:
        with state.lock:
            return answer(list_refunds(state))

    @api.get("/disputes")
    def show_disputes() -> Response:
        with state.lock:
            return answer(list_disputes(state))


def _create(state: SandboxState) -> SimulatedPayment:
    instrument = _read_instrument()
    amount = read_amount("amount", *(VOUCHER_LIMITS if instrument == "oxxo" else (1_000, 99_999_999)))
    if request.form.get("currency") != "mxn":
        raise StripeError(400, "invalid_request_error", "The sandbox takes mxn alone.", param="currency")
    confirmed = request.form.get("confirm") == "true"
    if instrument == "spei" and "customer" not in request.form:
        message = "A customer is required for customer_balance."
        raise StripeError(400, "invalid_request_error", message, "parameter_missing", "customer")
    if instrument == "card" and confirmed and "payment_method" not in request.form:
        message = "A card is confirmed with its payment method."
        raise StripeError(400, "invalid_request_error", message, "parameter_missing", "payment_method")
    with state.lock:
        metadata = read_metadata()
        payment = new_payment(state.names, instrument, int(time.time()), amount, metadata.get("order_id", ""))
        payment.ids["customer"] = request.form.get("customer", payment.ids["customer"])
        payment.raw |= {"metadata": metadata, "return_url": request.form.get("return_url")}
        payment.raw["voucher_days"] = _read_voucher_days()
        state.add(payment)
        state.record_effect(payment, "create", read_idempotency_key())
        if confirmed:
            _confirm(payment)
    return payment


def _confirm(payment: SimulatedPayment) -> None:
    token = request.form.get("payment_method", "")
    if payment.instrument != "card" or "authenticationRequired" in token:
        payment.status = "requires_action"
    elif "Declined" in token:
        apply_step(payment, Step("", "requires_payment_method", detail="card_declined"), payment.created)
        message = "Your card was declined."
        shown = payment_intent(payment)
        raise StripeError(402, "card_error", message, "card_declined", None, "generic_decline", shown)
    else:
        apply_step(payment, Step("", "succeeded", received=100), payment.created)


def _read_instrument() -> str:
    asked = request.form.getlist("payment_method_types[]") or [request.form.get("payment_method_types[0]", "card")]
    if asked[0] not in INSTRUMENTS:
        message = f"The sandbox knows the payment method types {', '.join(INSTRUMENTS)}."
        raise StripeError(400, "invalid_request_error", message, param="payment_method_types")
    return INSTRUMENTS[asked[0]]


def _read_voucher_days() -> int:
    name = "payment_method_options[oxxo][expires_after_days]"
    days = request.form.get(name, 3, type=int)
    if not 1 <= days <= 7:
        raise StripeError(400, "invalid_request_error", "A voucher lives for 1 to 7 days.", param=name)
    return days


def _make_customer(state: SandboxState) -> dict[str, Any]:
    with state.lock:
        fields = {name: request.form.get(name) for name in ("name", "email", "phone")}
        return customer(state.names.text("cus_", 14), int(time.time()), fields, read_metadata())


def _shown(payment: SimulatedPayment) -> dict[str, Any]:
    return expand_charge(payment, "latest_charge" in request.values.getlist("expand[]"))
