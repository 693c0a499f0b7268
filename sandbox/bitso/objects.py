"""Bitso's one-time payments, fundings, withdrawals and payment intents as JSON, for API answers and webhooks alike."""

import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from sandbox.identity import Identity
from sandbox.payment import SimulatedPayment

MEXICO_CITY = ZoneInfo("America/Mexico_City")
BANKS = {"40002": "002", "40012": "012", "40014": "014", "40072": "072"}  # Banxico code -> ABM code
DAYS_TO_PAY = 3
# What the amount of a crypto deposit, a plain number of smallest units, is written with: decimals and network.
CRYPTO = {"mxnb": (6, "arbitrum"), "usdc": (6, "solana"), "btc": (8, "btc")}
FIRST_STATUS = {"spei": "PENDING", "wallet": "CREATED"}
ONE_TIME_PAID = "COMPLETED"
# How the payments of an instrument are told apart from all others: by an id with a word before it, or a funding's own.
ID_WORDS = {"spei": "payment:", "payout": "withdrawal:", "wallet": "intent:"}


def new_payment(
    names: Identity, instrument: str, created: int, amount_minor: int | None = None, reference: str | None = None
) -> SimulatedPayment:
    """A one-time payment (`spei`), a deposit to the main CLABE (`deposit`) or to one of a client (`clabe`), a `crypto`
    deposit, a `payout`, or a payment from a Bitso wallet (`wallet`)."""
    bank = names.shape.choice(sorted(BANKS))
    own_reference = reference or f"ORD-{names.number()}"
    own_id = names.hex(32)
    word = ID_WORDS.get(instrument, "")
    return SimulatedPayment(
        psp="bitso",
        id=word + _choose_id(instrument, own_reference, own_id),
        instrument=instrument,
        amount_minor=amount_minor or names.amount_minor(),
        created=created,
        reference=own_reference,
        payer=names.person(),
        ids={
            "fid": names.hex(32) if word else own_id,
            "return_fid": names.hex(32),
            "wid": own_id,
            "bank": bank,
            "payer_clabe": names.clabe(BANKS[bank]),
            "clabe": names.clabe("710", "969"),
            "tracking_key": f"MBAN0100{datetime.fromtimestamp(created, UTC):%y%m%d}{names.digits(10)}",
            "numeric_reference": names.digits(7),
            "asset": names.shape.choice(sorted(CRYPTO)),
            "hash": "0x" + names.hex(64),
        },
        status=FIRST_STATUS.get(instrument, "pending"),
        updated=created,
    )


def _choose_id(instrument: str, reference: str, own_id: str) -> str:
    if instrument == "spei":
        return reference
    return str(uuid.UUID(hex=own_id)) if instrument == "wallet" else own_id


def own_id(payment: SimulatedPayment) -> str:
    """The id without the word before it."""
    return payment.id.rpartition(":")[2]


def pesos(amount_minor: int) -> str:
    return f"{amount_minor // 100}.{amount_minor % 100:02d}"


def with_offset(at: int) -> str:
    """2026-11-22T05:59:58+00:00"""
    return datetime.fromtimestamp(at, UTC).isoformat()


