"""Stripe's events."""

import re
from collections.abc import Mapping

from models.states import Decision
from psps.base import Reply
from psps.identity import digest_content, key_by_id

RECEIVED = Reply(200, b'{"received":true}')
# Counts the endpoints that have not answered yet, so it differs between deliveries of one event.
VOLATILE = {"pending_webhooks": re.compile(rb"\s*:\s*\d+")}


def event_key(headers: Mapping[str, str], body: bytes) -> str:
    """The event's top-level `id` (`evt_...`): Stripe's documented dedupe key."""
    return key_by_id(body)


def content_digest(body: bytes) -> bytes:
    """SHA-256 of the body without `pending_webhooks`."""
    return digest_content(body, VOLATILE)


def reply(body: bytes, decision: Decision) -> Reply:
    """Any 2xx is an acknowledgement for Stripe; the text is for people."""
    return RECEIVED


def deposit_clabe(body: bytes) -> str | None:
    """Stripe never asks whether to keep a transfer."""
    return None
