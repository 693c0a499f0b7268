"""Conekta's objects as JSON, for API answers and webhooks alike. Amounts are centavos, times unix seconds."""

from typing import Any

from sandbox.identity import Identity
from sandbox.payment import SimulatedPayment

CHARGE_STATUS = {"partially_refunded": "paid", "voided": "canceled"}  # elsewhere the charge says what its order says


def new_payment(
    names: Identity, instrument: str, created: int, amount_minor: int | None = None, reference: str | None = None
) -> SimulatedPayment:
    """An order with one charge that nobody has paid yet."""
    return SimulatedPayment(
        psp="conekta",
        id=names.text("ord_2z", 15),
        instrument=instrument,
        amount_minor=amount_minor or names.amount_minor(),
        created=created,
        reference=reference or f"ORD-{names.number()}",
        payer=names.person(),
        ids={
            "charge": names.hex(24),
            "chargeback": names.text("chbk_2z", 15),
            "refund": names.hex(24),
            "voucher": names.digits(20),
            "clabe": names.clabe(),
        },
        status="pending_payment",
        updated=created,
    )


def order(payment: SimulatedPayment) -> dict[str, Any]:
    return {
        "id": payment.id,
        "object": "order",
        "amount": payment.amount_minor,
        "amount_refunded": payment.refunded_minor,
        "charges": {"object": "list", "has_more": False, "total": 1, "data": [charge(payment)]},
        "created_at": payment.created,
        "currency": "MXN",
        "customer_info": {
            "object": "customer_info",
            "name": payment.payer,
            "email": "compras@example.com",
            "phone": "+5215555555555",
        }
        | payment.raw.get("customer_info", {}),
        "is_refundable": payment.status == "paid",
        "livemode": False,
        "metadata": payment.raw.get("metadata") or {"reference_id": payment.reference},
        "payment_status": payment.status,
        "updated_at": payment.updated,
    }


def charge(payment: SimulatedPayment) -> dict[str, Any]:
    declined = payment.status == "declined"
    return {
        "id": payment.ids["charge"],
        "object": "charge",
        "amount": payment.amount_minor,
        "created_at": payment.created,
        "currency": "MXN",
        "description": "Payment from order",
        "failure_code": payment.detail if declined else None,
        "failure_message": "fondos insuficientes" if declined else None,
        "livemode": False,
        "order_id": payment.id,
        "paid_at": payment.updated if payment.status == "paid" else None,
        "payment_method": _payment_method(payment),
        "reference_id": payment.reference,
        "refunds": _refunds(payment),
        "status": CHARGE_STATUS.get(payment.status, payment.status),
    }


def _payment_method(payment: SimulatedPayment) -> dict[str, Any]:
    if payment.instrument == "card":
        return {"object": "card_payment", "type": "credit", "brand": "visa", "last4": "4242"}
    if payment.instrument == "spei":
        return {
            "object": "bank_transfer_payment",
            "type": "spei",
            "bank": "STP",
            "clabe": payment.ids["clabe"],
            "expires_at": payment.raw.get("expires_at") or payment.created + 86_400,
            "receiving_account_number": payment.ids["clabe"],
            "receiving_account_bank": "STP",
            "reference_number": None,
            "tracking_code": None,
        }
    return {
        "object": "cash_payment",
        "type": "cash",
        "auth_code": None,
        "barcode_url": f"https://barcodes.conekta.com/{payment.ids['voucher']}.png",
        "expires_at": payment.raw.get("expires_at") or payment.created + 3 * 86_400,
        "product_type": "cash_in",
        "reference": payment.ids["voucher"],
        "service_name": "Cash",
        "store": None,
    }


def _refunds(payment: SimulatedPayment) -> dict[str, Any] | None:
    """Conekta writes the amounts of refunds as negative numbers."""
    if not payment.refunded_minor:
        return None
    # Where a life cycle was played, there is one refund of everything so far.
    made = payment.raw.get("refunds") or [refund(payment.ids["refund"], payment.refunded_minor, payment.updated)]
    return {"object": "list", "has_more": False, "total": len(made), "data": made}


def refund(refund_id: str, amount_minor: int, created: int) -> dict[str, Any]:
    return {
        "id": refund_id,
        "object": "refund",
        "amount": -amount_minor,
        "auth_code": "867372",
        "created_at": created,
        "status": "refunded",
    }


def chargeback(payment: SimulatedPayment) -> dict[str, Any]:
    return {
        "id": payment.ids["chargeback"],
        "object": "chargeback",
        "charge_id": payment.ids["charge"],
        "created_at": payment.updated,
        "evidence_due_by": payment.updated + 10 * 86_400,
        "files": [],
        "note": None,
        "reason": "unrecognized",
        "status": payment.detail,
    }


OBJECTS = {"order": order, "charge": charge, "charge.chargeback": chargeback}
