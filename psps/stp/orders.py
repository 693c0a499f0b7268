"""A row of STP's look-ups (consultaOrden, conciliacion): an order of ours, or a deposit.

The row does not say which of the two it is, so the client keeps it under its `tipoOrden`: E sent, R received.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from models.states import Direction, EventKind, Method
from psps.base import Ignored, PaymentEvent, Unparseable
from psps.payload import hint_text, pesos_to_minor, read_json, require_object, unix_millis
from psps.stp.contract import (
    ESTADO_KINDS,
    IGNORED_ESTADOS,
    RETURN_PAYMENT_TYPES,
    deposit_tuple,
    fold_estado,
    read_code,
    read_day,
    read_millis,
    read_number,
    read_text,
)

SENT, RECEIVED = "E", "R"
# What the codes mean for money that came in (source: stpmex's Estado): received and confirming, confirmed, given back.
DEPOSIT_KINDS = {
    **dict.fromkeys(("lq", "tlq", "cco"), EventKind.COMPLETED),
    **dict.fromkeys(("a", "e", "ea", "tc", "tl", "ta", "r", "cxo", "cce", "ccr"), EventKind.PROCESSING),
    **dict.fromkeys(("xd", "d", "td", "xr", "re"), EventKind.RETURNED),
    **dict.fromkeys(("xc", "cn", "cl", "ca", "cr", "tcl", "rl", "ra", "rb", "el"), EventKind.FAILED),
}
UNSETTLED = (None, "", "0", 0)


def read_order(body: bytes, as_of: datetime) -> PaymentEvent | Ignored:
    """The payment event in {"tipoOrden", "orden"}. Raises Unparseable."""
    wrapped = read_json(body)
    row = {name.casefold(): value for name, value in require_object(wrapped, "orden").items()}
    estado = fold_estado(row.get("estado"))
    if estado is None:
        raise Unparseable("estado cannot be read")
    raw_type = f"orden {estado}"[:200]
    reader = READERS.get(str(wrapped.get("tipoOrden")))
    if reader is None:
        raise Unparseable("tipoOrden is neither E nor R")
    return reader(row, estado, raw_type, as_of)


def _read_sent(row: Mapping[str, Any], estado: str, raw_type: str, as_of: datetime) -> PaymentEvent | Ignored:
    if estado in IGNORED_ESTADOS:
        return Ignored(raw_type, IGNORED_ESTADOS[estado])
    if estado not in ESTADO_KINDS:
        return Ignored(raw_type, "an estado that is not known", known=False)
    order = read_text(row.get("idef"))
    if order is None:
        raise Unparseable("idEF cannot be read")
    kind, amount = ESTADO_KINDS[estado], pesos_to_minor(row.get("monto"), "monto")
    return PaymentEvent(
        kind=kind,
        raw_type=raw_type,
        psp_payment_id=f"order:{order}",
        occurred_at=_find_time(row, kind, as_of),
        amount_minor=amount,
        received_minor=amount if kind is EventKind.COMPLETED else None,
        currency="MXN",
        method=Method.SPEI,
        direction=Direction.OUT,
        # Ours is the clave de rastreo; a look-up does not tell folioOrigen.
        merchant_reference=read_text(row.get("claverastreo")),
        **_read_days(row),
        reason=read_code(row.get("causadevolucion")),
    )


def _read_received(row: Mapping[str, Any], estado: str, raw_type: str, as_of: datetime) -> PaymentEvent | Ignored:
    if read_number(row.get("tipopago")) in RETURN_PAYMENT_TYPES:
        return Ignored(raw_type, "return of an outgoing transfer; the order's own state says which")
    kind = DEPOSIT_KINDS.get(estado)
    if kind is None:
        return Ignored(raw_type, "an estado that is not known", known=False)
    payment_id = deposit_tuple({**row, "institucionordenante": row.get("institucioncontraparte")})
    if payment_id is None:
        raise Unparseable("institucionContraparte, claveRastreo or fechaOperacion cannot be read")
    amount, deposit_id = pesos_to_minor(row.get("monto"), "monto"), read_text(row.get("idef"))
    return PaymentEvent(
        kind=kind,
        raw_type=raw_type,
        psp_payment_id=payment_id,
        occurred_at=_find_time(row, kind, as_of),
        psp_refs=(f"deposit:{deposit_id}",) if deposit_id else (),
        amount_minor=amount,
        received_minor=amount if kind in (EventKind.COMPLETED, EventKind.RETURNED) else None,
        currency="MXN",
        method=Method.SPEI,
        clabe=hint_text(read_text(row.get("cuentabeneficiario"))),
        **_read_days(row),
    )


def _read_days(row: Mapping[str, Any]) -> dict[str, Any]:
    """When STP took the order down, and the operating date that it is of: from 18:00 on, the next banking day's."""
    return {"created_at": read_millis(row.get("tscaptura")), "operating_day": read_day(row.get("fechaoperacion"))}


def _find_time(row: Mapping[str, Any], kind: EventKind, as_of: datetime) -> datetime:
    """A settlement has a time, and so has the capture, before which nothing was. All else was so when it was asked."""
    name = {EventKind.COMPLETED: "tsliquidacion", EventKind.PENDING: "tscaptura"}.get(kind)
    value = row.get(name) if name else None
    return as_of if value in UNSETTLED else unix_millis(value, str(name))


READERS = {SENT: _read_sent, RECEIVED: _read_received}