def without_zone(at: int) -> str:
    """2026-11-22T05:59:58, as the Multi-CLABE API writes it."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}"


def _last_day(payment: SimulatedPayment) -> date:
    return datetime.fromtimestamp(payment.created, MEXICO_CITY).date() + timedelta(days=DAYS_TO_PAY)


def one_time(payment: SimulatedPayment) -> dict[str, Any]:
    """A one-time payment. It names its funding once it is paid."""
    paid = payment.status == ONE_TIME_PAID
    return {
        "payment_id": payment.reference,
        "amount": pesos(payment.amount_minor),
        "expiration_date": _last_day(payment).isoformat(),
        "clabe": payment.ids["clabe"],
        "beneficiary": "COMERCIO SA",
        "status": payment.status,
        **({"details": _payer(payment)} if paid else {}),
        "created_at": without_zone(payment.created),
        "updated_at": without_zone(payment.updated),
    }


def _payer(payment: SimulatedPayment) -> dict[str, str]:
    return {
        "fid": payment.ids["fid"],
        "tracking_key": payment.ids["tracking_key"],
        "expected_payer_name": payment.payer,
        "actual_payer_name": payment.payer.upper(),
        "payer_clabe": payment.ids["payer_clabe"],
        "payer_bank": payment.ids["bank"],
        "payer_id": "ND",
    }


def _spei(status: str, amount: str, created: int) -> dict[str, str]:
    return {
        "status": status,
        "created_at": with_offset(created),
        "currency": "mxn",
        "method": "praxis",
        "method_name": "SPEI Transfer",
        "amount": amount,
        "asset": "mxn",
        "network": "spei",
        "protocol": "clabe",
        "integration": "praxis",
    }


def funding(payment: SimulatedPayment, status: str) -> dict[str, Any]:
    """The deposit of a payment. One to the main CLABE names no CLABE, and others need not."""
    if payment.instrument == "crypto":
        return _crypto_funding(payment, status)
    names_clabe = payment.instrument != "deposit" and not payment.raw.get("hides_clabe")
    details = {
        "sender_name": payment.payer.upper(),
        "sender_clabe": f"*****{payment.ids['payer_clabe'][5:12]}******",
        **({"receive_clabe": payment.ids["clabe"]} if names_clabe else {}),
        "sender_bank": payment.ids["bank"],
        "clave": "885364",
        "clave_rastreo": payment.ids["tracking_key"],
        "numeric_reference": payment.ids["numeric_reference"],
        "concepto": f"PEDIDO {payment.reference}",
        "cep_link": "",
        "deposit_type": "third_party",
    }
    created = payment.raw.get("funded_at", payment.created)
    return {
        "fid": payment.ids["fid"],
        **_spei(status, pesos(payment.amount_minor), created),
        "details": details,
    }


def _crypto_funding(payment: SimulatedPayment, status: str) -> dict[str, Any]:
    asset = payment.ids["asset"]
    decimals, network = CRYPTO[asset]
    digits = str(payment.amount_minor).rjust(decimals + 1, "0")
    return {
        "fid": payment.ids["fid"],
        "status": status,
        "created_at": with_offset(payment.created),
        "currency": asset,
        "method": f"{asset}_trf",
        "method_name": asset.upper(),
        "amount": f"{digits[:-decimals]}.{digits[-decimals:]}",
        "asset": asset,
        "network": network,
        "protocol": network,
        "integration": "bitgo-v2",
        "details": {"tx_hash": payment.ids["hash"]},
    }


def return_funding(payment: SimulatedPayment) -> dict[str, Any]:
    """The compensatory deposit that brings the money of a payout back. The payout itself keeps its status."""
    return {
        "fid": payment.ids["return_fid"],
        **_spei("complete", pesos(payment.amount_minor), payment.raw["returned_at"]),
        "details": {
            "sender_name": "",
            "sender_clabe": "",
            "receive_clabe": "",
            "sender_bank": payment.ids["bank"],
            "clave": "9312595",
            "clave_rastreo": payment.ids["tracking_key"],
            "concepto": "Cuenta cancelada (Cancelled Account)",
            "deposit_type": "FAIL_WITHDRAWAL_COMPENSATION",
            **payment.raw.get("return_details", {}),
        },
    }


def withdrawal(payment: SimulatedPayment) -> dict[str, Any]:
    failed = payment.status == "failed"
    details = {
        "origin_id": payment.reference,
        "fecha_operacion": "0",
        "beneficiary_bank_code": payment.ids["bank"],
        "clave_de_rastreo": payment.ids["tracking_key"],
        "concepto": payment.raw.get("notes", "Retiro de saldo"),
        "beneficiary_name": payment.payer,
        "beneficiary_clabe": payment.ids["payer_clabe"],
        "numeric_ref": payment.ids["numeric_reference"],
        "cep_link": "",
        **({"fail_reason": payment.detail or "Cuenta inexistente"} if failed else {}),
    }
    return {
        "wid": own_id(payment),
        **_spei(payment.status, pesos(payment.amount_minor), payment.created),
        **payment.raw.get("taxonomy", {}),
        "details": details,
    }


def intent(payment: SimulatedPayment) -> dict[str, Any]:
    """A payment intent; its amount is a number and its times have fractions."""
    whole, cents = divmod(payment.amount_minor, 100)
    return {
        "id": own_id(payment),
        "external_ref": payment.reference,
        "amount": orjson.Fragment(f"{whole}.{cents:02d}".rstrip("0").rstrip(".")),
        "asset": "MXN",
        "created_at": f"{without_zone(payment.created)}.821281Z",
        "expires_at": f"{without_zone(payment.created + 3600)}.821281Z",
        "status": payment.status,
        "type": "PAY_WITH_BITSO",
        "pay_with_bitso": {"universal_link": f"https://bitso.com/pay-with-bitso/{own_id(payment)}"},
        "updated_at": f"{without_zone(payment.updated)}.011332Z",
    }


def list_fundings(payment: SimulatedPayment) -> list[dict[str, Any]]:
    """All deposits that there are because of a payment, as they stand."""
    if payment.instrument == "payout":
        return [return_funding(payment)] if "returned_at" in payment.raw else []
    if payment.instrument == "spei":
        is_paid = payment.status == ONE_TIME_PAID
        status = "complete" if is_paid else payment.raw.get("funding_status")
        return [funding(payment, status)] if status else []
    return [funding(payment, payment.status)] if payment.instrument != "wallet" else []
