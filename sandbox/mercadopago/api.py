"""Mercado Pago's API as far as Acuse uses it: payments, their search, their refunds."""

import json
import time
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from flask import Blueprint, Response, request

from sandbox.answers import answer, has_api_key
from sandbox.mercadopago.errors import MercadoPagoError, answer_once, require_key
from sandbox.mercadopago.objects import METHODS, list_refunds, new_payment, payment, refund
from sandbox.payment import SimulatedPayment, Step, apply_step
from sandbox.state import SandboxState

INSTRUMENTS = {
    **{method: instrument for instrument, (method, _) in METHODS.items()},
    **dict.fromkeys(("paycash", "bancomer", "banamex"), "oxxo"),
    **dict.fromkeys(("master", "amex", "debvisa", "debmaster"), "card"),
}
# As the names of cardholders that decide about their test cards: a token that holds one of these ends so.
CARD_ENDS = {
    "FUND": ("rejected", "cc_rejected_insufficient_amount"),
    "OTHE": ("rejected", "cc_rejected_other_reason"),
    "CONT": ("in_process", "pending_contingency"),
}
CANCELABLE = ("pending", "in_process", "authorized")
NOT_IN_THIS_STATE = "The action requested is not valid for the current payment state"
SORTS = {"date_created": "created", "date_last_updated": "updated"}
MOST_ROWS = 100


def make_api(state: SandboxState) -> Blueprint:
    api = Blueprint("mercadopago", __name__, url_prefix="/mercadopago/v1/payments")
    api.register_error_handler(MercadoPagoError, lambda error: error.reply())

    @api.before_request
    def check_key() -> None:
        if not has_api_key(request, state.keys["mercadopago"]["api_key"]):
            raise MercadoPagoError(401, "invalid access token")

    _add_payments(api, state)
    _add_refunds(api, state)
    return api


def _add_payments(api: Blueprint, state: SandboxState) -> None:
    @api.post("")
    def create() -> Response:
        with state.lock:
            return answer_once(state, lambda: answer(payment(_create(state)), 201))

    @api.get("/search")
    def search() -> Response:
        with state.lock:
            return answer(_page(state.newest_first("mercadopago")))

    @api.get("/<payment_id>")
    def fetch(payment_id: str) -> Response:
        with state.lock:
            return answer(payment(_get(state, payment_id)))

    @api.put("/<payment_id>")
    def update(payment_id: str) -> Response:
        with state.lock:
            return answer(payment(_cancel(state, _get(state, payment_id))))


def _add_refunds(api: Blueprint, state: SandboxState) -> None:
    @api.post("/<payment_id>/refunds")
    def give_back(payment_id: str) -> Response:
        with state.lock:
            return answer_once(state, lambda: answer(_refund(state, _get(state, payment_id)), 201))

    @api.get("/<payment_id>/refunds")
    def show_refunds(payment_id: str) -> Response:
        with state.lock:
            made = _get(state, payment_id)
            return answer([refund(made, *given) for given in list_refunds(made)])


def _sent() -> dict[str, Any]:
    """The JSON body, its fractions as Decimal; empty where there is none."""
    try:
        sent = json.loads(request.get_data() or b"{}", parse_float=Decimal)
    except ValueError:
        sent = None
    if not isinstance(sent, dict):
        raise MercadoPagoError(400, "Params Error", 1)
    return sent


def _create(state: SandboxState) -> SimulatedPayment:
    sent = _sent()
    method = sent.get("payment_method_id", "visa" if sent.get("token") else None)
    if method not in INSTRUMENTS:
        raise MercadoPagoError(400, "Cannot infer Payment Method", 2131)
    email = sent.get("payer", {}).get("email")
    if not isinstance(email, str) or "@" not in email:
        raise MercadoPagoError(400, "payer.email must be a valid email", 4050)
    amount, instrument = _amount(sent, "transaction_amount"), INSTRUMENTS[method]
    if instrument == "card" and not sent.get("token"):
        raise MercadoPagoError(400, "Card Token not found", 2006)
    now = int(time.time())
    echoed = {"payment_method_id": method, "email": email, "description": sent.get("description")}
    if "date_of_expiration" in sent:
        echoed["expires_at"] = int(_time(sent["date_of_expiration"], 23).timestamp())
    made = new_payment(state.names, instrument, now, amount, sent.get("external_reference"))
    made.raw = {**echoed, "metadata": sent.get("metadata", {})}
    if instrument == "card":
        _charge_card(made, sent["token"])
    state.add(made)
    state.record_effect(made, "create", require_key())
    return made


