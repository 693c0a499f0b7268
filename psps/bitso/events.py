"""Bitso's events: {"event", "payload"}. Only the payload is signed, so only the payload is read, and it is only a hint.

Bitso signs for all of its customers with the same public keys, and a payload names no account: a genuine signature
proves that Bitso said it, but any other customer can make Bitso say it, of a payment with our reference too. So nothing in
a delivery is believed. It says what to fetch, and what our own key is given for that counts.

A compensatory deposit, which brings a payout of ours back, is fetched as the funding that it is, and that tells the
return of the payout. The deposit of a one-time payment is told twice; psps.bitso.deposits says how it counts once.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from models.states import Decision
from psps.base import Hint, Ignored, PaymentEvent, Reply, Unparseable
from psps.bitso.fields import (
    FUNDING,
    ID_FIELDS,
    ID_PREFIXES,
    INTENT,
    ONE_TIME,
    WITHDRAWAL,
    Fields,
    find_id,
    fold,
    name_resource,
)
from psps.bitso.payments import read_intent, read_one_time
from psps.bitso.returns import RETURNED_BY
from psps.bitso.signed import cut_payload, write_plainly
from psps.bitso.transfers import read_funding, read_withdrawal
from psps.identity import digest_key, is_storable_key, peek_object
from psps.payload import find_object, read_json, require_object

RECEIVED = Reply(200, b'{"received":true}')
READERS: dict[str, Callable[[Fields, datetime], PaymentEvent | Ignored]] = {
    FUNDING: read_funding,
    WITHDRAWAL: read_withdrawal,
    ONE_TIME: read_one_time,
    INTENT: read_intent,
}
DIGEST_LETTERS = 16
MX_SPEI = "mx_spei"
# payin, payout, payin_intent and dynamic_qr_code: `type` names the rail, which begins with the country.
FOREIGN_RAILS = ("co_", "br_", "ar_", "us_", "pix")


def event_key(headers: Mapping[str, str], body: bytes) -> str:
    """`<kind>:<id>:<status>:<start of the digest of the payload>`, else the whole digest. Bitso sends no event id.

    Without the digest, another customer's payload with our id and status would take the place of the true one.
    """
    payload = _find_said(body)
    if payload is None:
        return digest_key(body)
    fields = peek_object(payload) or {}
    resource = name_resource(fields)
    found = find_id(fields, resource)
    kind, status = resource or fold(fields.get("type")), fold(fields.get("status"))
    digest = hashlib.sha256(payload).hexdigest()[:DIGEST_LETTERS]
    key = f"{kind}:{found}:{status}:{digest}" if kind and status and is_storable_key(found) else ""
    return key if is_storable_key(key) else digest_key(payload)


def content_digest(body: bytes) -> bytes:
    """SHA-256 of the payload: what stands around it, and how it is written, can be changed by anybody."""
    payload = _find_said(body)
    return hashlib.sha256(body if payload is None else payload).digest()


def _find_said(body: bytes) -> bytes | None:
    """The payload in one way of writing: the signature holds for letters written out and escaped."""
    payload = cut_payload(body)
    return None if payload is None else write_plainly(peek_object(payload))


def read(headers: Mapping[str, str], body: bytes) -> Hint | Ignored:
    """What to fetch, or why nothing. Raises Unparseable, nothing else."""
    payload = require_object(read_json(body), "payload")
    resource = _name_resource(payload)
    if resource is None:
        return _explain_other(payload)
    own_id = find_id(payload, resource)
    if not is_storable_key(own_id):
        raise Unparseable(f"the id of a {resource} is not a short text")
    # A status that is not known is a reason to look, too.
    raw_type = f"{resource} {fold(payload.get('status')) or 'without status'}"
    return Hint(raw_type, f"{ID_PREFIXES[resource]}{own_id}")


def read_snapshot(body: bytes, as_of: datetime) -> list[PaymentEvent] | Ignored:
    """The `payload` of an answer, one thing alone. Raises Unparseable, nothing else."""
    payload = read_json(body)
    resource = _name_resource(payload)
    outcome = READERS[resource](payload, as_of) if resource else _explain_other(payload)
    return outcome if isinstance(outcome, Ignored) else [outcome, *_read_return(payload, outcome, as_of)]


def _read_return(payload: Fields, payout: PaymentEvent, as_of: datetime) -> list[PaymentEvent]:
    """That the money came back, where our client has put the deposit that tells it beside the withdrawal."""
    funding = find_object(payload, RETURNED_BY)
    told = read_funding(funding, as_of) if funding else None
    return [replace(told, psp_payment_id=payout.psp_payment_id)] if isinstance(told, PaymentEvent) else []


def parse(headers: Mapping[str, str], body: bytes) -> list[PaymentEvent]:
    """No webhook of Bitso is believed, so there are never events in one."""
    read(headers, body)
    return []


def reply(body: bytes, decision: Decision) -> Reply:
    """Any 2xx within 5 seconds is an acknowledgement for Bitso, and a 4xx would not be repeated."""
    return RECEIVED


def deposit_clabe(body: bytes) -> str | None:
    """Bitso never asks whether to keep money."""
    return None


def _name_resource(payload: Fields) -> str | None:
    """As `name_resource`. Raises Unparseable for what has the ids of two different things."""
    resource = name_resource(payload)
    if resource is None and any(payload.get(name) is not None for name in ID_FIELDS):
        raise Unparseable("the payload has the ids of two different things")
    return resource


def _explain_other(payload: Fields) -> Ignored:
    """What has neither fid, wid nor payment_id. The word is the payload's own `type`."""
    rail = fold(payload.get("type"))
    if rail == MX_SPEI and find_object(payload, MX_SPEI, "account"):
        return Ignored(rail, "an account validation: no money of a payment moves")
    if rail and rail.startswith(FOREIGN_RAILS):
        return Ignored(rail, "a payment in another country than Mexico")
    return Ignored(rail or "payload", "not a kind of thing that Acuse knows", known=False)
