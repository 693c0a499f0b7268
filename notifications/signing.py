"""Signatures of notifications, as Standard Webhooks has them: any of its libraries verifies ours."""

import base64
import binascii
import hashlib
import hmac
import secrets as random_secrets
from collections.abc import Sequence
from datetime import datetime

SECRET_PREFIX = "whsec_"  # nosec B105 # noqa: S105 - every secret begins so
SECRET_BYTES = 32
FEWEST_SECRET_BYTES = 24


def new_secret() -> str:
    """A secret for one endpoint: `whsec_` and 32 random bytes in base64."""
    return SECRET_PREFIX + base64.b64encode(random_secrets.token_bytes(SECRET_BYTES)).decode()


def sign(secrets: Sequence[str], message_id: str, sent_at: datetime, body: bytes) -> list[tuple[str, str]]:
    """The three headers of one attempt. `secrets` are all that are active, newest first: two during a rotation.

    `message_id` stays the same over all attempts; `sent_at`, aware, is the time of this one. Raises ValueError for what
    could not be verified: no secret or a malformed one, a naive time, an id with a dot.
    """
    if not secrets:
        raise ValueError("a notification needs a secret")
    if sent_at.tzinfo is None:
        raise ValueError("sent_at is naive")
    if not message_id or "." in message_id:
        raise ValueError("a message id has no dots")
    timestamp = str(int(sent_at.timestamp()))
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = [_sign_once(_read_key(secret), signed) for secret in secrets]
    return [("webhook-id", message_id), ("webhook-timestamp", timestamp), ("webhook-signature", " ".join(signatures))]


def _sign_once(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _read_key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < FEWEST_SECRET_BYTES or not secret.startswith(SECRET_PREFIX):
        raise ValueError("a secret is malformed")
    return key
