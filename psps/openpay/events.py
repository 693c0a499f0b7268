"""Openpay's webhooks: {type, event_date, transaction}. Nothing protects the body, so each is only a hint to fetch.

Source: Openpay's documentation of webhooks, openpay-woocommerce-stores.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from models.states import Decision
from psps.base import Hint, Ignored, PaymentEvent, Reply
from psps.identity import digest_key, is_storable_key, peek_object
from psps.openpay.charges import Fields, read_charge
from psps.payload import find_object, hint_text, read_json, require_object, require_text

RECEIVED = Reply(200, b'{"received":true}')
VERIFICATION = "verification"
# charge.created, .succeeded, .failed, .cancelled, .refunded, .rescored.to.decline; chargeback.created, .rejected,
# .accepted. Which way a chargeback went is UNVERIFIED from its type: the status of the fetched charge counts.
HINT_FAMILIES = frozenset({"charge", "chargeback"})
# Not in the list of 2021, but the official plugin subscribes to it; the charge then says `cancelled`.
EXPIRED = "transaction.expired"
IGNORED_FAMILIES = {
    "payout": "a withdrawal, not a payer's payment",
    "transfer": "a transfer between accounts of Openpay",
    "fee": "a fee of Openpay",
    # Money added to our own account; it belongs to no charge.
    "spei": "money added to the account by SPEI, not a charge",
    "subscription": "a subscription; its charges have events of their own",
    "order": "an order of Openpay's checkout; its charges have events of their own",
}


def event_key(headers: Mapping[str, str], body: bytes) -> str:
    """There is no event id: SHA-256 of type, transaction id, transaction status and event_date, else of the body."""
    said = _find_identity(body)
    return digest_key(body if said is None else said)


def content_digest(body: bytes) -> bytes:
    """SHA-256 of the same: the rest of the body is not protected and decides nothing, so its changes are no conflict."""
    said = _find_identity(body)
    return hashlib.sha256(body if said is None else said).digest()


def _find_identity(body: bytes) -> bytes | None:
    """What makes the hint. None where a part is missing: two refunds differ in nothing but their event_date."""
    top = peek_object(body) or {}
    transaction = find_object(top, "transaction")
    parts = (top.get("type"), transaction.get("id"), transaction.get("status"), top.get("event_date"))
    if not all(is_storable_key(part) for part in parts):
        return None
    return "|".join(map(str, parts)).encode()


def read(headers: Mapping[str, str], body: bytes) -> Hint | Ignored:
    """Which charge to fetch, or why none. Raises Unparseable, nothing else."""
    # The plugin has seen verifications without any body, and as {}.
    envelope: Fields = read_json(body) if body.strip() else {}
    if _is_verification(envelope):
        return Ignored(VERIFICATION, _tell_code(envelope))
    raw_type = require_text(envelope, "type")
    family = raw_type.partition(".")[0]
    if family in HINT_FAMILIES or raw_type == EXPIRED:
        return Hint(raw_type, _name_payment(require_object(envelope, "transaction")))
    if family in IGNORED_FAMILIES:
        return Ignored(raw_type, IGNORED_FAMILIES[family])
    transaction = find_object(envelope, "transaction")
    if transaction.get("transaction_type") == "charge":
        return Hint(raw_type, _name_payment(transaction))  # types may be added; what the charge says counts
    return Ignored(raw_type, "not a type that Acuse knows", known=False)


def _is_verification(envelope: Fields) -> bool:
    if envelope.get("type") == VERIFICATION:
        return True
    return envelope.get("transaction") is None and ("type" not in envelope or "verification_code" in envelope)


def _tell_code(envelope: Fields) -> str:
    """Openpay sends the code once, when a webhook is made, and calls no webhook that is not verified."""
    code = hint_text(envelope.get("verification_code"))
    if code is None:
        return "a verification of the webhook without a code"
    return f"verification code {code[:64]}; enter it in Openpay's dashboard"


def _name_payment(transaction: dict[str, Any]) -> str:
    """The charge's id; for a charge of a customer `customer:charge`, since Openpay gives it out by that path.

    Both are for the fetch alone: the payment is known by the charge's id, which the fetched charge tells.
    """
    charge_id, customer_id = require_text(transaction, "id"), hint_text(transaction.get("customer_id"))
    return f"{customer_id}:{charge_id}" if customer_id else charge_id


def read_snapshot(body: bytes, as_of: datetime) -> list[PaymentEvent] | Ignored:
    """What a charge says that Openpay gave us. Raises Unparseable, nothing else."""
    return read_charge(read_json(body), as_of)


def parse(headers: Mapping[str, str], body: bytes) -> list[PaymentEvent]:
    """No webhook of Openpay is believed, so there are never events in one."""
    read(headers, body)
    return []


def reply(body: bytes, decision: Decision) -> Reply:
    """Any 2xx is an acknowledgement, also of types that are not known."""
    return RECEIVED


def deposit_clabe(body: bytes) -> str | None:
    """Openpay never asks whether to keep a transfer."""
    return None