def _charge_card(made: SimulatedPayment, token: str) -> None:
    for word, (status, detail) in CARD_ENDS.items():
        if word in token:
            apply_step(made, Step("", status, detail=detail), made.created)
            return
    apply_step(made, Step("", "approved", received=100, detail="accredited"), made.created)


def _amount(sent: dict[str, Any], name: str) -> int:
    value = sent.get(name)
    centavos = value * 100 if isinstance(value, int | Decimal) else Decimal(0)
    if isinstance(value, bool) or centavos <= 0 or centavos % 1:
        raise MercadoPagoError(400, f"Invalid value for {name}", 2072)
    return int(centavos)


def _time(text: object, code: int) -> datetime:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or "." not in str(text):
        raise MercadoPagoError(400, "Date format must be yyyy-MM-dd'T'HH:mm:ss.SSSZ", code)
    return at


def _get(state: SandboxState, payment_id: str) -> SimulatedPayment:
    made = state.find("mercadopago", payment_id)
    if made is None:
        raise MercadoPagoError(404, "Payment not found", 2000)
    return made


def _page(payments: list[SimulatedPayment]) -> dict[str, Any]:
    limit, offset = request.args.get("limit", 30, type=int), request.args.get("offset", 0, type=int)
    if not 1 <= limit <= MOST_ROWS or offset < 0:
        raise MercadoPagoError(400, "Number of rows exceeded the limits", 1000)
    asked = request.args
    found = [
        made
        for made in payments
        if asked.get("external_reference", made.reference) == made.reference
        and asked.get("status", made.status) == made.status
        and _is_in_range(made)
    ]
    sort = SORTS.get(asked.get("sort", "date_created"))
    if sort is None:
        raise MercadoPagoError(400, "Invalid value for sort", 1)
    found.sort(key=lambda made: (getattr(made, sort), int(made.id)), reverse=asked.get("criteria", "desc") == "desc")
    paging = {"total": len(found), "limit": limit, "offset": offset}
    return {"paging": paging, "results": [payment(made) for made in found[offset : offset + limit]]}


def _is_in_range(made: SimulatedPayment) -> bool:
    field = request.args.get("range")
    if field is None:
        return True
    begin, end = (_time(request.args.get(name), 1001) for name in ("begin_date", "end_date"))
    if field not in SORTS or end - begin >= timedelta(days=365):
        raise MercadoPagoError(400, "The range of dates is too long", 9062)
    at = made.created if field == "date_created" else made.updated
    return begin.timestamp() <= at <= end.timestamp()


def _cancel(state: SandboxState, made: SimulatedPayment) -> SimulatedPayment:
    if _sent() != {"status": "cancelled"}:
        raise MercadoPagoError(400, "Params Error", 1)
    if made.status not in CANCELABLE:
        raise MercadoPagoError(400, NOT_IN_THIS_STATE, 2018)
    apply_step(made, Step("", "cancelled", detail="by_collector"), int(time.time()))
    state.record_effect(made, "cancel", request.headers.get("X-Idempotency-Key", made.reference))
    return made


def _refund(state: SandboxState, made: SimulatedPayment) -> dict[str, Any]:
    """An empty body gives back what is left."""
    sent, left = _sent(), made.received_minor - made.refunded_minor
    if made.status != "approved" or not left:
        raise MercadoPagoError(400, NOT_IN_THIS_STATE, 2063)
    amount = _amount(sent, "amount") if "amount" in sent else left
    if amount > left:
        raise MercadoPagoError(400, "Invalid value for amount", 2072)
    given = (str(state.names.number()), amount, int(time.time()))
    made.raw.setdefault("refunds", []).append(given)
    made.refunded_minor += amount
    is_all = made.refunded_minor == made.received_minor
    detail = "refunded" if is_all else "partially_refunded"
    apply_step(made, Step("", "refunded" if is_all else "approved", detail=detail), given[2])
    state.record_effect(made, "refund", require_key(), given[0], amount)
    return refund(made, *given)
