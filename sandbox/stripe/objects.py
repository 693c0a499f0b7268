"""Stripe's objects as JSON, for API answers and webhooks alike. Amounts are centavos, times unix seconds."""

from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.identity import Identity
from sandbox.payment import SimulatedPayment

MEXICO_CITY = ZoneInfo("America/Mexico_City")
METHOD_TYPES = {"oxxo": "oxxo", "spei": "customer_balance", "card": "card"}


def new_payment(
    names: Identity, instrument: str, created: int, amount_minor: int | None = None, reference: str | None = None
) -> SimulatedPayment:
    """A PaymentIntent that nobody has tried to pay yet."""
    tail = names.text("", 22)
    return SimulatedPayment(
        psp="stripe",
        id=f"pi_3{tail}",
        instrument=instrument,
        amount_minor=amount_minor or names.amount_minor(),
        created=created,
        reference=reference or f"ORD-{names.number()}",
        payer=names.person(),
        ids={
            "charge": f"ch_3{tail}",
            "customer": names.text("cus_", 14),
            "session": names.text("cs_test_", 30),
            "dispute": names.text("du_1", 20),
            "refund": names.text("re_3", 20),
            "transaction": names.text("ccsbtxn_1", 20),
            "clabe": names.clabe("124", "180"),
            "voucher": names.digits(14),
        },
        status="requires_payment_method",
        updated=created,
    )


def payment_intent(payment: SimulatedPayment) -> dict[str, Any]:
    paid = payment.status == "succeeded"
    return {
        "id": payment.id,
        "object": "payment_intent",
        "amount": payment.amount_minor,
        "amount_capturable": payment.amount_minor if payment.status == "requires_capture" else 0,
        "amount_received": payment.received_minor if paid else 0,
        "cancellation_reason": payment.detail or None if payment.status == "canceled" else None,
        "canceled_at": payment.updated if payment.status == "canceled" else None,
        "capture_method": "automatic",
        "created": payment.created,
        "currency": "mxn",
        "customer": payment.ids["customer"],
        "description": f"Pedido {payment.reference}: {payment.payer}",
        "last_payment_error": _last_error(payment),
        "latest_charge": payment.ids["charge"] if paid or payment.status == "requires_capture" else None,
        "livemode": False,
        "metadata": _metadata(payment),
        "next_action": _next_action(payment),
        "payment_method_types": [METHOD_TYPES[payment.instrument]],
        "status": payment.status,
    }


def _metadata(payment: SimulatedPayment) -> dict[str, str]:
    """As it was sent; the flows' own payments name their order alone."""
    return payment.raw.get("metadata") or {"order_id": payment.reference}


def expand_charge(payment: SimulatedPayment, expanded: bool) -> dict[str, Any]:
    """The PaymentIntent, with its latest charge in full where that was asked for."""
    shown = payment_intent(payment)
    if expanded and shown["latest_charge"]:
        shown["latest_charge"] = charge(payment)
    return shown


def _last_error(payment: SimulatedPayment) -> dict[str, Any] | None:
    if payment.status != "requires_payment_method" or not payment.detail:
        return None
    return {
        "type": "card_error",
        "code": payment.detail,
        "message": "The payment attempt did not succeed.",
        "payment_method": {"object": "payment_method", "type": METHOD_TYPES[payment.instrument]},
    }


def _next_action(payment: SimulatedPayment) -> dict[str, Any] | None:
    if payment.status != "requires_action":
        return None
    if payment.instrument == "oxxo":
        details = {
            "expires_after": _voucher_end(payment),
            "hosted_voucher_url": f"https://payments.stripe.com/oxxo/voucher/test_{payment.ids['voucher']}",
            "number": payment.ids["voucher"],
        }
        return {"type": "oxxo_display_details", "oxxo_display_details": details}
    if payment.instrument == "spei":
        return {
            "type": "display_bank_transfer_instructions",
            "display_bank_transfer_instructions": _transfer_instructions(payment),
        }
    if payment.raw.get("return_url"):
        url = f"https://hooks.stripe.com/redirect/authenticate/{payment.id}"
        return {"type": "redirect_to_url", "redirect_to_url": {"return_url": payment.raw["return_url"], "url": url}}
    return {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}


def _voucher_end(payment: SimulatedPayment) -> int:
    """23:59:59 in Mexico City, some calendar days after the day on which the voucher was made."""
    made = datetime.fromtimestamp(payment.created, MEXICO_CITY)
    last_day = made.date() + timedelta(days=payment.raw.get("voucher_days", 3))
    return int(datetime.combine(last_day, time(23, 59, 59), MEXICO_CITY).timestamp())


