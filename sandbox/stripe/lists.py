"""Stripe's lists: newest first, 10 to a page unless asked otherwise, the next page after the last id of this one."""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import request

from sandbox.payment import SimulatedPayment
from sandbox.state import SandboxState
from sandbox.stripe.changes import get_payment
from sandbox.stripe.errors import StripeError
from sandbox.stripe.objects import DISPUTE_STATUSES, dispute, expand_charge, refund

T = TypeVar("T")


def list_payments(state: SandboxState) -> dict[str, Any]:
    first = request.args.get("created[gte]", 0, type=int)
    end = request.args.get("created[lt]", 2**62, type=int)
    found = [payment for payment in state.newest_first("stripe") if first <= payment.created < end]
    expanded = "data.latest_charge" in request.args.getlist("expand[]")
    return _page("payment_intents", found, lambda payment: payment.id, lambda payment: expand_charge(payment, expanded))


def list_refunds(state: SandboxState) -> dict[str, Any]:
    """Those of one payment, or of all."""
    asked = request.args.get("payment_intent")
    payments = [get_payment(state, asked)] if asked else state.newest_first("stripe")
    made = [one for payment in payments for one in _refunds_of(payment)]
    return _page("refunds", sorted(made, key=lambda one: one["created"])[::-1], _read_id, _as_it_is)


def _refunds_of(payment: SimulatedPayment) -> list[dict[str, Any]]:
    """Those that were asked for; where a life cycle was played instead, the one that it told of."""
    told = [refund(payment)] if payment.refunded_minor else []
    return payment.raw.get("refunds") or told


def list_disputes(state: SandboxState) -> dict[str, Any]:
    """Those of one payment."""
    payment = get_payment(state, request.args.get("payment_intent"))
    found = [dispute(payment)] if payment.detail in DISPUTE_STATUSES else []
    return _page("disputes", found, _read_id, _as_it_is)


def _read_id(one: dict[str, Any]) -> str:
    return str(one["id"])


def _as_it_is(one: dict[str, Any]) -> dict[str, Any]:
    return one


def _page(
    name: str, found: list[T], read_id: Callable[[T], str], show: Callable[[T], dict[str, Any]]
) -> dict[str, Any]:
    limit = request.args.get("limit", 10, type=int)
    if not 1 <= limit <= 100:
        raise StripeError(400, "invalid_request_error", "limit must be 1 to 100.", param="limit")
    after = request.args.get("starting_after")
    if after:
        ids = [read_id(one) for one in found]
        if after not in ids:
            message = f"No such object: '{after}'"
            raise StripeError(400, "invalid_request_error", message, "resource_missing", "starting_after")
        found = found[ids.index(after) + 1 :]
    return {
        "object": "list",
        "data": [show(one) for one in found[:limit]],
        "has_more": len(found) > limit,
        "url": f"/v1/{name}",
    }
