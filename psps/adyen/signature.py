"""additionalData.hmacSignature: HMAC-SHA256 of some fields of each notification item, base64; the key is given in hex.

A delivery holds any number of items, each with its own signature, and every one of them must fit: Adyen's own Python
library looks at the first alone. ONLY the values of SIGNED_FIELDS are protected. Everything else (`live`, `eventDate`,
`reason`, `paymentMethod`, the rest of additionalData) can be changed by anybody who has seen one delivery, so no payment
may be moved by it. No time is signed: a replay is caught by eventCode, pspReference and success.

The header HmacSignature of Adyen's other webhooks (management, banking) signs another text and proves nothing here.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from psps.base import InvalidSignature, Unparseable
from psps.credentials import decode_base64, fingerprint
from psps.payload import find_object, read_json

ITEMS, ITEM = "notificationItems", "NotificationRequestItem"
# In the order of the signed text. A value that is missing is empty in it.
SIGNED_FIELDS = (
    "pspReference",
    "originalReference",
    "merchantAccountCode",
    "merchantReference",
    "amount.value",
    "amount.currency",
    "eventCode",
    "success",
)
# The text joins its values by colons without escaping them. With all others free of colons, this one may hold any.
MAY_HOLD_COLONS = "merchantReference"
_HEX_KEY = re.compile(r"(?:[0-9A-Fa-f]{2})+")


def verify(
    headers: Mapping[str, str],
    query: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    now: datetime,
) -> str:
    """The fingerprint of the key that signed; of the first item, where a rotation falls between two items.

    Raises InvalidSignature, nothing else, also where only one of the items does not fit.
    """
    keys = {secret: bytes.fromhex(secret.strip()) for secret in secrets if _HEX_KEY.fullmatch(secret.strip())}
    if not keys:
        raise InvalidSignature("no Adyen HMAC key is configured")
    signers = [_find_signer(item, keys) for item in _list_items(body)]
    return fingerprint(signers[0])


def _list_items(body: bytes) -> list[dict[str, Any]]:
    """At least one item. The reading is strict: of a name that is given twice, another reader might take the other value."""
    try:
        items = read_json(body).get(ITEMS)
    except Unparseable:
        raise InvalidSignature("the body is no JSON object that can be read") from None
    if type(items) is not list or not items:
        raise InvalidSignature("the body has no notificationItems")
    found = [item.get(ITEM) if type(item) is dict else None for item in items]
    if not all(type(item) is dict for item in found):
        raise InvalidSignature("a notification item has no NotificationRequestItem")
    return [item for item in found if item is not None]


def _find_signer(item: Mapping[str, Any], keys: Mapping[str, bytes]) -> str:
    encoded = find_object(item, "additionalData").get("hmacSignature")
    if type(encoded) is not str or not encoded:
        raise InvalidSignature("hmacSignature is missing")
    signature = decode_base64(encoded, "hmacSignature")
    signed = _write_signed(item)
    for secret, key in keys.items():
        if hmac.compare_digest(hmac.digest(key, signed, "sha256"), signature):
            return secret
    raise InvalidSignature("no Adyen key fits a notification item")


def _write_signed(item: Mapping[str, Any]) -> bytes:
    return ":".join(_write_value(name, _find_value(item, name)) for name in SIGNED_FIELDS).encode(
        "utf-8", "surrogatepass"
    )


def _find_value(item: Mapping[str, Any], name: str) -> object:
    """By its path alone: a member that is itself called "amount.value" is not the amount that anybody reads."""
    *path, last = name.split(".")
    return (find_object(item, *path) if path else item).get(last)


def _write_value(name: str, value: object) -> str:
    if value is None:
        return ""
    if name == "success" and type(value) is bool:
        return "true" if value else "false"
    if type(value) is not (int if name == "amount.value" else str):
        raise InvalidSignature(f"{name} is of another type than Adyen signs")
    text = str(value)
    if ":" in text and name != MAY_HOLD_COLONS:
        raise InvalidSignature(f"{name} holds a colon")
    return text
