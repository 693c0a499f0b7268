"""Bitso's API as far as Acuse uses it: one-time payments, withdrawals, fundings, payment intents.

Every call is signed, with a nonce that must grow. There is no idempotency: a second withdrawal with the same origin_id is
a second withdrawal.
"""

import hashlib
import hmac
import json
import re
import time
from decimal import Decimal, InvalidOperation

from flask import Blueprint, Response, request

from sandbox.answers import answer
from sandbox.bitso.errors import BitsoError, succeed
from sandbox.bitso.objects import intent, list_fundings, new_payment, one_time, withdrawal
from sandbox.bitso.pages import Row, keep, page_by_marker, page_by_number
from sandbox.payment import SimulatedPayment
from sandbox.state import SandboxState

PREFIX = "/bitso"
NVIO = "710"
SPEI_TAXONOMY = ("clabe",)
BITSO_TAXONOMY = {"asset": "mxn", "method": "bt", "network": "bt", "protocol": "nvio-clabe"}
_AUTHORIZATION = re.compile(r"Bitso ([^:]+):([0-9]+):([0-9a-f]{64})")


def make_api(state: SandboxState) -> Blueprint:
    api = Blueprint("bitso", __name__, url_prefix=PREFIX)
    api.register_error_handler(BitsoError, lambda error: error.reply())
    largest_nonce = [0]

    @api.before_request
    def check_signature() -> None:
        with state.lock:
            nonce = _check_signature(state.keys["bitso"])
            if nonce <= largest_nonce[0]:
                raise BitsoError("0207", "Invalid nonce value", 401)
            largest_nonce[0] = nonce

    _add_one_time(api, state)
    _add_transfers(api, state)
    return api


def _check_signature(keys: dict[str, str]) -> int:
    """The nonce. Raises BitsoError."""
    given = _AUTHORIZATION.fullmatch(request.headers.get("Authorization", ""))
    if given is None or given[1] != keys["api_key"]:
        raise BitsoError("0201", "Check your credentials", 401)
    target = str(request.environ["REQUEST_URI"]).removeprefix(PREFIX)
    signed = f"{given[2]}{request.method}{target}".encode() + request.get_data()
    expected = hmac.new(keys["api_secret"].encode(), signed, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, given[3]):
        raise BitsoError("0215", "Incorrect request signature", 401)
    return int(given[2])


def _add_one_time(api: Blueprint, state: SandboxState) -> None:
    @api.post("/spei/v1/payments")
    def create() -> Response:
        with state.lock:
            payment, sent = _create_one_time(state)
            row = one_time(payment)
            # The answer to a create has the expected payer, and no times.
            told = {name: value for name, value in row.items() if not name.endswith("_at")}
            return succeed({**told, "payer_name": sent.get("payer_name")})

    @api.get("/spei/v1/payments")
    def list_payments() -> Response:
        with state.lock:
            return succeed(page_by_number([p for p in state.newest_first("bitso") if p.instrument == "spei"]))

    @api.get("/spei/v1/payments/<payment_id>")
    def fetch(payment_id: str) -> Response:
        with state.lock:
            return succeed(one_time(_get(state, f"payment:{payment_id}", "0300", 404)))

    @api.get("/payments/v1alpha/payment_intents/<intent_id>")
    def fetch_intent(intent_id: str) -> Response:
        with state.lock:
            return answer(intent(_get(state, f"intent:{intent_id}", "0300", 404)))


