"""/v1/payments/{id}/timeline: all that was decided, asked and told about a payment, in words."""

from typing import Any
from uuid import UUID

from flask import request
from marshmallow import Schema, fields, validate

from ingress.api.callers import current_caller, needs
from ingress.api.dependencies import deps
from ingress.api.parsing import Blueprint
from ingress.api.wording import (
    LANGUAGES,
    Language,
    choose_language,
    describe_attempt,
    describe_notification,
    describe_transition,
)
from models.merchant_payments import Timeline
from models.reading import Row
from models.states import AttemptStatus, DeliveryStatus, EventKind, Operation, Outcome, Source

ACCEPT_LANGUAGE = {
    "in": "header",
    "name": "Accept-Language",
    "schema": {"type": "string"},
    "description": "en or es: the language of the texts",
}

blueprint = Blueprint("timeline", __name__, url_prefix="/v1/payments", description="The story of a payment")


class CallOutput(Schema):
    """One HTTP call to an endpoint."""

    number = fields.Integer(required=True)
    sent_at = fields.AwareDateTime(required=True)
    status = fields.Integer(allow_none=True, metadata={"description": "Of the answer; none came where it is null"})
    error = fields.String(allow_none=True)
    latency_ms = fields.Integer(required=True)


class StoryDeliveryOutput(Schema):
    """The way of a notification to one endpoint."""

    endpoint_id = fields.UUID(required=True)
    status = fields.String(required=True, validate=validate.OneOf(list(DeliveryStatus)))
    text = fields.String(required=True)
    attempts = fields.List(fields.Nested(CallOutput), required=True)


class EntryOutput(Schema):
    """One entry. Which members it has depends on its type."""

    type = fields.String(required=True, validate=validate.OneOf(["transition", "attempt", "notification"]))
    at = fields.AwareDateTime(required=True, metadata={"description": "When we learned or did it"})
    text = fields.String(required=True, metadata={"description": "What happened, for a person"})
    occurred_at = fields.AwareDateTime(allow_none=True, metadata={"description": "By the PSP's clock"})
    kind = fields.String(validate=validate.OneOf(list(EventKind)))
    outcome = fields.String(validate=validate.OneOf(list(Outcome)))
    source = fields.String(validate=validate.OneOf(list(Source)))
    from_state = fields.String(allow_none=True)
    to_state = fields.String(allow_none=True)
    reason = fields.String(allow_none=True)
    received_minor = fields.Integer(allow_none=True)
    refunded_minor = fields.Integer(allow_none=True)
    attempt_id = fields.UUID()
    operation = fields.String(validate=validate.OneOf(list(Operation)))
    status = fields.String(validate=validate.OneOf(list(AttemptStatus)))
    amount_minor = fields.Integer(allow_none=True)
    error_code = fields.String(allow_none=True)
    settled_at = fields.AwareDateTime(allow_none=True)
    notification_id = fields.UUID()
    event_type = fields.String()
    sequence = fields.Integer(allow_none=True)
    deliveries = fields.List(fields.Nested(StoryDeliveryOutput))


class TimelineOutput(Schema):
    """The entries in the order in which they came to be."""

    payment_id = fields.UUID(required=True)
    language = fields.String(required=True, validate=validate.OneOf(LANGUAGES))
    entries = fields.List(fields.Nested(EntryOutput), required=True)


@blueprint.route("/<uuid:payment_id>/timeline", methods=["GET"])
@needs("read")
@blueprint.doc(parameters=[ACCEPT_LANGUAGE])
@blueprint.response(200, TimelineOutput, headers={"Content-Language": {"schema": {"type": "string"}}})
def get_timeline(payment_id: UUID) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Understand a payment

    Every decision about it, also those to refuse or to ignore what a PSP said, every call that we made, and every
    notification that you were sent; each with a sentence in English or Spanish.
    """
    language = choose_language(request.headers.get("Accept-Language"))
    with deps().open_work(current_caller().merchant_id) as work:
        story = work.own_payments.timeline(payment_id)
    body = {"payment_id": payment_id, "language": language, "entries": _tell(story, language)}
    return body, 200, {"Content-Language": language, "Vary": "Accept-Language"}


def _tell(story: Timeline, language: Language) -> list[Row]:
    entries = [
        *(_tell_transition(row, language) for row in story.transitions),
        *(_tell_attempt(row, language) for row in story.attempts),
        *(_tell_notification(row, language) for row in story.notifications),
    ]
    return sorted(entries, key=lambda entry: entry["at"])


def _tell_transition(row: Row, language: Language) -> Row:
    said = (row["kind"], row["from_state"], row["to_state"], row["outcome"], row["reason"], row["source"])
    return {**row, "type": "transition", "at": row["recorded_at"], "text": describe_transition(language, *said)}


def _tell_attempt(row: Row, language: Language) -> Row:
    text = describe_attempt(language, row["operation"], row["status"], row["error_code"])
    return {**row, "type": "attempt", "at": row["created_at"], "attempt_id": row["id"], "text": text}


def _tell_notification(row: Row, language: Language) -> Row:
    deliveries = [
        {
            **one,
            "attempts": one["calls"],
            "text": describe_notification(language, one["status"], one["tries"], one["last_status"]),
        }
        for one in row["deliveries"]
    ]
    text = " ".join(one["text"] for one in deliveries)
    about = {"type": "notification", "at": row["created_at"], "notification_id": row["id"], "text": text}
    return {**row, **about, "deliveries": deliveries}
