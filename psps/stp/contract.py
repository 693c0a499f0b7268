"""STP's two webhook messages in both of their contracts: which is which, under what names, and its dedupe tuple.

The current contract writes camelCase (`claveRastreo`), the older one CamelCase (`ClaveRastreo`, `Clave` for `id`).
Fields are therefore looked up by casefolded name. Source: recorded traffic of speid, rozert and fenoreste.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any

from models.states import EventKind
from psps.base import Unparseable
from psps.identity import is_storable_key
from psps.payload import unix_millis
from psps.stp.banks import name_institution

# Returns of our own outgoing transfers, not deposits: counting one would credit twice. Source: speid, REFUNDS_PAYMENTS_TYPES.
RETURN_PAYMENT_TYPES = frozenset({0, 16, 17, 18, 23, 24})
# What a change of state means for an order of ours, by folded `estado`. The words were all seen in traffic (speid,
# rozert, fenoreste and others); the codes are stpmex's Estado, from STP's own article on them.
ESTADO_KINDS = {
    **dict.fromkeys(("success", "exito", "liquidacion", "liquidado", "lq", "tlq"), EventKind.COMPLETED),
    # A return can follow a settlement and is never ignored for it (speid has a test of that order).
    **dict.fromkeys(("refund", "devolucion", "devuelto", "d", "td", "xd", "xr", "re"), EventKind.RETURNED),
    # CANCELACION is how an order to another client of STP (CLABE 646...) comes back unsettled.
    **dict.fromkeys(("cancel", "cancelacion", "cancelado", "xc", "cn", "cl", "ca", "cr", "tcl"), EventKind.CANCELED),
    **dict.fromkeys(("decline", "rl", "ra", "rb", "el"), EventKind.FAILED),
    **dict.fromkeys(("c", "pl", "l", "pa"), EventKind.PENDING),
    **dict.fromkeys(("a", "e", "ea", "tc", "tl", "ta"), EventKind.PROCESSING),
}
IGNORED_ESTADOS = {
    **dict.fromkeys(("ep", "ec"), "an export, the order stays as it is"),
    **dict.fromkeys(("r", "cxo", "cce", "cco", "ccr"), "a state of received transfers, not of orders"),
}
_ALIASES = {"clave": "id"}
_DIGITS = re.compile(r"[0-9]{1,9}")
_DATE = re.compile(r"[0-9]{8}")


class Message(Enum):
    """What STP posts to us."""

    DEPOSIT = "sendAbono"
    RETURN = "sendAbono of a return"
    STATUS = "cambioEstado"
    UNCLEAR = "unclear"


def fold_names(top: Mapping[str, Any]) -> dict[str, Any] | None:
    """The fields by casefolded name; None where one field is given in two spellings with two values."""
    fields: dict[str, Any] = {}
    for name, value in top.items():
        folded = name.casefold()
        folded = _ALIASES.get(folded, folded)
        if fields.get(folded, value) != value:
            return None
        fields[folded] = value
    return fields


def classify(fields: Mapping[str, Any]) -> Message:
    """Tell a deposit from a change of state. A message that looks like both is UNCLEAR: a wrong guess moves money."""
    has_estado = "estado" in fields
    if not {"monto", "claverastreo", "cuentabeneficiario"}.isdisjoint(fields) and not has_estado:
        return _classify_deposit(fields.get("tipopago"))
    if has_estado and "monto" not in fields and "cuentabeneficiario" not in fields:
        return Message.STATUS
    return Message.UNCLEAR


def _classify_deposit(payment_type: object) -> Message:
    if payment_type is None:  # the older contract has no tipoPago
        return Message.DEPOSIT
    number = read_number(payment_type)
    if number is None:
        return Message.UNCLEAR
    return Message.RETURN if number in RETURN_PAYMENT_TYPES else Message.DEPOSIT


def read_number(value: object) -> int | None:
    """A small whole number that STP writes as a JSON number or as text (40012, "40012"); None for anything else."""
    if type(value) is int and 0 <= value < 10**9:
        return value
    if type(value) is str and _DIGITS.fullmatch(value.strip(" ")):
        return int(value)
    return None


def read_text(value: object) -> str | None:
    """Text without the trailing blanks that STP pads with, whole numbers as text; None for anything else or nothing."""
    if type(value) is int:
        value = str(value) if 0 <= value < 10**30 else None
    text = value.strip(" ") if type(value) is str else ""
    return text if is_storable_key(text) else None


def read_day(value: object) -> date | None:
    """A fechaOperacion, YYYYMMDD: a number in one API and text in another, padded with blanks; None for anything else."""
    text = read_text(value)
    try:
        return date.fromisoformat(text) if text and _DATE.fullmatch(text) else None
    except ValueError:
        return None


def read_millis(value: object) -> datetime | None:
    """A time that is good to have; None for 0 and for whatever else is no time."""
    try:
        return unix_millis(read_text(value), "time")
    except Unparseable:
        return None


def deposit_tuple(fields: Mapping[str, Any]) -> str | None:
    """`institucionOrdenante:claveRastreo:fechaOperacion`: a clave de rastreo is unique per institution and day only.

    The institution is always its participant's code: 40012, "40012", "012" and 12 are one bank, and one deposit.
    """
    institution = read_number(fields.get("institucionordenante"))
    tracking_key = read_text(fields.get("claverastreo"))
    date = read_text(fields.get("fechaoperacion"))
    if institution is None or tracking_key is None or date is None or not _DATE.fullmatch(date):
        return None
    return f"{name_institution(institution)}:{tracking_key}:{date}"


def fold_estado(value: object) -> str | None:
    """`estado` without accents and case. One integration sends {"code", "msg"} objects: what is known of the two."""
    if not isinstance(value, Mapping):
        return _fold(value)
    words = [word for word in (_fold(value.get("code")), _fold(value.get("msg"))) if word]
    known = [word for word in words if word in ESTADO_KINDS or word in IGNORED_ESTADOS]
    return next(iter(known or words), None)


def _fold(value: object) -> str | None:
    text = read_text(value)
    if text is None:
        return None
    bare = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return bare.casefold()


def read_code(value: object) -> str | None:
    """A code that one integration wraps in an object of `code` and `msg`, as text."""
    if isinstance(value, Mapping):
        return read_text(value.get("code")) or read_text(value.get("msg"))
    return read_text(value)
