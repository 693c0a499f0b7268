"""Endpoints and notifications as merchants write and read them."""

from typing import Any

from marshmallow import Schema, fields, validate

from ingress.api.parsing import Input, Line, Moment, Whole
from ingress.api.timeline import CallOutput
from models.notification_bodies import EVENT_TYPES
from models.states import DeliveryStatus

MOST_ROWS = 100
MOST_GRACE_HOURS = 168
TYPES = list(EVENT_TYPES)


def _url(required: bool) -> fields.String:
    meta = {"description": "https, on the public internet", "example": "https://shop.example.com/acuse"}
    return fields.String(required=required, validate=validate.Length(1, 2048), metadata=meta)


def _types() -> fields.List[Any]:
    one = fields.String(validate=validate.OneOf(TYPES))
    return fields.List(
        one, validate=validate.Length(max=len(TYPES)), metadata={"description": "What to send; empty: everything"}
    )


class EndpointInput(Input):
    """An address to be notified at."""

    url = _url(required=True)
    event_types = _types()
    description = Line(250)


class EndpointChange(Input):
    """What to change; the rest stays."""

    url = _url(required=False)
    event_types = _types()
    description = Line(250, allow_none=True)


class RotationInput(Input):
    """How long the secret before signs as well."""

    grace_hours = fields.Integer(load_default=24, strict=True, validate=validate.Range(0, MOST_GRACE_HOURS))


class EndpointOutput(Schema):
    """An endpoint as it stands."""

    id = fields.UUID(required=True)
    url = fields.String(required=True)
    description = fields.String(allow_none=True)
    event_types = fields.List(fields.String(), required=True)
    status = fields.String(required=True, validate=validate.OneOf(["active", "failing", "disabled"]))
    disabled_reason = fields.String(allow_none=True)
    failing_since = fields.AwareDateTime(allow_none=True)
    disabled_at = fields.AwareDateTime(allow_none=True)
    previous_secret_until = fields.AwareDateTime(allow_none=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class NewEndpointOutput(EndpointOutput):
    """With the secret that signs its notifications, shown this once."""

    secret = fields.String(required=True, metadata={"example": "whsec_..."})


class EndpointsOutput(Schema):
    """All endpoints, the oldest first."""

    endpoints = fields.List(fields.Nested(EndpointOutput), required=True)


class DeliveryQuery(Input):
    """Which deliveries to list."""

    status = fields.String(validate=validate.OneOf(list(DeliveryStatus)))
    cursor = Line(200)
    limit = Whole(load_default=50, validate=validate.Range(1, MOST_ROWS))


class DeliveryOutput(Schema):
    """The way of a notification to an endpoint."""

    notification_id = fields.UUID(required=True, metadata={"description": "The webhook-id header"})
    endpoint_id = fields.UUID(required=True)
    event_type = fields.String(required=True)
    payment_id = fields.UUID(allow_none=True)
    sequence = fields.Integer(allow_none=True, metadata={"description": "1, 2, 3 ... within the payment"})
    status = fields.String(required=True, validate=validate.OneOf(list(DeliveryStatus)))
    next_attempt_at = fields.AwareDateTime(allow_none=True)
    created_at = fields.AwareDateTime(required=True)
    settled_at = fields.AwareDateTime(allow_none=True)
    attempts = fields.List(fields.Nested(CallOutput), required=True)


class DeliveriesOutput(Schema):
    """Deliveries, the newest first."""

    deliveries = fields.List(fields.Nested(DeliveryOutput), required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class TestOutput(Schema):
    """The test that is on its way."""

    notification_id = fields.UUID(required=True)


class RangeInput(Input):
    """Which notifications to send again."""

    since = Moment(required=True, metadata={"example": "2026-11-25T00:00:00Z"})
    until = Moment(required=True, metadata={"example": "2026-11-26T00:00:00Z"})
    cursor = Line(200, metadata={"description": "`next_cursor` of the answer before"})


class RangeOutput(Schema):
    """How many are on their way, and where to go on; null: that was all."""

    taken = fields.Integer(required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class NotificationReplayInput(Input):
    """Where to send it again."""

    endpoint_id = fields.UUID(required=True)


class NotificationOutput(Schema):
    """What was said, and how it was delivered."""

    id = fields.UUID(required=True)
    event_type = fields.String(required=True)
    payment_id = fields.UUID(allow_none=True)
    sequence = fields.Integer(allow_none=True)
    created_at = fields.AwareDateTime(required=True)
    payload = fields.Dict(required=True)
    deliveries = fields.List(fields.Nested(DeliveryOutput), required=True)