def _transfer_instructions(payment: SimulatedPayment) -> dict[str, Any]:
    spei = {
        "account_holder_name": "Tienda MX",
        "bank_code": "124",
        "bank_name": "Citi",
        "clabe": payment.ids["clabe"],
    }
    return {
        "amount_remaining": payment.amount_minor - payment.received_minor,
        "currency": "mxn",
        "financial_addresses": [{"type": "spei", "supported_networks": ["spei"], "spei": spei}],
        "hosted_instructions_url": "https://payments.stripe.com/bank_transfers/instructions/test_sandbox",
        "reference": None,
        "type": "mx_bank_transfer",
    }


def charge(payment: SimulatedPayment) -> dict[str, Any]:
    failed = payment.status == "requires_payment_method"
    captured = payment.status == "succeeded"
    return {
        "id": payment.ids["charge"].replace("ch_3", "ch_3F", 1) if failed else payment.ids["charge"],
        "object": "charge",
        "amount": payment.amount_minor,
        "amount_captured": payment.amount_minor if captured else 0,
        "amount_refunded": payment.refunded_minor,
        "captured": captured,
        "created": payment.updated if failed else payment.created + 1,
        "currency": "mxn",
        "disputed": payment.detail in DISPUTE_STATUSES,
        "failure_code": payment.detail or None if failed else None,
        "livemode": False,
        "metadata": _metadata(payment),
        "paid": not failed,
        "payment_intent": payment.id,
        "payment_method_details": {"type": METHOD_TYPES[payment.instrument]},
        "refunded": payment.refunded_minor == payment.amount_minor,
        "status": "failed" if failed else "succeeded",
    }


DISPUTE_STATUSES = ("needs_response", "under_review", "won", "lost", "warning_needs_response", "warning_closed")


def refund(payment: SimulatedPayment) -> dict[str, Any]:
    status = payment.detail or "succeeded"
    made: dict[str, Any] = {
        "id": payment.ids["refund"],
        "object": "refund",
        "amount": payment.refund_minor,
        "charge": payment.ids["charge"],
        "created": payment.updated,
        "currency": "mxn",
        "metadata": {},
        "payment_intent": payment.id,
        "status": status,
    }
    return made | ({"failure_reason": "expired_or_canceled_card"} if status == "failed" else {})


def customer(customer_id: str, created: int, fields: dict[str, Any], metadata: dict[str, str]) -> dict[str, Any]:
    """Somebody who pays by SPEI: the CLABE is theirs."""
    kept = {"id": customer_id, "object": "customer", "created": created, "livemode": False, "metadata": metadata}
    return kept | fields


def dispute(payment: SimulatedPayment) -> dict[str, Any]:
    return {
        "id": payment.ids["dispute"],
        "object": "dispute",
        "amount": payment.amount_minor,
        "charge": payment.ids["charge"],
        "created": payment.updated,
        "currency": "mxn",
        "evidence_details": {"due_by": payment.updated + 10 * 86_400, "has_evidence": False, "past_due": False},
        "metadata": {},
        "payment_intent": payment.id,
        "reason": "fraudulent",
        "status": payment.detail,
    }


def checkout_session(payment: SimulatedPayment) -> dict[str, Any]:
    return {
        "id": payment.ids["session"],
        "object": "checkout.session",
        "amount_total": payment.amount_minor,
        "client_reference_id": payment.reference,
        "created": payment.created,
        "currency": "mxn",
        "expires_at": payment.created + 86_400,
        "metadata": {"order_id": payment.reference},
        "mode": "payment",
        "payment_intent": payment.id,
        "payment_status": "paid" if payment.status == "succeeded" else "unpaid",
        "status": "complete",
    }


def cash_transaction(payment: SimulatedPayment) -> dict[str, Any]:
    return {
        "id": payment.ids["transaction"],
        "object": "customer_cash_balance_transaction",
        "created": payment.updated,
        "currency": "mxn",
        "customer": payment.ids["customer"],
        "ending_balance": payment.received_minor,
        "funded": {"bank_transfer": {"type": "mx_bank_transfer", "reference": payment.ids["voucher"][:7]}},
        "livemode": False,
        "net_amount": payment.received_minor,
        "type": "funded",
    }


OBJECTS: dict[str, Callable[[SimulatedPayment], dict[str, Any]]] = {
    "payment_intent": payment_intent,
    "charge.dispute": dispute,
    "charge.refund": refund,
    "charge": charge,
    "refund": refund,
    "checkout.session": checkout_session,
    "customer_cash_balance_transaction": cash_transaction,
}
