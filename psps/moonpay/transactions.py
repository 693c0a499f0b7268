"""MoonPay's buy transaction, as webhooks and the API both show it: where it stands, its money and its crypto.

Source: dev.moonpay.com, buy transactions, their webhooks, and stage failure reasons.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from models.states import EventKind, Method
from psps.base import CryptoLeg, Ignored, PaymentEvent, Unparseable
from psps.currencies import find_exponent
from psps.payload import (
    currency_code,
    decimal_to_minor,
    find_object,
    hint_iso_time,
    hint_text,
    require_object,
    require_text,
    split_number,
)

Fields = Mapping[str, Any]

KINDS = {
    "waitingPayment": EventKind.PENDING,  # a transfer that has not come
    "waitingAuthorization": EventKind.PENDING,  # 3-D Secure, or a question of the payer's bank
    "pending": EventKind.PROCESSING,
    "completed": EventKind.COMPLETED,
    "failed": EventKind.FAILED,
}
# What `failed` means by the reason of the stage that failed; every other reason is a failure, new ones too.
FAILED_KINDS = {
    "cancelled": EventKind.CANCELED,
    # UNVERIFIED for buys; MoonPay describes it for sales. The money had come and went back, all of it: to call that a
    # mere failure would hide that money has moved, and would be refused where the payment had been completed.
    "refund": EventKind.REFUNDED,
}
RAN_OUT = "timeout_"  # timeout_bank_transfer, timeout_3d_secure, timeout_kyc_verification, timeout_card_verification
MOVES_MONEY = frozenset({EventKind.COMPLETED, EventKind.REFUNDED})
UNKNOWN_NETWORK = "unknown"
NETWORKS_OF_SUFFIXES = {"sol": "solana"}


def read_transaction(transaction: Fields, raw_type: str, occurred_at: datetime) -> PaymentEvent | Ignored:
    """One transaction as a payment event: a snapshot. Raises Unparseable."""
    kind, reason = read_kind(transaction)
    if kind is None:
        return Ignored(raw_type, "a status that is not known; read the transaction at MoonPay", known=False)
    amount, currency = _read_amount(transaction)
    if amount is None and kind in MOVES_MONEY:
        raise Unparseable("baseCurrencyAmount of a transaction whose money has moved is missing")
    return PaymentEvent(
        kind=kind,
        raw_type=raw_type,
        psp_payment_id=require_text(transaction, "id"),
        occurred_at=occurred_at,
        amount_minor=amount,
        received_minor=amount if kind in MOVES_MONEY else None,
        refunded_minor=amount if kind is EventKind.REFUNDED else None,
        currency=currency,
        method=Method.CRYPTO_ONRAMP,
        merchant_reference=hint_text(transaction.get("externalTransactionId")),
        # feeAmount, networkFeeAmount and extraFeeAmount are what the payer pays MoonPay: nothing is kept of our money.
        created_at=hint_iso_time(transaction.get("createdAt")),
        crypto=_read_crypto(transaction),
        reason=reason,
    )


def read_kind(transaction: Fields) -> tuple[EventKind | None, str | None]:
    """What the status means, with the reason of a failure; no kind for a status that no document names."""
    kind = KINDS.get(str(transaction.get("status")))
    if kind is not EventKind.FAILED:
        return kind, None
    # The stage has the code. The transaction's own failureReason may be the same code, or a sentence.
    reason = _find_stage_reason(transaction) or hint_text(transaction.get("failureReason"))
    if reason and reason.startswith(RAN_OUT):
        return EventKind.EXPIRED, reason
    return FAILED_KINDS.get(reason or "", kind), reason


def _find_stage_reason(transaction: Fields) -> str | None:
    """Only one of the stages fails, and even that one may come without a reason."""
    stages = transaction.get("stages")
    found = (
        (hint_text(stage.get("failureReason")) for stage in stages if type(stage) is dict)
        if type(stages) is list
        else ()
    )
    return next((reason for reason in found if reason), None)


def _read_amount(transaction: Fields) -> tuple[int | None, str | None]:
    """baseCurrencyAmount: what the payer pays, in major units. It is what the widget's address asks for.

    UNVERIFIED: by MoonPay's words `areFeesIncluded` says whether the fees are in it. They are not added here in either
    case, so that what comes back can be compared with what was asked for. Should MoonPay report it without the fees,
    no payment would complete by a wrong amount: each would be shown as a mismatch, and this is the place to change.
    """
    if transaction.get("baseCurrencyAmount") is None:
        return None, None
    currency = currency_code(require_object(transaction, "baseCurrency").get("code"), "baseCurrency.code")
    exponent = find_exponent(currency)
    return decimal_to_minor(transaction["baseCurrencyAmount"], exponent, "baseCurrencyAmount"), currency


def _read_crypto(transaction: Fields) -> CryptoLeg | None:
    """quoteCurrencyAmount is null until the crypto has been bought."""
    if transaction.get("quoteCurrencyAmount") is None:
        return None
    currency = require_object(transaction, "currency")
    asset, _, suffix = require_text(currency, "code").lower().partition("_")
    base_units, scale = split_number(transaction["quoteCurrencyAmount"], "quoteCurrencyAmount")
    return CryptoLeg(
        asset=asset,
        network=_find_network(currency) or NETWORKS_OF_SUFFIXES.get(suffix, suffix) or UNKNOWN_NETWORK,
        base_units=base_units,
        scale=scale,
        tx_hash=hint_text(transaction.get("cryptoTransactionId")),
    )


def _find_network(currency: Fields) -> str | None:
    """UNVERIFIED: the currency's metadata may name it; else it is behind the code's underscore (usdc_polygon)."""
    code = hint_text(find_object(currency, "metadata").get("networkCode")) or hint_text(currency.get("networkCode"))
    return code.lower() if code else None
