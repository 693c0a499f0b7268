"""Openpay's charges as JSON, for API answers and webhooks alike. Amounts are pesos, times those of Mexico City."""

import string
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from sandbox.identity import Identity
from sandbox.payment import SimulatedPayment

MEXICO_CITY = ZoneInfo("America/Mexico_City")
LOWER = string.ascii_lowercase + string.digits
METHODS = {"oxxo": "store", "spei": "bank_account", "card": "card"}
USUAL_DAYS = 3  # of a voucher or a transfer whose due_date nobody named
DECLINES = {"3001": "The card was declined", "3003": "The card doesn't have sufficient funds"}


def new_payment(
    names: Identity, instrument: str, created: int, amount_minor: int | None = None, reference: str | None = None
) -> SimulatedPayment:
    """A charge that nobody has paid yet."""
    return SimulatedPayment(
        psp="openpay",
        id=names.text("tr", 18, LOWER),
        instrument=instrument,
        amount_minor=amount_minor or names.amount_minor(),
        created=created,
        reference=reference or f"ORD-{names.number()}",
        payer=names.person(),
        ids={
            "authorization": names.digits(6),
            "voucher": f"1010{names.digits(12)}",
            "clabe": names.clabe("012", "914"),
            "agreement": names.digits(7),
            "bank_reference": names.digits(20),
        },
        status="in_progress",
        updated=created,
        raw={} if instrument == "card" else {"due": _end_of_day(created)},
    )


def _end_of_day(created: int) -> int:
    day = datetime.fromtimestamp(created, MEXICO_CITY).date() + timedelta(days=USUAL_DAYS)
    return int(datetime.combine(day, time(23, 59, 59), MEXICO_CITY).timestamp())


def central(at: int) -> str:
    """2026-11-21T21:59:58-06:00"""
    return datetime.fromtimestamp(at, MEXICO_CITY).isoformat()


def pesos(amount_minor: int) -> orjson.Fragment:
    """A JSON number as Openpay writes it: 2000, 1500.5, 0.01."""
    whole, cents = divmod(amount_minor, 100)
    return orjson.Fragment(f"{whole}.{cents:02d}".rstrip("0").rstrip(".").encode())


def charge(payment: SimulatedPayment) -> dict[str, Any]:
    failed = payment.status == "failed"
    is_just_paid = payment.status == "completed" and not payment.refunded_minor
    due = _find_due(payment)
    return {
        "id": payment.id,
        "authorization": payment.ids["authorization"] if payment.received_minor else None,
        "operation_type": "in",
        "transaction_type": "charge",
        "method": METHODS[payment.instrument],
        "status": payment.status,
        "conciliated": False,
        "creation_date": central(payment.created),
        "operation_date": central(payment.updated if is_just_paid else payment.created),
        "due_date": None if due is None else central(due),
        "description": payment.raw.get("description", f"Pedido {payment.reference}"),
        "error_message": DECLINES.get(payment.detail) if failed else None,
        "order_id": payment.reference,
        "customer_id": payment.ids.get("customer"),
        "amount": pesos(payment.amount_minor),
        "currency": payment.raw.get("currency", "MXN"),
        "payment_method": _payment_method(payment),
        **({"error_code": int(payment.detail)} if failed else {}),
        **({"card": _card(payment)} if payment.instrument == "card" else {}),
        **({"fee": {"amount": 9, "tax": 1.44, "currency": "MXN"}} if payment.received_minor else {}),
        **_refunds(payment),
    }


def _find_due(payment: SimulatedPayment) -> int | None:
    """The sandbox does not wait for days: the deadline of a voucher that ran out is moved to before it was made."""
    due: int | None = payment.raw.get("due")
    return payment.created - 60 if payment.detail == "expired" else due


def _payment_method(payment: SimulatedPayment) -> dict[str, Any] | None:
    if payment.instrument == "card":
        url = f"https://sandbox-api.openpay.mx/v1/charges/{payment.id}/redirect/"
        return {"type": "redirect", "url": url} if payment.raw.get("redirect_url") else None
    if payment.instrument == "spei":
        return {
            "type": "bank_transfer",
            "agreement": payment.ids["agreement"],
            "bank": "BBVA Bancomer",
            "clabe": payment.ids["clabe"],
            "name": payment.ids["bank_reference"],
        }
    voucher = payment.ids["voucher"]
    return {
        "type": "store",
        "reference": voucher,
        "barcode_url": f"https://sandbox-api.openpay.mx/barcode/{voucher}?width=1&height=45&text=false",
        "url_store": f"https://sandbox-dashboard.openpay.mx/paynet-pdf/{payment.id}",
    }


def _card(payment: SimulatedPayment) -> dict[str, str]:
    return {
        "type": "debit",
        "brand": "visa",
        "card_number": "411111XXXXXX1111",
        "holder_name": payment.payer,
        "bank_code": "002",
    }


def add_refund(payment: SimulatedPayment, names: Identity, amount_minor: int, description: str, at: int) -> str:
    """Note one refund under its own id, which is returned. The sums of the payment are the caller's business."""
    refund_id = names.text("tr", 18, LOWER)
    refund = {"id": refund_id, "minor": amount_minor, "description": description, "at": at}
    payment.raw.setdefault("refunds", []).append(refund)
    return refund_id


def _refunds(payment: SimulatedPayment) -> dict[str, Any]:
    """`refunds` has all of them in short, `refund` the last one; none of them changes the charge's status."""
    made = payment.raw.get("refunds")
    if not made:
        return {}
    short = [
        {
            "id": refund["id"],
            "amount": pesos(refund["minor"]),
            "status": "completed",
            "conciliated": False,
            "operation_date": central(refund["at"]),
            "description": refund["description"],
        }
        for refund in made
    ]
    whole = {
        **short[-1],
        "transaction_type": "refund",
        "operation_type": "out",
        "method": "card",
        "creation_date": short[-1]["operation_date"],
        "currency": payment.raw.get("currency", "MXN"),
        "error_message": None,
        "order_id": None,
    }
    return {"refund": whole, "refunds": short}
