"""Conekta's events."""

import re
from collections.abc import Mapping

from models.states import Decision
from psps.base import Reply
from psps.identity import digest_content, key_by_id

RECEIVED = Reply(200, b'{"received":true}')
# Conekta writes its own delivery log into the event, so both differ between deliveries of one event.
VOLATILE = {
    "webhook_status": re.compile(rb'\s*:\s*"[^"\\]*"'),
    "webhook_logs": re.compile(rb'\s*:\s*\[[^"\[\]]*(?:"[^"\\]*"[^"\[\]]*)*\]'),
}


def event_key(headers: Mapping[str, str], body: bytes) -> str:
    """The event's top-level `id` (24 hex digits); the signature has no time, so this is the only replay protection."""
    return key_by_id(body)


def content_digest(body: bytes) -> bytes:
    """SHA-256 of the body without `webhook_status` and `webhook_logs`."""
    return digest_content(body, VOLATILE)


def reply(body: bytes, decision: Decision) -> Reply:
    """Conekta wants exactly 200."""
    return RECEIVED


def deposit_clabe(body: bytes) -> str | None:
    """Conekta never asks whether to keep a transfer."""
    return None
