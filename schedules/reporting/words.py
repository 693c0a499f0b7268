"""How the pages name things. Pure data; what is not here is shown as it is called inside."""

from collections.abc import Mapping

from models.states import Difference, Healing, LineKind, Source
from schedules.closing.days import CIVIL_DATE, OPERATING_DATE

PSPS: Mapping[str, str] = {
    "stripe": "Stripe",
    "conekta": "Conekta",
    "stp": "STP",
    "mercadopago": "Mercado Pago",
    "openpay": "Openpay",
    "bitso": "Bitso",
    "moonpay": "MoonPay",
    "transak": "Transak",
}
METHODS: Mapping[str, str] = {
    "oxxo": "OXXO and cash",
    "spei": "SPEI",
    "card": "Card",
    "crypto_onramp": "Crypto on-ramp",
}
DAYS: Mapping[str, str] = {OPERATING_DATE: "SPEI operating date", CIVIL_DATE: "Calendar day in Mexico City"}

CLASSES: Mapping[str, str] = {
    Difference.MISSING_HERE: "Missing here",
    Difference.MISSING_THERE: "Missing there",
    Difference.STATE: "State or money received",
    Difference.AMOUNT: "Amount or fee",
    Difference.CURRENCY: "Currency",
    Difference.DUPLICATE_THERE: "Second payment there",
    Difference.LATE: "Settlement overdue",
    Difference.OPERATING_DATE: "Operating date",
    Difference.MODE: "Test or live mode",
}
EXPLAINED: Mapping[str, str] = {
    Difference.MISSING_HERE: "The PSP has a payment that we do not.",
    Difference.MISSING_THERE: "We have a payment that the PSP does not know.",
    Difference.STATE: "State, received or refunded money is not the same on both sides.",
    Difference.AMOUNT: "What was asked for, or the fee, is not the same on both sides.",
    Difference.DUPLICATE_THERE: "The PSP has a second payment that looks like one of ours.",
    Difference.LATE: "Money that should have been settled by now is not.",
}
FATES: Mapping[str, str] = {
    "open": "open",
    "healed": "healed",
    "dismissed": "dismissed",
    "explained": "gone by itself",
}
HEALINGS: Mapping[str, str] = {
    Healing.NONE: "for a person to decide",
    Healing.PROPOSED: "can be healed, waits for approval",
    Healing.SENT: "the PSP's answer was put in the inbox",
    Healing.REFUSED: "the PSP's answer was refused",
}
WITNESSES: Mapping[str, str] = {
    "psp": "The PSP's answer",
    "cep": "Banxico's proof of payment (CEP)",
    "settlement": "The settlement report",
}
SOURCES: Mapping[str, str] = {
    Source.WEBHOOK: "webhook",
    Source.SUBMISSION: "answer to our call",
    Source.FETCH: "fetched",
    Source.RECONCILIATION: "reconciliation",
}
LINES: Mapping[str, str] = {
    LineKind.PAYMENT: "Payments",
    LineKind.REFUND: "Refunds",
    LineKind.DISPUTE: "Disputes",
    LineKind.FEE: "Fees",
    LineKind.PAYOUT: "Payouts",
    LineKind.ADJUSTMENT: "Adjustments",
}
FIELDS: Mapping[str, str] = {
    "state": "State",
    "kind": "Said",
    "amount_minor": "Amount",
    "received_minor": "Received",
    "disputed_minor": "Disputed",
    "line_key": "Line of the report",
    "refunded_minor": "Refunded",
    "fee_minor": "Fee",
    "currency": "Currency",
    "method": "Method",
    "direction": "Direction",
    "livemode": "Live mode",
    "operating_day": "Operating date",
    "account_day": "Account day",
    "created_at": "Made",
    "changed_at": "Changed",
    "expires_at": "Expires",
    "available_at": "Settles",
    "due_day": "Due to be settled",
}


def name(words: Mapping[str, str], word: object) -> str:
    """The name of a word, or the word with its underscores taken out."""
    return words.get(str(word)) or str(word).replace("_", " ").capitalize()
