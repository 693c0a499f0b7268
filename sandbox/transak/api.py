"""Transak's API as far as Acuse uses it, and its widget: the payer who opens its address makes an order.

The real widget shows a page; here GET /transak/widget?<the same query> is the payer who comes, and it answers with the
order that was made. Every visit makes another one, also with the same partnerOrderId.
"""

import hmac
import json
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import Blueprint, Response, request

from sandbox.answers import answer
from sandbox.payment import SimulatedPayment
from sandbox.state import SandboxState
from sandbox.transak.objects import USUAL_CHOICE, new_payment, order
from sandbox.transak.tokens import LIFE_SECONDS, new_access_token

NAMES = {400: "BadRequest", 401: "Unauthorized", 404: "NotFound"}
USUAL_DAYS = timedelta(days=90)
MOST_ROWS = 100


class TransakError(Exception):
    """An answer {error: {statusCode, name, message}} with its status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    def reply(self) -> Response:
        error = {"statusCode": self.status, "name": NAMES[self.status], "message": str(self)}
        return answer({"error": error}, self.status)


def make_api(state: SandboxState) -> Blueprint:
    api = Blueprint("transak", __name__, url_prefix="/transak")
    api.register_error_handler(TransakError, lambda error: error.reply())

    @api.get("/widget", strict_slashes=False)
    def open_widget() -> Response:
        with state.lock:
            _require(request.args.get("apiKey"), state.keys["transak"]["api_key"], "Invalid apiKey")
            return answer({"data": order(_begin(state))}, 201)

    @api.get("/partners/api/v2/orders")
    def list_orders() -> Response:
        with state.lock:
            _require_token(state)
            return answer(_page(state.newest_first("transak")))

    @api.get("/partners/api/v2/order/<order_id>")
    def fetch(order_id: str) -> Response:
        with state.lock:
            _require_token(state)
            found = state.find("transak", order_id)
            if found is None:
                raise TransakError(404, "Order not found")
            return answer({"meta": {"orderId": order_id}, "data": order(found)})

    @api.post("/partners/api/v2/refresh-token")
    def refresh() -> Response:
        with state.lock:
            return answer({"data": _renew(state.keys["transak"])})

    return api


def _require(given: object, expected: str, message: str) -> None:
    if not hmac.compare_digest(str(given or "").encode(), expected.encode()):
        raise TransakError(401, message)


def _require_token(state: SandboxState) -> None:
    """The newest token alone: renewing it ends the one before."""
    _require(request.headers.get("access-token"), state.keys["transak"]["access_token"], "Access token is invalid")


def _renew(keys: dict[str, str]) -> dict[str, Any]:
    sent = request.get_json(silent=True)
    _require(request.headers.get("api-secret"), keys["api_secret"], "Invalid api-secret")
    _require(sent.get("apiKey") if isinstance(sent, dict) else None, keys["api_key"], "Invalid apiKey")
    now = int(time.time())
    keys["previous_access_token"] = keys["access_token"]
    keys["access_token"] = new_access_token(keys["api_key"], now)
    return {"accessToken": keys["access_token"], "expiresAt": now + LIFE_SECONDS}


def _begin(state: SandboxState) -> SimulatedPayment:
    """The payer orders what the address names."""
    sent = request.args
    made = new_payment(state.names, "crypto", int(time.time()), _read_amount(), sent.get("partnerOrderId"))
    made.raw |= {name: sent[name] for name in (*USUAL_CHOICE, "walletAddress") if sent.get(name)}
    state.add(made)
    state.record_effect(made, "create", made.reference, currency=made.raw["fiatCurrency"])
    return made


def _read_amount() -> int:
    try:
        minor = Decimal(request.args.get("fiatAmount", "")) * 100
        amount = int(minor)
    except (InvalidOperation, ValueError, OverflowError):
        raise TransakError(400, "fiatAmount must be a number") from None
    if amount != minor or amount <= 0:
        raise TransakError(400, "fiatAmount must be more than 0, with at most two decimals")
    return amount


def _page(orders: list[SimulatedPayment]) -> dict[str, Any]:
    """The newest first unless asked otherwise; what is not asked for has a default, and COMPLETED is one of them."""
    limit, skip = _read_count("limit", MOST_ROWS), _read_count("skip", 0)
    if not 1 <= limit <= MOST_ROWS:
        raise TransakError(400, f"limit must be 1 to {MOST_ROWS}")
    today = datetime.now(UTC).date()
    first, last = _read_day("startDate", today - USUAL_DAYS), _read_day("endDate", today)
    found = [one for one in orders if first <= datetime.fromtimestamp(one.created, UTC).date() <= last]
    shows_buys = "BUY" in _read_products()
    found = [one for one in found if shows_buys and _is_asked_for(one)]
    if request.args.get("filter[sortOrder]") == "asc":
        found.reverse()
    meta = {"startDate": str(first), "endDate": str(last), "limit": limit, "skip": skip, "totalCount": len(found)}
    return {"meta": meta, "data": [order(one) for one in found[skip : skip + limit]]}


def _is_asked_for(one: SimulatedPayment) -> bool:
    asked = request.args
    return (
        one.status == asked.get("filter[status]", "COMPLETED")
        and one.reference == asked.get("filter[partnerOrderId]", one.reference)
        and one.raw["walletAddress"] == asked.get("filter[walletAddress]", one.raw["walletAddress"])
    )


def _read_products() -> list[Any]:
    try:
        products = json.loads(request.args.get("filter[productsAvailed]", '["BUY"]'))
    except ValueError:
        products = None
    if not isinstance(products, list):
        raise TransakError(400, 'filter[productsAvailed] must be a list as JSON, such as ["BUY"]')
    return products


def _read_count(name: str, usual: int) -> int:
    count = request.args.get(name, usual, type=int)
    if count < 0:
        raise TransakError(400, f"{name} must not be negative")
    return count


def _read_day(name: str, usual: date) -> date:
    try:
        return date.fromisoformat(request.args.get(name, str(usual)))
    except ValueError:
        raise TransakError(400, f"{name} must be a day as YYYY-MM-DD") from None
