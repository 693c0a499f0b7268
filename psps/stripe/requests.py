"""What is sent to Stripe for a new payment: the form of a PaymentIntent, by method.

Source: Stripe's API reference of PaymentIntents, its guides for OXXO and for bank transfers in Mexico.
"""

from collections.abc import Callable
from datetime import datetime

from models.states import Direction, Method
from psps.outbound import CreateRequest, NotOffered, Payer
from psps.payload import MEXICO_CITY

Form = list[tuple[str, str]]

# Stripe's own default is 3 days in one page and 5 in another, so it is always sent.
USUAL_OXXO_DAYS, MOST_OXXO_DAYS = 3, 7
EXPAND_CHARGE = ("expand[]", "latest_charge")
REFUND_REASONS = frozenset({"duplicate", "fraudulent", "requested_by_customer"})
NOT_OFFERED = {
    Method.CRYPTO_ONRAMP: "Stripe has no on-ramp in Mexico, only in the US and the EU: use another PSP",
    Method.UNKNOWN: "Stripe has no payment without a method: name oxxo, spei or card",
}


def write_create_form(request: CreateRequest, now: datetime) -> Form:
    """The form of POST /v1/payment_intents, without the customer that SPEI takes. Raises NotOffered."""
    if request.direction is Direction.OUT:
        raise NotOffered("Stripe has no payouts to a CLABE: send them through STP")
    if request.method in NOT_OFFERED:
        raise NotOffered(NOT_OFFERED[request.method])
    form = [
        ("amount", str(request.amount_minor)),
        ("currency", request.currency.lower()),
        ("confirm", "true"),
        # The name that Acuse reads back from every PaymentIntent and from its events.
        ("metadata[order_id]", request.reference),
        EXPAND_CHARGE,
    ]
    if request.merchant_reference:
        form.append(("metadata[merchant_reference]", request.merchant_reference))
    if request.description:
        form.append(("description", request.description))
    return form + METHOD_FORMS[request.method](request, now)


def _write_oxxo(request: CreateRequest, now: datetime) -> Form:
    return [
        ("payment_method_types[]", "oxxo"),
        ("payment_method_data[type]", "oxxo"),
        *_name_fields("payment_method_data[billing_details][{}]", request.payer, "name", "email"),
        ("payment_method_options[oxxo][expires_after_days]", str(_count_oxxo_days(request.expires_at, now))),
    ]


def _count_oxxo_days(expires_at: datetime | None, now: datetime) -> int:
    """A voucher runs out at 23:59:59 in Mexico City, so many calendar days after the day on which it is made."""
    if expires_at is None:
        return USUAL_OXXO_DAYS
    days = (expires_at.astimezone(MEXICO_CITY).date() - now.astimezone(MEXICO_CITY).date()).days
    return min(max(days, 1), MOST_OXXO_DAYS)


def _write_spei(request: CreateRequest, now: datetime) -> Form:
    funding = "payment_method_options[customer_balance]"
    return [
        ("payment_method_types[]", "customer_balance"),
        ("payment_method_data[type]", "customer_balance"),
        (f"{funding}[funding_type]", "bank_transfer"),
        (f"{funding}[bank_transfer][type]", "mx_bank_transfer"),
    ]


def _write_card(request: CreateRequest, now: datetime) -> Form:
    form = [("payment_method_types[]", "card")]
    if request.card_token:
        form.append(("payment_method", request.card_token))
    if request.return_url:
        form.append(("return_url", request.return_url))
    return form


METHOD_FORMS: dict[Method, Callable[[CreateRequest, datetime], Form]] = {
    Method.OXXO: _write_oxxo,
    Method.SPEI: _write_spei,
    Method.CARD: _write_card,
}


def write_customer_form(request: CreateRequest) -> Form:
    """The form of POST /v1/customers."""
    return [
        *_name_fields("{}", request.payer, "name", "email", "phone"),
        ("metadata[order_id]", request.reference),
    ]


def _name_fields(pattern: str, payer: Payer, *names: str) -> Form:
    """Those of the payer's fields that are known, each under its own form name."""
    known = ((name, getattr(payer, name)) for name in names)
    return [(pattern.format(name), value) for name, value in known if value]
