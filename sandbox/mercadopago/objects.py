"""Mercado Pago's objects as JSON, for API answers. Amounts are decimals of pesos, times are written with -04:00."""

from datetime import datetime, timedelta, timezone
from typing import Any

import orjson

from sandbox.identity import Identity
from sandbox.payment import SimulatedPayment

COLLECTOR_ID = 44444
OWN_ZONE = timezone(timedelta(hours=-4))
METHODS = {"oxxo": ("oxxo", "ticket"), "spei": ("clabe", "bank_transfer"), "card": ("visa", "credit_card")}
FIRST_DETAILS = {"oxxo": "pending_waiting_payment", "spei": "pending_waiting_transfer", "card": "pending_challenge"}
USUAL_LIFE_SECONDS = 3 * 86_400


def new_payment(
    names: Identity, instrument: str, created: int, amount_minor: int | None = None, reference: str | None = None
) -> SimulatedPayment:
    """A payment that waits for its payer."""
    return SimulatedPayment(
        psp="mercadopago",
        id=str(names.number()),
        instrument=instrument,
        amount_minor=amount_minor or names.amount_minor(),
        created=created,
        reference=reference or f"ORD-{names.number()}",
        payer=names.person(),
        ids={
            "chargeback": "2" + names.digits(17),
            "refund": str(names.number()),
            "voucher": "9" + names.digits(13),
            "hash": names.hex(32),
        },
        status="pending",
        detail=FIRST_DETAILS[instrument],
        updated=created,
    )


def write_time(at: int) -> str:
    """2026-11-21T23:59:57.000-04:00"""
    return datetime.fromtimestamp(at, OWN_ZONE).isoformat(timespec="milliseconds")


def write_pesos(minor: int) -> orjson.Fragment:
    """A JSON number without needless zeros: 150050 -> 1500.5"""
    pesos, centavos = divmod(minor, 100)
    return orjson.Fragment(f"{pesos}.{centavos:02}".rstrip("0").rstrip("."))


def payment(made: SimulatedPayment) -> dict[str, Any]:
    method, method_type = METHODS[made.instrument]
    is_card = made.instrument == "card"
    return {
        "id": int(made.id),
        "date_created": write_time(made.created),
        "date_approved": write_time(made.updated) if made.status == "approved" else None,
        "date_last_updated": write_time(made.updated),
        "date_of_expiration": None if is_card else write_time(expires_at(made)),
        "money_release_date": None,
        "operation_type": "regular_payment",
        "payment_method_id": made.raw.get("payment_method_id", method),
        "payment_type_id": method_type,
        "status": made.status,
        "status_detail": made.detail,
        "currency_id": "MXN",
        "description": made.raw.get("description", f"Pedido {made.reference}"),
        "live_mode": False,
        "collector_id": COLLECTOR_ID,
        "external_reference": made.reference,
        "transaction_amount": write_pesos(made.amount_minor),
        "transaction_amount_refunded": write_pesos(made.refunded_minor),
        "coupon_amount": 0,
        "captured": made.status != "authorized",
        "metadata": made.raw.get("metadata", {}),
        "payer": {"id": "123", "email": made.raw.get("email", "compras@example.com")},
        "transaction_details": {
            "net_received_amount": write_pesos(made.received_minor),
            "total_paid_amount": write_pesos(made.received_minor),
            "overpaid_amount": 0,
            "external_resource_url": None if is_card else _page(made),
            "payment_method_reference_id": None if is_card else made.ids["voucher"],
        },
        "fee_details": [],
        "refunds": [refund(made, *given) for given in list_refunds(made)],
    }


def expires_at(made: SimulatedPayment) -> int:
    return int(made.raw.get("expires_at", made.created + USUAL_LIFE_SECONDS))


def _page(made: SimulatedPayment) -> str:
    return f"https://www.mercadopago.com.mx/payments/{made.id}/ticket?caller_id=1&hash={made.ids['hash']}"


def list_refunds(made: SimulatedPayment) -> list[tuple[str, int, int]]:
    """(id, centavos, unix seconds) of each refund; those of a life cycle that was played are one."""
    given = [tuple(one) for one in made.raw.get("refunds", [])]
    played = made.refunded_minor - sum(one[1] for one in given)
    return given + ([(made.ids["refund"], played, made.updated)] if played else [])


def refund(made: SimulatedPayment, refund_id: str, amount_minor: int, at: int) -> dict[str, Any]:
    return {
        "id": int(refund_id),
        "payment_id": int(made.id),
        "amount": write_pesos(amount_minor),
        "status": "approved",
        "date_created": write_time(at),
        "source": {"id": str(COLLECTOR_ID), "name": "Tienda", "type": "collector"},
        "metadata": {},
        "unique_sequence_number": None,
    }
