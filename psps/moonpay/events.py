"""MoonPay's events: {"type", "data": {transaction}}. Those of buys count; there is no event id.

Source: dev.moonpay.com, overview of the webhooks and webhooks of buys.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime

from models.states import Decision
from psps.base import Hint, Ignored, PaymentEvent, Reply
from psps.identity import digest_key, is_storable_key, peek_object
from psps.moonpay.transactions import MOVES_MONEY, Fields, read_kind, read_transaction
from psps.payload import iso_time, read_json, require_object, require_text

RECEIVED = Reply(200, b'{"received":true}')
FAILED_TYPE = "transaction_failed"
# The type says why the message was sent, the transaction's own status where it stands: transaction_created may come
# with any status, completed too.
BUY_TYPES = frozenset({"transaction_created", "transaction_updated", FAILED_TYPE})
IGNORED = {"identity_check_updated": "about a person and no payment"}
IGNORED_FAMILIES = {
    "sell_": "a sale of crypto; Acuse follows buys",
    "swap_": "an exchange of crypto; no fiat moves",
    "virtual_account_": "about an account and no payment",
}
KEY_FIELDS = ("id", "status", "updatedAt")


def event_key(headers: Mapping[str, str], body: bytes) -> str:
    """type|id|status|updatedAt, by which MoonPay's duplicates can be told; else the digest of the body."""
    top = peek_object(body) or {}
    data = top.get("data")
    parts = [top.get("type"), *(data.get(name) for name in KEY_FIELDS)] if type(data) is dict else [None]
    key = "|".join(str(part) for part in parts)
    return key if all(is_storable_key(part) for part in (*parts, key)) else digest_key(body)


def content_digest(body: bytes) -> bytes:
    """SHA-256 of the body: MoonPay calls its duplicates identical."""
    return hashlib.sha256(body).digest()


def read(headers: Mapping[str, str], body: bytes) -> list[PaymentEvent] | Ignored | Hint:
    """One payment event, why there is none, or that the payment must be fetched. Raises Unparseable, nothing else."""
    envelope = read_json(body)
    raw_type = require_text(envelope, "type")
    if raw_type not in BUY_TYPES:
        return _ignore(raw_type)
    transaction = require_object(envelope, "data")
    if _is_doubtful(raw_type, transaction):
        return Hint(raw_type, require_text(transaction, "id"))
    return _as_list(read_transaction(transaction, raw_type, iso_time(transaction.get("updatedAt"), "updatedAt")))


def _ignore(raw_type: str) -> Ignored:
    reason = IGNORED.get(raw_type) or next(
        (why for family, why in IGNORED_FAMILIES.items() if raw_type.startswith(family)), None
    )
    return Ignored(raw_type, reason or "not a type that Acuse knows", known=reason is not None)


def _is_doubtful(raw_type: str, transaction: Fields) -> bool:
    """Money is said to have moved, without saying how much, or under a type that says the opposite."""
    kind, _ = read_kind(transaction)
    if raw_type == FAILED_TYPE and transaction.get("status") == "completed":
        return True
    return kind in MOVES_MONEY and transaction.get("baseCurrencyAmount") is None


def read_snapshot(body: bytes, as_of: datetime) -> list[PaymentEvent] | Ignored:
    """The transaction of GET /v1/transactions/{id}. Raises Unparseable, nothing else."""
    transaction = read_json(body)
    changed_at = transaction.get("updatedAt")
    occurred_at = as_of if changed_at is None else iso_time(changed_at, "updatedAt")
    return _as_list(read_transaction(transaction, "transaction", occurred_at))


def _as_list(outcome: PaymentEvent | Ignored) -> list[PaymentEvent] | Ignored:
    return outcome if isinstance(outcome, Ignored) else [outcome]


def parse(headers: Mapping[str, str], body: bytes) -> list[PaymentEvent]:
    """`read` for events alone."""
    outcome = read(headers, body)
    return outcome if isinstance(outcome, list) else []


def reply(body: bytes, decision: Decision) -> Reply:
    """Any 2xx within 5 seconds is an acknowledgement for MoonPay; the text is for people."""
    return RECEIVED


def deposit_clabe(body: bytes) -> str | None:
    """MoonPay never asks whether to keep money."""
    return None
