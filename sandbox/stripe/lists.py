"""Stripe's lists: newest first, 10 to a page unless asked otherwise, the next page after the last id of this one."""

from typing import Any

from flask import request

from sandbox.payment import SimulatedPayment
from sandbox.state import SandboxState
from sandbox.stripe.changes import get_payment
from sandbox.stripe.errors import StripeError
from sandbox.stripe.objects import DISPUTE_STATUSES, dispute, expand_charge, refund


def list_payments(state: SandboxState) -> dict[str, Any]:
    first = request.args.get("created[gte]", 0, type=int)
    end = request.args.get("created[lt]", 2**62, type=int)
    found = [payment for payment in state.newest_first("stripe") if first <= payment.created < end]
    expanded = "data.latest_charge" in request.args.getlist("expand[]")
    return _page("payment_intents", [expand_charge(payment, expanded) for payment in found])


def list_refunds(state: SandboxState) -> dict[str, Any]:
    """Those of one payment, or of all."""
    asked = request.args.get("payment_intent")
    payments = [get_payment(state, asked)] if asked else state.newest_first("stripe")
    made = [one for payment in payments for one in _refunds_of(payment)]
    return _page("refunds", sorted(made, key=lambda one: one["created"])[::-1])


def _refunds_of(payment: SimulatedPayment) -> list[dict[str, Any]]:
    """Those that were asked for; where a life cycle was played instead, the one that it told of."""
    told = [refund(payment)] if payment.refunded_minor else []
    return payment.raw.get("refunds") or told


def list_disputes(state: SandboxState) -> dict[str, Any]:
    """Those of one payment."""
    payment = get_payment(state, request.args.get("payment_intent"))
    return _page("disputes", [dispute(payment)] if payment.detail in DISPUTE_STATUSES else [])


def _page(name: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    limit = request.args.get("limit", 10, type=int)
    if not 1 <= limit <= 100:
        raise StripeError(400, "invalid_request_error", "limit must be 1 to 100.", param="limit")
    after = request.args.get("starting_after")
    if after:
        ids = [one["id"] for one in found]
        if after not in ids:
            message = f"No such object: '{after}'"
            raise StripeError(400, "invalid_request_error", message, "resource_missing", "starting_after")
        found = found[ids.index(after) + 1 :]
    return {"object": "list", "data": found[:limit], "has_more": len(found) > limit, "url": f"/v1/{name}"}
