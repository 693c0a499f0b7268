"""STP's deposits (sendAbono) and changes of our outgoing orders (cambioEstado)."""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from models.states import Decision
from psps.base import Reply
from psps.identity import digest_key, is_storable_key, peek_object
from psps.stp.contract import Message, classify, deposit_tuple, fold_estado, fold_names, read_text

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
        key = parts and f"deposit:{parts}"
    elif message is Message.STATUS:
        order, estado = read_text(fields.get("id")), fold_estado(fields["estado"])
        key = f"status:{order}:{estado}" if order and estado else None
    return key if key and is_storable_key(key) else digest_key(body)


def content_digest(body: bytes) -> bytes:
    """SHA-256 of the body: STP sends no counters, a repeated delivery is the same text."""
    return hashlib.sha256(body).digest()


def reply(body: bytes, decision: Decision) -> Reply:
    """STP keeps the money on a 200 and sends it back on a 400, so a 400 leaves here for one case only.

    That case is a readable deposit, not itself a return, that was decided RETURN. The older contract also wants the
    order echoed with its `estado` (source: speid); both readings of the answer agree.
    """
    message, fields = _peek(body)
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
    top = peek_object(body)
    fields = fold_names(top) if top is not None else None
    return (classify(fields), fields) if fields is not None else (Message.UNCLEAR, {})
