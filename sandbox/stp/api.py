"""STP's API as far as Acuse uses it: register a payout, look one order up, list an operating day.

Every answer has HTTP status 200: registra tells errors by a result id of 0 or less, efws by `estado`.
"""

import json
import re
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from flask import Blueprint, Response, request

from sandbox.answers import answer
from sandbox.identity import complete_clabe
from sandbox.payment import SimulatedPayment
from sandbox.state import SandboxState
from sandbox.stp.firma import LIST_FIELDS, LOOKUP_FIELDS, ORDER_FIELDS, is_signed
from sandbox.stp.objects import lookup_row, new_payment
from sandbox.stp.operating_day import operating_day

PAGE_SIZE = 50
OK, BAD_REQUEST, NOTHING_FOUND, FUTURE_DATE = 0, 2, 6, 8
INSTRUMENT = {"E": "payout", "R": "deposit"}  # enviada, recibida
REQUIRED = ("claveRastreo", "conceptoPago", "cuentaBeneficiario", "empresa", "institucionContraparte", "monto")


class Refused(Exception):
    """A payout that STP does not take: its result id and description."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Unanswerable(Exception):
    """A look-up that efws answers with a result code instead of rows."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def make_api(state: SandboxState) -> Blueprint:
    api = Blueprint("stp", __name__, url_prefix="/stp")
    api.register_error_handler(Refused, _tell_refused)
    api.register_error_handler(Unanswerable, lambda error: answer({"estado": error.code, "mensaje": str(error)}))

    @api.put("/speiws/rest/ordenPago/registra")
    def register() -> Response:
        with state.lock:
            return answer({"resultado": {"id": int(_register(state).ids["number"])}})

    @api.post("/efws/API/consultaOrden")
    def look_up() -> Response:
        with state.lock:
            sent, orders = _asked(state, LOOKUP_FIELDS)
            key = sent.get("claveRastreo")
            for payment in orders:
                if payment.ids["tracking_key"] == key:
                    row = lookup_row(payment, state.keys["stp"]["company"])
                    return answer({"estado": OK, "mensaje": "Orden encontrada", "respuesta": row})
        raise Unanswerable(NOTHING_FOUND, "No se encontraron datos relacionados")

    @api.post("/efws/API/V2/conciliacion")
    def list_day() -> Response:
        with state.lock:
            sent, orders = _asked(state, LIST_FIELDS)
            page = sent.get("page", 0)
            if type(page) is not int or page < 0:
                raise Unanswerable(BAD_REQUEST, "page debe ser un entero desde 0")
            on_page = orders[page * PAGE_SIZE : (page + 1) * PAGE_SIZE]
            shown = [lookup_row(payment, state.keys["stp"]["company"]) for payment in on_page]
        if not orders:
            raise Unanswerable(NOTHING_FOUND, "No se encontraron datos relacionados")
        told = {"estado": OK, "mensaje": "Datos consultados correctamente"}
        return answer({**told, "datos": shown, "total": len(orders)})

    return api


def _tell_refused(error: Refused) -> Response:
    return answer({"resultado": {"id": error.code, "descripcionError": str(error)}})


def _sent() -> dict[str, Any]:
    try:
        sent = json.loads(request.get_data(), parse_float=Decimal)
    except ValueError:
        return {}
    return sent if isinstance(sent, dict) else {}


def _register(state: SandboxState) -> SimulatedPayment:
    sent = _sent()
    for name in REQUIRED:
        if sent.get(name) in (None, ""):
            raise Refused(0, f"El campo {name} es obligatorio")
    _check_order(state, sent)
    now = int(time.time())
    day = str(sent.get("fechaOperacion") or operating_day(now).strftime("%Y%m%d"))
    if any(
        order.ids["tracking_key"] == sent["claveRastreo"] and order.ids["day"] == day for order in _orders(state, "E")
    ):
        raise Refused(-1, f"La clave de rastreo {sent['claveRastreo']} ya fue utilizada el {day}")
    amount_minor = int(sent["monto"] * 100)
    payment = new_payment(state.names, "payout", now, amount_minor, str(sent.get("folioOrigen") or ""))
    payment.reference = str(sent.get("folioOrigen") or "")
    payment.ids |= {
        "tracking_key": sent["claveRastreo"],
        "day": day,
        "bank": str(sent["institucionContraparte"]),
        "payer_clabe": sent["cuentaBeneficiario"],
        "clabe": str(sent.get("cuentaOrdenante") or payment.ids["clabe"]),
    }
    state.add(payment)
    state.record_effect(payment, "create", payment.ids["tracking_key"])
    return payment


def _check_order(state: SandboxState, sent: dict[str, Any]) -> None:
    stp = state.keys["stp"]
    if sent["empresa"] != stp["company"] or not is_signed(sent, ORDER_FIELDS, stp["client_public_key_pem"]):
        raise Refused(0, "La firma no es correcta")
    amount = sent["monto"]
    if not isinstance(amount, Decimal) or amount <= 0 or amount != round(amount, 2):
        raise Refused(-20, "El monto no es valido")
    if not re.fullmatch(r"[A-Za-z0-9]{1,30}", str(sent["claveRastreo"])):
        raise Refused(-34, "La clave de rastreo no es valida")
    account = str(sent["cuentaBeneficiario"])
    if sent.get("tipoCuentaBeneficiario", 40) == 40 and not _is_clabe(account):
        raise Refused(-7, "La cuenta del beneficiario no existe")
    if _is_clabe(account) and str(sent["institucionContraparte"])[-3:] != account[:3]:
        raise Refused(-22, "La cuenta del beneficiario no coincide para la institucion operante")
    if account == sent.get("cuentaOrdenante"):
        raise Refused(-24, "La cuenta ordenante y la del beneficiario son la misma")


def _is_clabe(text: str) -> bool:
    return bool(re.fullmatch(r"\d{18}", text)) and complete_clabe(text[:17]) == text


def _orders(state: SandboxState, direction: str) -> list[SimulatedPayment]:
    return [order for order in state.newest_first("stp") if order.instrument == INSTRUMENT[direction]]


def _asked(state: SandboxState, fields: Sequence[str]) -> tuple[dict[str, Any], list[SimulatedPayment]]:
    """The checked request and the orders of its direction and operating day. Raises Unanswerable."""
    sent = _sent()
    stp = state.keys["stp"]
    direction = str(sent.get("tipoOrden"))
    if sent.get("empresa") != stp["company"] or direction not in INSTRUMENT:
        raise Unanswerable(BAD_REQUEST, "Los datos de la consulta no son validos")
    if not is_signed(sent, fields, stp["client_public_key_pem"]):
        raise Unanswerable(BAD_REQUEST, "La firma no es correcta")
    today = operating_day(int(time.time())).strftime("%Y%m%d")
    day = str(sent.get("fechaOperacion") or today)
    if day > today:
        raise Unanswerable(FUTURE_DATE, "La fecha de operacion no puede ser futura")
    return sent, [order for order in _orders(state, direction) if order.ids["day"] == day]
