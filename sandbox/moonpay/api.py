"""MoonPay's API as far as Acuse uses it, and its widget: who opens a signed address of it begins to buy.

The widget's address of the real MoonPay shows a page; here GET /moonpay/widget?<the same query> is the payer who comes,
and it answers with the transaction that was made. Every visit makes another one: there is no idempotency key.
"""

import base64
import hashlib
import hmac
import time
from decimal import Decimal, InvalidOperation
from urllib.parse import unquote_to_bytes

from flask import Blueprint, Response, request

from sandbox.answers import answer
from sandbox.moonpay.objects import CRYPTO, new_payment, transaction
from sandbox.payment import SimulatedPayment
from sandbox.state import SandboxState

FIATS = ("mxn", "usd", "eur")
LEAST_MINOR = 2_000


class MoonPayError(Exception):
    """An answer {code, type, message} with its HTTP status."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind = status, kind

    def reply(self) -> Response:
        return answer({"code": None, "type": self.kind, "message": str(self)}, self.status)


def make_api(state: SandboxState) -> Blueprint:
    api = Blueprint("moonpay", __name__, url_prefix="/moonpay")
    api.register_error_handler(MoonPayError, lambda error: error.reply())

    @api.get("/v1/transactions/<transaction_id>")
    def fetch(transaction_id: str) -> Response:
        _check_secret_key(state)
        with state.lock:
            return answer(transaction(_get(state, transaction_id)))

    @api.get("/v1/transactions/ext/<reference>")
    def fetch_by_reference(reference: str) -> Response:
        _check_secret_key(state)
        with state.lock:
            found = [transaction(one) for one in state.newest_first("moonpay") if one.reference == reference]
        if not found:
            raise MoonPayError(404, "NotFoundError", "Transaction not found")
        return answer(found)

    @api.get("/widget", strict_slashes=False)
    def open_widget() -> Response:
        _check_signature(state)
        with state.lock:
            return answer(transaction(_begin(state)), 201)

    return api


def _check_secret_key(state: SandboxState) -> None:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Api-Key" or not hmac.compare_digest(key.encode(), state.keys["moonpay"]["api_key"].encode()):
        raise MoonPayError(401, "UnauthorizedError", "Unauthorized")


def _check_signature(state: SandboxState) -> None:
    """The signature is the last parameter, over everything before it, with the question mark."""
    keys = state.keys["moonpay"]
    signed, _, signature = request.query_string.partition(b"&signature=")
    made = base64.b64encode(hmac.new(keys["api_key"].encode(), b"?" + signed, hashlib.sha256).digest())
    if not hmac.compare_digest(unquote_to_bytes(signature), made):
        raise MoonPayError(400, "BadRequestError", "The signature of the widget's URL is invalid")
    if request.args.get("apiKey") != keys["publishable_key"]:
        raise MoonPayError(400, "BadRequestError", "The apiKey is not known")


def _get(state: SandboxState, transaction_id: str) -> SimulatedPayment:
    payment = state.find("moonpay", transaction_id)
    if payment is None:
        raise MoonPayError(404, "NotFoundError", "Transaction not found")
    return payment


def _begin(state: SandboxState) -> SimulatedPayment:
    """The payer orders what the address names."""
    code, fiat = request.args.get("currencyCode", ""), request.args.get("baseCurrencyCode", "")
    if code not in CRYPTO or fiat not in FIATS:
        raise MoonPayError(400, "BadRequestError", f"The sandbox sells {', '.join(CRYPTO)} for {', '.join(FIATS)}")
    reference = request.args.get("externalTransactionId")
    payment = new_payment(state.names, "crypto", int(time.time()), _read_amount(), reference)
    payment.ids["currency"], payment.raw["fiat"] = code, fiat
    payment.ids["wallet"] = request.args.get("walletAddress", payment.ids["wallet"])
    state.add(payment)
    state.record_effect(payment, "create", payment.reference, currency=fiat.upper())
    return payment


def _read_amount() -> int:
    try:
        minor = Decimal(request.args.get("baseCurrencyAmount", "")) * 100
        amount = int(minor)
    except (InvalidOperation, ValueError, OverflowError):
        raise MoonPayError(400, "BadRequestError", "baseCurrencyAmount is not a number") from None
    if amount != minor or amount < LEAST_MINOR:
        raise MoonPayError(400, "BadRequestError", "baseCurrencyAmount must be at least 20, with up to two decimals")
    return amount
