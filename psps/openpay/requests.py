"""What is sent to Openpay for a new charge, by method.

Source: Openpay's documentation of charges (card, store, bank), openpay-java.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from models.states import Direction, Method
from psps.outbound import CreateRequest, NotOffered, Payer
from psps.writing import major_units, write_json

LONGEST_DESCRIPTION = 250
CURRENCIES = {Method.OXXO: ("MXN",), Method.SPEI: ("MXN",), Method.CARD: ("MXN", "USD")}


def write_create(request: CreateRequest) -> bytes:
    """The body of POST /charges. Raises NotOffered.

    It is always a charge of the merchant: one of a customer is given out by the customer's path alone.
    """
    if request.direction is Direction.OUT:
        raise NotOffered("Openpay's payouts are not offered here: send them through STP")
    if request.method not in WRITERS:
        raise NotOffered("Openpay has store, SPEI and card payments alone: name oxxo, spei or card")
    if request.currency not in CURRENCIES[request.method]:
        allowed = " or ".join(CURRENCIES[request.method])
        raise NotOffered(f"Openpay has no {request.method} payment in {request.currency}: use {allowed}")
    fields = {
        "amount": major_units(request.amount_minor),
        "description": (request.description or f"Pago {request.reference}")[:LONGEST_DESCRIPTION],
        # Unique among all transactions of the merchant, so it is the idempotency key too; every charge carries it.
        "order_id": request.reference,
        "customer": _write_customer(request.payer),
        **WRITERS[request.method](request),
    }
    return write_json({name: value for name, value in fields.items() if value is not None})


def _write_customer(payer: Payer) -> dict[str, str] | None:
    """Written into the charge; no customer is made of it. Openpay wants a name and an e-mail for stores and cards."""
    known = {"name": payer.name, "email": payer.email, "phone_number": payer.phone}
    return {name: value for name, value in known.items() if value} or None


def _write_store(request: CreateRequest) -> dict[str, Any]:
    return {"method": "store", "due_date": _write_due(request.expires_at)}


def _write_bank_account(request: CreateRequest) -> dict[str, Any]:
    return {"method": "bank_account", "due_date": _write_due(request.expires_at)}


def _write_due(at: datetime | None) -> str | None:
    """UTC with a Z, which Openpay turns into central time; what has no zone it takes for central time."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def _write_card(request: CreateRequest) -> dict[str, Any]:
    """A token is charged at once, with 3-D Secure where there is an address to come back to.

    Without a token the payer types the card into Openpay's own form (`confirm` false) and comes back from there.
    `device_session_id` of Openpay's anti-fraud script, which its documentation asks for beside a token, is not known here.
    """
    card = {"method": "card", "currency": request.currency, "redirect_url": request.return_url}
    if request.card_token:
        return {**card, "source_id": request.card_token, "use_3d_secure": True if request.return_url else None}
    if request.return_url:
        return {**card, "confirm": False, "send_email": False}
    raise NotOffered("Openpay has no card payment without a card token or a return URL: name one of them")


WRITERS: dict[Method, Callable[[CreateRequest], dict[str, Any]]] = {
    Method.OXXO: _write_store,
    Method.SPEI: _write_bank_account,
    Method.CARD: _write_card,
}
