"""STP's deposits (sendAbono) and changes of our outgoing orders (cambioEstado)."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from models.states import Decision, Direction, EventKind, Method
from psps.base import Ignored, PaymentEvent, Reply, Unparseable
from psps.identity import digest_key, is_storable_key, peek_object
from psps.payload import hint_text, pesos_to_minor, read_json, unix_millis
from psps.stp.contract import (
    ESTADO_KINDS,
    IGNORED_ESTADOS,
    Message,
    classify,
    deposit_tuple,
    fold_estado,
    fold_names,
    read_code,
    read_day,
    read_text,
)
from psps.stp.orders import read_order

# SPEI cause 1, "no such account": the only cause we return a deposit for.
NO_SUCH_ACCOUNT = 1
CONFIRM = Reply(200, b'{"mensaje":"confirmar"}')
RECEIVED = Reply(200, b'{"mensaje":"recibido"}')


def event_key(headers: Mapping[str, str], body: bytes) -> str:
    """`deposit:<institution>:<clave de rastreo>:<date>` or `status:<order id>:<estado>`, else the digest of the body.

    STP sends no event id, and the ids of deposits and of outgoing orders may be equal (rozert keys them apart too).
    """
    message, fields = _peek(body)
    key = None
    if message in (Message.DEPOSIT, Message.RETURN):
        parts = deposit_tuple(fields)
        key = f"deposit:{parts}" if parts else None
    elif message is Message.STATUS:
        order, estado = read_text(fields.get("id")), fold_estado(fields["estado"])
        key = f"status:{order}:{estado}" if order and estado else None
    return key if key and is_storable_key(key) else digest_key(body)


def content_digest(body: bytes) -> bytes:
    """SHA-256 of the body: STP sends no counters, a repeated delivery is the same text."""
    return hashlib.sha256(body).digest()


def read(headers: Mapping[str, str], body: bytes) -> list[PaymentEvent] | Ignored:
    """One payment event, or why there is none. Raises Unparseable, nothing else."""
    fields = fold_names(read_json(body))
    if fields is None:
        raise Unparseable("one field is given twice in two spellings")
    message = classify(fields)
    if message is Message.DEPOSIT:
        return [_read_deposit(fields)]
    if message is Message.STATUS:
        return _read_status(fields)
    if message is Message.RETURN:
        # It is money of an order of ours that comes back, under the other bank's clave de rastreo: nothing in it
        # names the order. The order's own cambioEstado moves the payment; counting this too would do it twice.
        return Ignored("sendAbono", "return of an outgoing transfer; the order's cambioEstado says which")
    raise Unparseable("neither a deposit nor a change of state")


def read_snapshot(body: bytes, as_of: datetime) -> list[PaymentEvent] | Ignored:
    """A row of a look-up, kept under its `tipoOrden`. Raises Unparseable, nothing else."""
    outcome = read_order(body, as_of)
    return outcome if isinstance(outcome, Ignored) else [outcome]


def parse(headers: Mapping[str, str], body: bytes) -> list[PaymentEvent]:
    """`read` without the ignored ones."""
    outcome = read(headers, body)
    return [] if isinstance(outcome, Ignored) else outcome


def reply(body: bytes, decision: Decision) -> Reply:
    """STP keeps the money on a 200 and sends it back on a 400, so a 400 leaves here in one case only.

    That case is a readable deposit, not itself a return, that was decided RETURN. The older contract also wants the
    order echoed with its `estado` (source: speid); both readings of the answer agree.
    """
    message, _ = _peek(body)
    if message is Message.STATUS:
        return RECEIVED
    if message not in (Message.DEPOSIT, Message.RETURN):
        return CONFIRM
    returned = message is Message.DEPOSIT and decision is Decision.RETURN
    verdict: dict[str, Any] = {"mensaje": "devolver", "id": NO_SUCH_ACCOUNT} if returned else {"mensaje": "confirmar"}
    order = peek_object(body) or {}
    if "ClaveRastreo" in order:
        verdict = {**order, "estado": "DEVOLUCION" if returned else "LIQUIDACION", **verdict}
    return Reply(400 if returned else 200, orjson.dumps(verdict))


def deposit_clabe(body: bytes) -> str | None:
    """The CLABE that a deposit was sent to. None for returns, changes of state and whatever cannot be read."""
    message, fields = _peek(body)
    return read_text(fields.get("cuentabeneficiario")) if message is Message.DEPOSIT else None


def _peek(body: bytes) -> tuple[Message, dict[str, Any]]:
    """The message and its folded fields. As strict as `read`, because the answer moves money."""
    try:
        fields = fold_names(read_json(body))
    except Unparseable:
        fields = None
    return (Message.UNCLEAR, {}) if fields is None else (classify(fields), fields)


def _read_deposit(fields: Mapping[str, Any]) -> PaymentEvent:
    """A deposit is settled money: STP has no pending deposits, always in pesos. conceptoPago is typed by the payer
    and so no reference; the CLABE is what routes it."""
    payment_id = deposit_tuple(fields)
    if payment_id is None:
        raise Unparseable("institucionOrdenante, claveRastreo or fechaOperacion cannot be read")
    amount = pesos_to_minor(fields.get("monto"), "monto")
    deposit_id = read_text(fields.get("id"))
    return PaymentEvent(
        kind=EventKind.COMPLETED,
        raw_type="sendAbono",
        psp_payment_id=payment_id,
        occurred_at=_read_settled_at(fields),
        psp_refs=(f"deposit:{deposit_id}",) if deposit_id else (),
        amount_minor=amount,
        received_minor=amount,
        currency="MXN",
        method=Method.SPEI,
        clabe=read_text(fields.get("cuentabeneficiario")),
        # No time of capture here, as in the rows of look-ups: what puts a deposit on its day is the operating date.
        operating_day=read_day(fields.get("fechaoperacion")),
    )


def _read_status(fields: Mapping[str, Any]) -> list[PaymentEvent] | Ignored:
    order = read_text(fields.get("id"))
    estado = fold_estado(fields["estado"])
    if order is None or estado is None:
        raise Unparseable("id or estado cannot be read")
    raw_type = f"cambioEstado {estado}"[:200]
    if estado in IGNORED_ESTADOS:
        return Ignored(raw_type, IGNORED_ESTADOS[estado])
    if estado not in ESTADO_KINDS:
        return Ignored(raw_type, "an estado that is not known; read the order back from STP", known=False)
    return [
        PaymentEvent(
            kind=ESTADO_KINDS[estado],
            raw_type=raw_type,
            psp_payment_id=f"order:{order}",
            occurred_at=_read_settled_at(fields),
            currency="MXN",
            method=Method.SPEI,
            direction=Direction.OUT,
            merchant_reference=hint_text(fields.get("folioorigen")),
            reason=read_code(fields.get("causadevolucion")),
        )
    ]


def _read_settled_at(fields: Mapping[str, Any]) -> datetime | None:
    """tsLiquidacion: text of milliseconds, "0" while nothing is settled, absent from the older contract."""
    value = fields.get("tsliquidacion")
    return None if value in (None, "", "0", 0) else unix_millis(value, "tsLiquidacion")