def _add_transfers(api: Blueprint, state: SandboxState) -> None:
    @api.post("/v3/withdrawals")
    def withdraw() -> Response:
        with state.lock:
            return succeed(withdrawal(_withdraw(state)))

    @api.get("/v3/withdrawals")
    def list_withdrawals() -> Response:
        with state.lock:
            rows = [withdrawal(p) for p in state.newest_first("bitso") if p.instrument == "payout"]
        rows = keep(rows, "origin_ids", lambda row: row["details"]["origin_id"])
        return succeed(page_by_marker(keep(rows, "wids", lambda row: row["wid"]), "wid"))

    @api.get("/v3/withdrawals/<wid>")
    def fetch_withdrawal(wid: str) -> Response:
        with state.lock:
            return succeed([withdrawal(_get(state, f"withdrawal:{wid}", "0310"))])

    @api.get("/v3/fundings")
    def list_all_fundings() -> Response:
        with state.lock:
            rows = _fundings(state)
        return succeed(page_by_marker(keep(rows, "fids", lambda row: row["fid"]), "fid"))

    @api.get("/v3/fundings/<fid>")
    def fetch_funding(fid: str) -> Response:
        with state.lock:
            of_fid = [p for p in state.newest_first("bitso") if fid in (p.ids["fid"], p.ids["return_fid"])]
            rows = [row for p in of_fid for row in list_fundings(p) if row["fid"] == fid]
        if not rows:
            raise BitsoError("0311", "Incorrect FID (non-existent or does not belong to user)")
        return succeed(rows)


def _get(state: SandboxState, payment_id: str, code: str, status: int = 400) -> SimulatedPayment:
    payment = state.find("bitso", payment_id)
    if payment is None:
        raise BitsoError(code, f"Incorrect id {payment_id}", status)
    return payment


def _fundings(state: SandboxState) -> list[Row]:
    """Newest first."""
    rows = [row for payment in state.newest_first("bitso") for row in list_fundings(payment)]
    return sorted(rows, key=lambda row: str(row["created_at"]), reverse=True)


def _body() -> Row:
    try:
        sent = json.loads(request.get_data())
    except ValueError:
        sent = None
    if not isinstance(sent, dict):
        raise BitsoError("0300", "The body is not a JSON object")
    return sent


def _read_amount(sent: Row) -> int:
    try:
        amount = Decimal(sent["amount"]) if isinstance(sent.get("amount"), str) else Decimal(0)
    except InvalidOperation:
        amount = Decimal(0)
    if amount <= 0 or amount != round(amount, 2):
        raise BitsoError("0304", "Invalid field: amount")
    return int(amount * 100)


def _create_one_time(state: SandboxState) -> tuple[SimulatedPayment, Row]:
    sent = _body()
    payment_id, amount = sent.get("payment_id"), _read_amount(sent)
    if not isinstance(payment_id, str) or not payment_id:
        raise BitsoError("0303", "Required field missing: payment_id")
    if state.find("bitso", f"payment:{payment_id}"):
        raise BitsoError("0304", "Invalid field: payment_id is taken")
    payment = new_payment(state.names, "spei", int(time.time()), amount, payment_id)
    payment.payer = str(sent.get("payer_name") or payment.payer)
    state.add(payment)
    state.record_effect(payment, "create", payment_id)
    return payment, sent


def _withdraw(state: SandboxState) -> SimulatedPayment:
    sent = _body()
    amount, clabe = _read_amount(sent), str(sent.get("clabe", ""))
    taxonomy = {name: sent[name] for name in BITSO_TAXONOMY if name in sent}
    if sent.get("currency") != "mxn" or (taxonomy != BITSO_TAXONOMY and sent.get("protocol") not in SPEI_TAXONOMY):
        raise BitsoError("0304", "Invalid field: currency or protocol")
    if not re.fullmatch(r"\d{18}", clabe):
        raise BitsoError("0317", "Invalid SPEI number")
    if sent["protocol"] == "clabe":
        if clabe.startswith(NVIO):
            raise BitsoError("0714", "An Nvio CLABE cannot be sent on SPEI")
        if not str(sent.get("beneficiary", "")).strip():
            raise BitsoError("0303", "Required field missing: beneficiary")
    reference = str(sent.get("origin_id", "")) or None
    payment = new_payment(state.names, "payout", int(time.time()), amount, reference)
    payment.payer = str(sent.get("beneficiary", payment.payer))
    payment.ids["payer_clabe"] = clabe
    payment.raw |= {"notes": sent.get("notes_ref") or sent.get("notes") or "", "taxonomy": taxonomy}
    state.add(payment)
    state.record_effect(payment, "create", payment.reference)
    return payment
