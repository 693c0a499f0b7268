"""Stripe's events: the envelope and what each type means. The objects inside are read in the files beside this one."""

import re
from collections.abc import Mapping
from datetime import datetime

from models.states import Decision
from psps.base import Ignored, PaymentEvent, Reply, Unparseable
from psps.identity import digest_content, key_by_id
from psps.payload import optional_flag, read_json, require_object, require_text, unix_seconds
from psps.stripe.fields import Envelope, Reader
from psps.stripe.onramp import read_onramp
from psps.stripe.payments import PAYMENT_INTENT_KINDS, read_payment_intent, read_session
from psps.stripe.reversals import read_charge_refund, read_dispute, read_refund
from psps.stripe.snapshots import read_intent_snapshot

RECEIVED = Reply(200, b'{"received":true}')
# Counts the endpoints that have not answered yet, so it differs between deliveries of one event.
VOLATILE = {"pending_webhooks": re.compile(rb"\s*:\s*\d+")}
THIN_EVENT = "v2.core.event"

READERS: dict[str, tuple[str, Reader]] = {
    **dict.fromkeys(PAYMENT_INTENT_KINDS, ("payment_intent", read_payment_intent)),
    "charge.refunded": ("charge", read_charge_refund),
    "refund.created": ("refund", read_refund),
    "refund.updated": ("refund", read_refund),
    "refund.failed": ("refund", read_refund),
    # The older name of refund.updated.
    "charge.refund.updated": ("refund", read_refund),
    "charge.dispute.created": ("dispute", read_dispute),
    "charge.dispute.updated": ("dispute", read_dispute),
    "charge.dispute.funds_withdrawn": ("dispute", read_dispute),
    "charge.dispute.funds_reinstated": ("dispute", read_dispute),
    "charge.dispute.closed": ("dispute", read_dispute),
    "checkout.session.completed": ("checkout.session", read_session),
    "checkout.session.async_payment_succeeded": ("checkout.session", read_session),
    "checkout.session.async_payment_failed": ("checkout.session", read_session),
    "checkout.session.expired": ("checkout.session", read_session),
    # The type is not in the SDK's list and third parties spell it both ways; the browser's own
    # `onramp_session_updated` is not a webhook.
    "crypto.onramp_session.updated": ("crypto.onramp_session", read_onramp),
    "crypto.onramp_session_updated": ("crypto.onramp_session", read_onramp),
}
DETAILS_OF_A_PAYMENT = "details of a charge; the PaymentIntent's events count"
# Money on a customer's balance belongs to no payment until Stripe applies it, and then the PaymentIntent says so
# (partially_funded, succeeded) or the charge does (refunded). Reading these too would count it twice.
MONEY_OF_THE_CUSTOMER = "money on a customer's balance; the PaymentIntent's events say what is applied"
IGNORED = {
    "charge.succeeded": DETAILS_OF_A_PAYMENT,
    "charge.failed": DETAILS_OF_A_PAYMENT,
    "charge.pending": DETAILS_OF_A_PAYMENT,
    "charge.expired": DETAILS_OF_A_PAYMENT,
    "charge.updated": DETAILS_OF_A_PAYMENT,
    "customer_cash_balance_transaction.created": MONEY_OF_THE_CUSTOMER,
    "cash_balance.funds_available": MONEY_OF_THE_CUSTOMER,
}


def event_key(headers: Mapping[str, str], body: bytes) -> str:
    """The event's top-level `id` (`evt_...`): Stripe's documented dedupe key."""
    return key_by_id(body)


def content_digest(body: bytes) -> bytes:
    """SHA-256 of the body without `pending_webhooks`."""
    return digest_content(body, VOLATILE)


def read(headers: Mapping[str, str], body: bytes) -> list[PaymentEvent] | Ignored:
    """One payment event, or why there is none. Raises Unparseable, nothing else."""
    envelope = read_json(body)
    raw_type = require_text(envelope, "type")
    if envelope.get("object") == THIN_EVENT:
        # API v2 sends ids without the object; an endpoint of snapshot events gets none unless it is set up wrongly.
        return Ignored(raw_type, "a thin event; subscribe this endpoint to snapshot events", known=False)
    if raw_type not in READERS:
        known = raw_type in IGNORED
        return Ignored(raw_type, IGNORED.get(raw_type, "not a type that Acuse knows"), known=known)
    object_name, reader = READERS[raw_type]
    fields = require_object(require_object(envelope, "data"), "object")
    if fields.get("object", object_name) != object_name:
        raise Unparseable("data.object is not of the kind that the type names")
    # `created` says when the change happened; Stripe does not promise that events arrive in this order.
    occurred_at = unix_seconds(envelope.get("created"), "created")
    outcome = reader(fields, Envelope(raw_type, occurred_at, optional_flag(envelope, "livemode")))
    return outcome if isinstance(outcome, Ignored) else [outcome]


def parse(headers: Mapping[str, str], body: bytes) -> list[PaymentEvent]:
    """`read` without the ignored ones."""
    outcome = read(headers, body)
    return [] if isinstance(outcome, Ignored) else outcome


def read_snapshot(body: bytes, as_of: datetime) -> list[PaymentEvent] | Ignored:
    """A PaymentIntent as the client gives it. Raises Unparseable, nothing else."""
    return read_intent_snapshot(read_json(body), as_of)


def reply(body: bytes, decision: Decision) -> Reply:
    """Any 2xx is an acknowledgement for Stripe; the text is for people."""
    return RECEIVED


def deposit_clabe(body: bytes) -> str | None:
    """Stripe never asks whether to keep a transfer."""
    return None
