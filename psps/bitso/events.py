"""Bitso's events: {"event", "payload"}. Only the payload is signed, so only the payload is read.

One deposit may be told twice, as a `funding` and as the `spei_payment` of a one-time payment, and must be counted once.
Nothing in the funding says whether it is such a one, but the CLABE that it was sent to is of type MANAGED then, which
Bitso's API tells. So a funding that names its CLABE is a hint: the client fetches it, asks for the CLABE's type, and one
of a one-time payment is left to its spei_payment. An account whose calls are not configured cannot ask, and a person has
to look at such a funding. UNVERIFIED: that the fundings of one-time payments always name their CLABE. For an account that
parks strangers (ACUSE_BITSO_UNMATCHED=park), the reference `fid:<fid>`, which both events carry, joins them in any order
even where they do not.
"""

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime

from models.states import Decision
from psps.base import Hint, Ignored, PaymentEvent, Reply, Unparseable
from psps.bitso.fields import FUNDING, INTENT, ONE_TIME, WITHDRAWAL, Fields, find_id, fold, name_resource
from psps.bitso.payments import read_intent, read_one_time
from psps.bitso.signed import cut_payload
from psps.bitso.transfers import read_funding, read_withdrawal
from psps.identity import digest_key, is_storable_key, peek_object
from psps.payload import find_object, read_json, require_object

RECEIVED = Reply(200, b'{"received":true}')
READERS: dict[str, Callable[[Fields, datetime | None], PaymentEvent | Ignored]] = {
    FUNDING: read_funding,
    WITHDRAWAL: read_withdrawal,
    ONE_TIME: read_one_time,
    INTENT: read_intent,
}
MX_SPEI = "mx_spei"
# payin, payout, payin_intent and dynamic_qr_code: `type` names the rail, which begins with the country.
FOREIGN_RAILS = ("co_", "br_", "ar_", "us_", "pix")


def event_key(headers: Mapping[str, str], body: bytes) -> str:
    """`<kind>:<id>:<status>`, else the digest of the payload. Bitso sends no event id."""
    payload = cut_payload(body)
    if payload is None:
        return digest_key(body)
    fields = peek_object(payload) or {}
    resource = name_resource(fields)
    found = find_id(fields, resource)
    kind, status = resource or fold(fields.get("type")), fold(fields.get("status"))
    key = f"{kind}:{found}:{status}" if kind and status and is_storable_key(found) else ""
    return key if is_storable_key(key) else digest_key(payload)


def content_digest(body: bytes) -> bytes:
    """SHA-256 of the compact payload: what stands around it and between its tokens can be changed by anybody."""
    payload = cut_payload(body)
    return hashlib.sha256(body if payload is None else payload).digest()


def read(headers: Mapping[str, str], body: bytes) -> list[PaymentEvent] | Ignored | Hint:
    """One payment event, why there is none, or that a deposit must be fetched. Raises Unparseable, nothing else."""
    payload = require_object(read_json(body), "payload")
    outcome = _read_payload(payload, None)
    if isinstance(outcome, Ignored):
        return outcome
    if name_resource(payload) == FUNDING and outcome.clabe and outcome.psp_payment_id:
        return Hint(outcome.raw_type, outcome.psp_payment_id)
    return [outcome]


def read_snapshot(body: bytes, as_of: datetime) -> list[PaymentEvent] | Ignored:
    """The `payload` of an answer, one thing alone. Raises Unparseable, nothing else."""
    outcome = _read_payload(read_json(body), as_of)
    return outcome if isinstance(outcome, Ignored) else [outcome]


def parse(headers: Mapping[str, str], body: bytes) -> list[PaymentEvent]:
    """`read` for events alone."""
    outcome = read(headers, body)
    return outcome if isinstance(outcome, list) else []


def reply(body: bytes, decision: Decision) -> Reply:
    """Any 2xx within 5 seconds is an acknowledgement for Bitso, and a 4xx would not be repeated."""
    return RECEIVED


def deposit_clabe(body: bytes) -> str | None:
    """Bitso never asks whether to keep money."""
    return None


def _read_payload(payload: Fields, as_of: datetime | None) -> PaymentEvent | Ignored:
    resource = name_resource(payload)
    if resource:
        return READERS[resource](payload, as_of)
    if any(payload.get(name) is not None for name in ("fid", "wid", "payment_id")):
        raise Unparseable("the payload has the ids of two different things")
    return _explain_other(payload)


def _explain_other(payload: Fields) -> Ignored:
    """What has neither fid, wid nor payment_id. The word is the payload's own `type`."""
    rail = fold(payload.get("type"))
    if rail == MX_SPEI and find_object(payload, MX_SPEI, "account"):
        return Ignored(rail, "an account validation: no money of a payment moves")
    if rail and rail.startswith(FOREIGN_RAILS):
        return Ignored(rail, "a payment in another country than Mexico")
    return Ignored(rail or "payload", "not a kind of thing that Acuse knows", known=False)
