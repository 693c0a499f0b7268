"""What is sent to Mercado Pago for a new payment, by method, and how it wants its times.

Source: the API reference of payments, the guides on OXXO and SPEI in Mexico, mercadopago-python 3.6.
"""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from models.states import Direction, Method
from psps.outbound import CreateRequest, NotOffered, Payer
from psps.payload import MEXICO_CITY
from psps.writing import major_units, write_json

Fields = dict[str, Any]

OWN_OFFSET = timezone(timedelta(hours=-4))
NOT_OFFERED = {
    Method.CRYPTO_ONRAMP: "Mercado Pago has no on-ramp: use another PSP",
    Method.UNKNOWN: "Mercado Pago has no payment without a method: name oxxo, spei or card",
}


def write_create(request: CreateRequest) -> bytes:
    """The body of POST /v1/payments. Raises NotOffered.

    The currency is that of the account's country and cannot be sent. notification_url is deprecated and would win over
    the address of the panel, so it is not sent either.
    """
    _check_offered(request)
    fields: Fields = {
        "transaction_amount": major_units(request.amount_minor),
        "description": request.description or request.reference,
        # The name that Acuse reads back from every payment.
        "external_reference": request.reference,
        "payer": _write_payer(request.payer),
        **METHOD_FIELDS[request.method](request),
    }
    if request.merchant_reference:
        fields["metadata"] = {"merchant_reference": request.merchant_reference}
    return write_json(fields)


def _check_offered(request: CreateRequest) -> None:
    if request.direction is Direction.OUT:
        raise NotOffered("Mercado Pago has no payouts to a CLABE: send them through STP")
    if request.method in NOT_OFFERED:
        raise NotOffered(NOT_OFFERED[request.method])
    if request.currency != "MXN":
        raise NotOffered("Mercado Pago has no other currency than MXN in Mexico: ask for pesos")
    if request.method is Method.CARD and not request.card_token:
        raise NotOffered("Mercado Pago has no card payment without a token: make one with its card form")


def _write_payer(payer: Payer) -> Fields:
    """The e-mail address is required there; a name is sent in two parts."""
    first, _, last = (payer.name or "").strip().partition(" ")
    known = {"email": payer.email, "first_name": first, "last_name": last.strip()}
    return {name: value for name, value in known.items() if value}


def _write_oxxo(request: CreateRequest) -> Fields:
    return {"payment_method_id": "oxxo", **_write_expiry(request)}


def _write_spei(request: CreateRequest) -> Fields:
    fields = {"payment_method_id": "clabe", **_write_expiry(request)}
    fields["payer"] = {**_write_payer(request.payer), "entity_type": "individual"}
    if request.return_url:
        fields["callback_url"] = request.return_url
    return fields


def _write_card(request: CreateRequest) -> Fields:
    """UNVERIFIED: that payment_method_id may be left out; their error 2131 (it cannot be inferred) says so."""
    return {"token": request.card_token, "installments": 1}


def _write_expiry(request: CreateRequest) -> Fields:
    """2026-11-22T23:59:59.000-06:00; without it, the days that Mercado Pago usually gives."""
    if request.expires_at is None:
        return {}
    return {"date_of_expiration": request.expires_at.astimezone(MEXICO_CITY).isoformat(timespec="milliseconds")}


METHOD_FIELDS: dict[Method, Callable[[CreateRequest], Fields]] = {
    Method.OXXO: _write_oxxo,
    Method.SPEI: _write_spei,
    Method.CARD: _write_card,
}


def write_search_time(at: datetime) -> str:
    """yyyy-MM-dd'T'HH:mm:ss.SSSZ, with the offset that Mercado Pago itself writes; anything else is its error 1001."""
    return at.astimezone(OWN_OFFSET).isoformat(timespec="milliseconds")
