"""How notifications were delivered, and having them again: below /v1/endpoints and /v1/notifications."""

from typing import Any
from uuid import UUID

import orjson
from flask import Response

from ingress.api.callers import current_caller, needs
from ingress.api.cursors import read_cursor, write_cursor
from ingress.api.dependencies import deps
from ingress.api.endpoint_schemas import (
    DeliveriesOutput,
    DeliveryQuery,
    NotificationOutput,
    NotificationReplayInput,
    RangeInput,
    RangeOutput,
    TestOutput,
)
from ingress.api.idempotency import Made, once
from ingress.api.parsing import Blueprint, refuse_body
from ingress.api.problems import Problem
from ingress.api.ringing import ring_notify
from models.merchant_work import MerchantWork
from models.reading import Row
from models.requests import NotPossible

CANNOT_SEND = "this endpoint is disabled, or there is nothing that it could be sent: enable it first"

blueprint = Blueprint("deliveries", __name__, url_prefix="/v1", description="What you were sent, and how that went")


@blueprint.route("/endpoints/<uuid:endpoint_id>/test", methods=["POST"])
@needs("write")
@blueprint.response(202, TestOutput)
def test_endpoint(endpoint_id: UUID) -> Response:
    """Send a test to an endpoint

    An `endpoint.test` is sent like any other notification; its delivery shows how that went.
    """
    refuse_body()
    merchant_id = current_caller().merchant_id

    def perform(work: MerchantWork) -> Made:
        work.endpoints.get(merchant_id, endpoint_id)
        test_id = work.outbox.add_test(merchant_id, endpoint_id, deps().clock())
        if test_id is None:
            raise NotPossible(CANNOT_SEND)
        return Made(test_id, ring_notify, body={"notification_id": str(test_id)})

    return once(perform, status=202)


@blueprint.route("/endpoints/<uuid:endpoint_id>/deliveries", methods=["GET"])
@needs("read")
@blueprint.arguments(DeliveryQuery, location="query")
@blueprint.response(200, DeliveriesOutput)
def list_deliveries(query: dict[str, Any], endpoint_id: UUID) -> dict[str, Any]:
    """List what was sent to an endpoint

    The newest first, each with its attempts: when, what the endpoint answered, and how long that took.
    """
    merchant_id, limit, before = current_caller().merchant_id, query["limit"], read_cursor(query.get("cursor"))
    with deps().open_work(merchant_id) as work:
        work.endpoints.get(merchant_id, endpoint_id)
        rows = work.notifications.list_of_endpoint(merchant_id, endpoint_id, limit + 1, before, query.get("status"))
    last = rows[limit - 1] if len(rows) > limit else None
    return {
        "deliveries": [_show(row) for row in rows[:limit]],
        "next_cursor": write_cursor((last["created_at"], last["notification_id"])) if last else None,
    }


@blueprint.route("/endpoints/<uuid:endpoint_id>/replay", methods=["POST"])
@needs("write")
@blueprint.arguments(RangeInput)
@blueprint.response(202, RangeOutput)
def replay_range(wanted: dict[str, Any], endpoint_id: UUID) -> Response:
    """Have a time range again

    Everything from `since` and before `until` is sent to this endpoint, whether it had it before or not, with the ids
    that it had; at most 1,000 at a time.
    """
    merchant_id, after = current_caller().merchant_id, read_cursor(wanted.get("cursor"))
    if wanted["since"] >= wanted["until"]:
        raise Problem(422, "invalid", "since must lie before until", errors=[])

    def perform(work: MerchantWork) -> Made:
        if work.endpoints.get(merchant_id, endpoint_id).disabled_at:
            raise NotPossible(CANNOT_SEND)
        done = work.notifications.replay_range(
            merchant_id, endpoint_id, wanted["since"], wanted["until"], deps().clock(), after
        )
        cursor = write_cursor(done.after) if done.after else None
        return Made(endpoint_id, ring_notify, body={"taken": done.taken, "next_cursor": cursor})

    return once(perform, status=202)


@blueprint.route("/notifications/<uuid:notification_id>", methods=["GET"])
@needs("read")
@blueprint.response(200, NotificationOutput)
def get_notification(notification_id: UUID) -> dict[str, Any]:
    """Read a notification

    What it said, and how it was delivered to each endpoint. Notifications are kept for 90 days.
    """
    merchant_id = current_caller().merchant_id
    with deps().open_work(merchant_id) as work:
        told = work.notifications.get(merchant_id, notification_id)
        rows = work.notifications.list_of_notification(merchant_id, notification_id)
    return {**told, "payload": orjson.loads(told["body"]), "deliveries": [_show(row) for row in rows]}


@blueprint.route("/notifications/<uuid:notification_id>/replay", methods=["POST"])
@needs("write")
@blueprint.arguments(NotificationReplayInput)
@blueprint.response(202, TestOutput)
def replay_notification(wanted: dict[str, Any], notification_id: UUID) -> Response:
    """Have one notification again

    It is sent to this endpoint with its old id, delivered before or not.
    """
    merchant_id = current_caller().merchant_id

    def perform(work: MerchantWork) -> Made:
        work.notifications.get(merchant_id, notification_id)
        work.endpoints.get(merchant_id, wanted["endpoint_id"])
        if not work.notifications.replay(merchant_id, notification_id, wanted["endpoint_id"], deps().clock()):
            raise NotPossible(CANNOT_SEND)
        return Made(notification_id, ring_notify, body={"notification_id": str(notification_id)})

    return once(perform, status=202)


def _show(row: Row) -> Row:
    return {**row, "attempts": row["tries"]}
