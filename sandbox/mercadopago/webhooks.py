"""Mercado Pago's webhooks: thin notifications whose address is signed and whose body is not."""

import hashlib
import hmac
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import orjson

from sandbox.identity import Identity
from sandbox.mercadopago.objects import COLLECTOR_ID, write_time
from sandbox.payment import SimulatedPayment, Step

CHARGEBACK = "topic_chargebacks_wh"


def build(payment: SimulatedPayment, step: Step, at: int, names: Identity) -> tuple[str, bytes]:
    """`<type>:<data.id>:<id of the notification>`, and the body that tells this step."""
    own_id = names.number()
    told = _chargeback(payment, at) if step.event == CHARGEBACK else _change(payment, step.event, at)
    body = orjson.dumps({"id": own_id, "live_mode": False, "api_version": "v1", "user_id": COLLECTOR_ID, **told})
    return f"{told['type']}:{told['data']['id']}:{own_id}", body


def _change(payment: SimulatedPayment, action: str, at: int) -> dict[str, Any]:
    created = datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
    return {"type": "payment", "date_created": created, "action": action, "data": {"id": payment.id}}


def _chargeback(payment: SimulatedPayment, at: int) -> dict[str, Any]:
    """`data.id` is the chargeback's, of 18 digits, and a number here where a payment's is a text."""
    data = {
        "checkout": "PRO",
        "date_updated": "0001-01-01T00:00:00Z",
        "id": int(payment.ids["chargeback"]),
        "payment_id": int(payment.id),
        "product_id": "BC32A57TRPP001U8NHHG",
        "site_id": "MLM",
        "transaction_intent_id": "",
    }
    created = write_time(at).replace(".000", "")
    return {
        "type": CHARGEBACK,
        "date_created": created,
        "actions": ["changed_case_status"],
        "application_id": 9007201037432480,
        "data": data,
        "version": 1,
    }


def make_query(body: bytes) -> str:
    """data.id=<id>&type=<type>"""
    told = orjson.loads(body)
    return urlencode({"data.id": told["data"]["id"], "type": told["type"]})


def sign(body: bytes, keys: Mapping[str, Any], sent_at: int) -> dict[str, str]:
    """HMAC-SHA256 over the query's data.id, a fresh request id and the time in milliseconds; nothing of the body."""
    request_id, timestamp = str(uuid.uuid4()), f"{sent_at}000"
    signed = f"id:{orjson.loads(body)['data']['id']};request-id:{request_id};ts:{timestamp};"
    mac = hmac.new(keys["webhook_secret"].encode(), signed.encode(), hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "x-signature": f"ts={timestamp},v1={mac}",
        "x-request-id": request_id,
        "User-Agent": "MercadoPago WebHook v1.0 payment",
    }


def send_again(body: bytes, times_failed: int) -> bytes:
    """A notification is repeated byte for byte."""
    return body


def spoil(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
    """A forged delivery: made by somebody who does not know the secret. A changed body alone would not show."""
    before, name, mac = headers["x-signature"].rpartition("v1=")
    return {**headers, "x-signature": before + name + ("1" if mac[0] == "0" else "0") + mac[1:]}, body + b" "
