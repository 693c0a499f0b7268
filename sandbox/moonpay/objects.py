"""MoonPay's buy transaction as JSON, for API answers and webhooks alike. Amounts are floats, times UTC."""

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

from sandbox.identity import Identity
from sandbox.payment import SimulatedPayment

STAGES = ("stage_one_ordering", "stage_two_verification", "stage_three_processing", "stage_four_delivery")
# How many stages are through by the status; of a failed transaction, by where it usually fails.
STAGES_DONE = {"waitingPayment": 1, "waitingAuthorization": 1, "pending": 2, "completed": 4, "failed": 1}
SENTENCES = {
    "payment_authorization_declined": "Card declined",
    "timeout_bank_transfer": "Bank transfer timeout",
    "cancelled": "Cancelled",
    "refund": "Refunded",
}
# By currency code: centavos for one unit, decimals, network.
CRYPTO = {
    "eth": (6_500_000, 5, "ethereum"),
    "btc": (180_000_000, 6, "bitcoin"),
    "usdc_polygon": (1_850, 2, "polygon"),
    "usdc_base": (1_850, 2, "base"),
}
TINY = "tiny"  # the detail of a step after which so little crypto is bought that its number needs an exponent
BOUGHT = ("completed",)


def new_payment(
    names: Identity, instrument: str, created: int, amount_minor: int | None = None, reference: str | None = None
) -> SimulatedPayment:
    """A transaction that the payer has just begun."""
    return SimulatedPayment(
        psp="moonpay",
        id=_new_uuid(names),
        instrument=instrument,
        amount_minor=amount_minor or names.amount_minor(40_000),
        created=created,
        reference=reference or f"ORD-{names.number()}",
        payer=names.person(),
        ids={
            "customer": _new_uuid(names),
            "check": _new_uuid(names),
            "hash": "0x" + names.hex(64),
            "wallet": "0x" + names.hex(40),
            "currency": names.shape.choice(tuple(CRYPTO)),
        },
        status="waitingPayment",
        updated=created,
        raw={"fiat": "mxn"},
    )


def _new_uuid(names: Identity) -> str:
    return str(uuid.UUID(hex=names.hex(32), version=4))


def utc(at: int) -> str:
    """2026-11-22T05:59:31.000Z"""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def write_float(amount: Decimal) -> orjson.Fragment:
    """A JSON number as scripts write it: 1500, 1500.5, 0.01819, 1.819e-7."""
    if amount and amount.adjusted() < -6:
        digits, _, exponent = f"{amount.normalize():e}".partition("e")
        return orjson.Fragment(f"{digits}e{int(exponent)}".encode())
    return orjson.Fragment(f"{amount.normalize():f}".encode())


def transaction(payment: SimulatedPayment) -> dict[str, Any]:
    """The transaction as GET /v1/transactions/{id} and the webhooks' `data` have it."""
    is_bought = payment.status in BOUGHT
    return {
        "id": payment.id,
        "createdAt": utc(payment.created),
        "updatedAt": utc(payment.updated),
        "baseCurrencyAmount": write_float(Decimal(payment.amount_minor) / 100),
        "quoteCurrencyAmount": write_float(_count_crypto(payment)) if is_bought else None,
        "feeAmount": write_float(Decimal(payment.amount_minor * 4 // 100) / 100),
        "extraFeeAmount": 0,
        "networkFeeAmount": 10.2,
        "areFeesIncluded": True,
        "paymentMethod": "credit_debit_card",
        "status": payment.status,
        "walletAddress": payment.ids["wallet"],
        "walletAddressTag": None,
        "cryptoTransactionId": payment.ids["hash"] if is_bought else None,
        "failureReason": SENTENCES.get(payment.detail, "Error") if payment.status == "failed" else None,
        "externalTransactionId": payment.reference,
        "externalCustomerId": None,
        "customerId": payment.ids["customer"],
        "country": "MEX",
        "state": None,
        "stages": _stages(payment),
        "baseCurrency": {"code": payment.raw["fiat"], "type": "fiat", "precision": 2},
        "currency": _currency(payment.ids["currency"]),
    }


def _count_crypto(payment: SimulatedPayment) -> Decimal:
    price, decimals, _ = CRYPTO[payment.ids["currency"]]
    amount = (Decimal(payment.amount_minor) / price).quantize(Decimal(1).scaleb(-decimals))
    return amount.scaleb(-8) if payment.detail == TINY else amount


def _currency(code: str) -> dict[str, Any]:
    _, decimals, network = CRYPTO[code]
    metadata = {"contractAddress": None, "chainId": None, "networkCode": network}
    return {"code": code, "type": "crypto", "precision": decimals, "metadata": metadata}


def _stages(payment: SimulatedPayment) -> list[dict[str, Any]]:
    done = STAGES_DONE[payment.status]
    stages: list[dict[str, Any]] = []
    for place, name in enumerate(STAGES):
        status = "success" if place < done else "not_started"
        reason = None
        if place == done:
            failed = payment.status == "failed"
            status, reason = ("failed", payment.detail or None) if failed else ("in_progress", None)
        stages.append({"stage": name, "status": status, "failureReason": reason, "actions": []})
    return stages
