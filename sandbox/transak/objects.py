"""Transak's order as JSON, for API answers and webhooks alike. Amounts are floats of major units, times UTC."""

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

from sandbox.identity import Identity
from sandbox.payment import SimulatedPayment

AWAITING = "AWAITING_PAYMENT_FROM_USER"
UNITS_PER_COIN = 1_000_000
CENTAVOS_PER_COIN = 1_843
FEE_PER_THOUSAND = 30
# What the payer is not told by the widget's address, he chooses there.
USUAL_CHOICE = {"fiatCurrency": "MXN", "cryptoCurrencyCode": "USDC", "network": "polygon"}


def new_payment(
    names: Identity, instrument: str, created: int, amount_minor: int | None = None, reference: str | None = None
) -> SimulatedPayment:
    """An order that nobody has paid yet."""
    return SimulatedPayment(
        psp="transak",
        id=_new_uuid(names),
        instrument=instrument,
        amount_minor=amount_minor or names.amount_minor(50_000),
        created=created,
        reference=reference or f"ord-{names.number()}",
        payer=names.person(),
        ids={"user": _new_uuid(names), "hash": "0x" + names.hex(64)},
        status=AWAITING,
        updated=created,
        raw={**USUAL_CHOICE, "walletAddress": "0x" + names.hex(40)},
    )


def _new_uuid(names: Identity) -> str:
    return str(uuid.UUID(hex=names.hex(32), version=4))


def utc(at: int) -> str:
    """2026-11-22T05:59:40.000Z"""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def write_float(amount: Decimal) -> orjson.Fragment:
    """A JSON number as scripts write it: 1500, 1500.5, 81.402913."""
    return orjson.Fragment(f"{amount.normalize():f}".encode())


def order(payment: SimulatedPayment) -> dict[str, Any]:
    is_done = payment.status == "COMPLETED"
    coins = Decimal(payment.amount_minor * UNITS_PER_COIN // CENTAVOS_PER_COIN) / UNITS_PER_COIN
    return {
        "id": payment.id,
        "walletAddress": payment.raw["walletAddress"],
        "createdAt": utc(payment.created),
        "status": payment.status,
        "fiatCurrency": payment.raw["fiatCurrency"],
        "userId": payment.ids["user"],
        "cryptoCurrency": payment.raw["cryptoCurrencyCode"],
        "isBuyOrSell": "BUY",
        "fiatAmount": write_float(Decimal(payment.amount_minor) / 100),
        "amountPaid": write_float(Decimal(payment.received_minor) / 100),
        "partnerOrderId": payment.reference,
        "partnerCustomerId": payment.ids["user"],
        "cryptoAmount": write_float(coins),
        "conversionPrice": write_float(Decimal(CENTAVOS_PER_COIN) / 100),
        "totalFeeInFiat": write_float(Decimal(payment.amount_minor * FEE_PER_THOUSAND // 1000) / 100),
        "network": payment.raw["network"],
        "transactionHash": payment.ids["hash"] if is_done else None,
        "completedAt": utc(payment.updated) if is_done else None,
    }
