"""What is sent to Bitso: a one-time SPEI payment, or a withdrawal.

Source: docs.bitso.com, one-time payments of the Multi-CLABE API, withdrawing MXN, Nvio CLABE Bitso Transfer.
"""

import re
import unicodedata

from models.states import Direction, Method
from psps.clabe import is_clabe
from psps.outbound import CreateRequest, NotOffered, Refused
from psps.writing import major_units, write_json

NVIO = "710"  # the bank of Bitso's own CLABEs, which SPEI does not reach from there (error 0714)
LONGEST_NOTES = 40
NOT_OFFERED = {
    Method.OXXO: "Bitso has no cash vouchers: use a PSP that has, such as Conekta",
    Method.CARD: "Bitso has no cards: use a PSP that has, such as Stripe",
    # Juno mints MXNB for what comes to an AUTO_PAYMENT CLABE, and forbids the use of one CLABE per payment.
    Method.CRYPTO_ONRAMP: "Bitso has no purchase of MXNB as one payment: give the payer a CLABE of Juno for good",
    Method.UNKNOWN: "Bitso has no payment without a method: name spei",
}
_UNUSUAL = re.compile(r"[^0-9A-Za-z]+")


def check_offered(request: CreateRequest) -> None:
    """Raises NotOffered for all that Bitso cannot do, before anything is sent."""
    if request.method in NOT_OFFERED:
        raise NotOffered(NOT_OFFERED[request.method])
    if request.currency != "MXN":
        raise NotOffered(f"Bitso has no SPEI in {request.currency}: use MXN")


def write_create(request: CreateRequest) -> bytes:
    """The body of the POST. Raises Refused for a payout that names no account."""
    fields = _write_withdrawal(request) if request.direction is Direction.OUT else _write_one_time(request)
    return write_json({name: value for name, value in fields.items() if value})


def _write_one_time(request: CreateRequest) -> dict[str, str | None]:
    """Bitso sets the deadline by itself and takes none. UNVERIFIED: whether payer_name may be left out."""
    return {
        "payment_id": request.reference,
        "amount": _write_amount(request),
        "payer_name": request.payer.name,
    }


def _write_withdrawal(request: CreateRequest) -> dict[str, str | None]:
    clabe = request.clabe or ""
    if not is_clabe(clabe):
        raise Refused("invalid_clabe", "a payout needs a CLABE with the right check digit")
    usual: dict[str, str | None] = {
        "currency": "mxn",
        "amount": _write_amount(request),
        "clabe": clabe,
        "origin_id": request.reference,
    }
    notes = _fold_notes(request.description)
    if clabe.startswith(NVIO):
        return {**usual, "asset": "mxn", "method": "bt", "network": "bt", "protocol": "nvio-clabe", "notes": notes}
    if not (request.beneficiary or "").strip():
        raise Refused("beneficiary_missing", "Bitso must be told whose CLABE a payout goes to")
    return {**usual, "protocol": "clabe", "beneficiary": request.beneficiary, "notes_ref": notes}


def _fold_notes(text: str) -> str:
    """Bitso takes letters and digits alone: "Devolución, gracias" becomes "Devolucion gracias"."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return " ".join(_UNUSUAL.sub(" ", plain).split())[:LONGEST_NOTES]


def _write_amount(request: CreateRequest) -> str:
    return format(major_units(request.amount_minor), "f")
