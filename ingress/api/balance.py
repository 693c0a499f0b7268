"""/v1/balance-summary: what came in, by state, method and civil day."""

from datetime import date, datetime, time, timedelta
from typing import Any

from marshmallow import Schema, fields

from ingress.api.callers import current_caller, needs
from ingress.api.dependencies import deps
from ingress.api.parsing import Blueprint, Input
from ingress.api.problems import Problem
from psps.payload import MEXICO_CITY

MOST_DAYS = 92
USUAL_DAYS = 7
ZONE = "America/Mexico_City"

blueprint = Blueprint("balance", __name__, url_prefix="/v1", description="Sums")


class BalanceQuery(Input):
    """Which days to sum up."""

    first_day = fields.Date(metadata={"description": f"In {ZONE}; {USUAL_DAYS - 1} days before the last"})
    last_day = fields.Date(metadata={"description": f"In {ZONE}, inclusive; today"})


class SumOutput(Schema):
    """Payments that were made on one day and have the rest in common. Sums of incoming and outgoing stay apart."""

    day = fields.Date(required=True)
    state = fields.String(required=True)
    method = fields.String(required=True)
    direction = fields.String(required=True)
    currency = fields.String(required=True, allow_none=True)
    livemode = fields.Boolean(required=True)
    count = fields.Integer(required=True)
    amount_minor = fields.Integer(required=True)
    received_minor = fields.Integer(required=True)
    refunded_minor = fields.Integer(required=True)


class BalanceOutput(Schema):
    """The sums of some days."""

    zone = fields.String(required=True)
    first_day = fields.Date(required=True)
    last_day = fields.Date(required=True)
    sums = fields.List(fields.Nested(SumOutput), required=True)


@blueprint.route("/balance-summary", methods=["GET"])
@needs("read")
@blueprint.arguments(BalanceQuery, location="query")
@blueprint.response(200, BalanceOutput)
def get_balance_summary(query: dict[str, Any]) -> dict[str, Any]:
    """Sum payments up

    By the civil day in Mexico City on which they were made, their state, method and currency; at most 92 days at a time.
    """
    today = deps().clock().astimezone(MEXICO_CITY).date()
    last = query.get("last_day", today)
    first = query.get("first_day") or max(last, date.min + timedelta(USUAL_DAYS)) - timedelta(USUAL_DAYS - 1)
    if last == date.max or not timedelta(0) <= last - first < timedelta(MOST_DAYS):
        problem = f"from first_day to last_day must be 1 to {MOST_DAYS} days"
        raise Problem(422, "invalid", problem, errors=[{"in": "query", "field": "first_day", "message": problem}])
    with deps().open_work(current_caller().merchant_id) as work:
        sums = work.own_payments.sum_up(_begin(first), _begin(last + timedelta(1)), ZONE)
    return {"zone": ZONE, "first_day": first, "last_day": last, "sums": sums}


def _begin(day: date) -> datetime:
    """The instant at which a civil day begins."""
    return datetime.combine(day, time.min, MEXICO_CITY)
