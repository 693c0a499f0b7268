"""What is sent to Conekta for a new payment: an order with one charge.

Source: Conekta's OpenAPI 2.3.0 (order_request, charge_request, customer_info, product).
"""

from collections.abc import Callable
from typing import Any

from models.states import Direction, Method
from psps.outbound import CreateRequest, NotOffered, Payer, RefundRequest
from psps.writing import write_json

LEAST_NAME, LONGEST_NAME = 3, 249
# Conekta's schema gives one sample (suspected_fraud) and no list. UNVERIFIED: the others are from its older guides, so
# what is not named here is sent as the plainest of them.
REFUND_REASONS = {"duplicate": "duplicated_transaction", "fraudulent": "suspected_fraud"}
USUAL_REFUND_REASON = "requested_by_client"
NOT_OFFERED = {
    Method.CRYPTO_ONRAMP: "Conekta has no on-ramp: use another PSP",
    Method.UNKNOWN: "Conekta has no payment without a method: name oxxo, spei or card",
}


def write_order(request: CreateRequest) -> bytes:
    """The body of POST /orders. Raises NotOffered."""
    if request.direction is Direction.OUT:
        raise NotOffered("Conekta has no payouts to a CLABE: send them through STP")
    if request.method in NOT_OFFERED:
        raise NotOffered(NOT_OFFERED[request.method])
    charge = {
        "amount": request.amount_minor,
        # The reference stands in both places, because some events come without the order's metadata.
        "reference_id": request.reference,
        "payment_method": PAYMENT_METHODS[request.method](request),
    }
    own = {"order_id": request.reference, "merchant_reference": request.merchant_reference}
    order = {
        "currency": request.currency,
        "customer_info": _name_payer(request.payer),
        "line_items": [_name_goods(request)],
        "metadata": _leave_empty_out(own),
        "charges": [charge],
    }
    return write_json(order)


def write_refund(request: RefundRequest) -> bytes:
    """The body of POST /orders/{id}/refunds. A refund carries no reference of ours."""
    reason = REFUND_REASONS.get(request.reason, USUAL_REFUND_REASON)
    return write_json({"amount": request.amount_minor, "reason": reason})


def _write_cash(request: CreateRequest) -> dict[str, Any]:
    """The current word is `cash`; whether OXXO is among its stores is a matter of the account."""
    return {"type": "cash"} | _write_expiry(request)


def _write_spei(request: CreateRequest) -> dict[str, Any]:
    return {"type": "spei"} | _write_expiry(request)


def _write_card(request: CreateRequest) -> dict[str, Any]:
    return _leave_empty_out({"type": "card", "token_id": request.card_token})


PAYMENT_METHODS: dict[Method, Callable[[CreateRequest], dict[str, Any]]] = {
    Method.OXXO: _write_cash,
    Method.SPEI: _write_spei,
    Method.CARD: _write_card,
}


def _write_expiry(request: CreateRequest) -> dict[str, int]:
    """A unix second, exactly as asked for: Conekta does not round it to the end of a day."""
    return {"expires_at": int(request.expires_at.timestamp())} if request.expires_at else {}


def _name_payer(payer: Payer) -> dict[str, Any]:
    if payer.psp_customer_id:
        return {"customer_id": payer.psp_customer_id}
    return _leave_empty_out({"name": payer.name, "email": payer.email, "phone": payer.phone})


def _name_goods(request: CreateRequest) -> dict[str, Any]:
    """Conekta wants to know what is sold, under a name of 3 to 249 characters."""
    name = request.description.strip()[:LONGEST_NAME]
    return {"name": name if len(name) >= LEAST_NAME else "Pago", "unit_price": request.amount_minor, "quantity": 1}


def _leave_empty_out(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}
