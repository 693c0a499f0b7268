"""Verify stored deliveries again, with the secrets of today and however long ago they were signed. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Protocol
from urllib.parse import parse_qsl

from models.replays import StoredEvent
from models.states import Source, Verification
from psps.base import InvalidSignature
from psps.credentials import LABELS
from psps.registry import Psp

QUERY = ":query"  # as ingress/receiver.py keeps what a PSP signs of the address
NO_BOUND = {"past_seconds": None, "future_seconds": None}


class AccountSecrets(Protocol):
    """The secrets of one PSP account (config.PspAccount has them)."""

    @property
    def secrets(self) -> Sequence[str]: ...


def verify_again(
    psps: Mapping[str, Psp], accounts: Mapping[tuple[str, str], AccountSecrets], now: datetime, stored: StoredEvent
) -> Verification:
    """What the active secrets of its account say of a stored delivery.

    A login is never stored, and a body without its card data is not what was signed: of those only the label is compared
    that was written down when they came.
    """
    event = stored.event
    if event.source is not Source.WEBHOOK:
        return Verification.OURS
    if event.locked:
        return Verification.LOCKED
    if not stored.redacted and sha256(event.body).digest() != stored.body_sha256:
        return Verification.ALTERED
    psp, account = psps.get(event.psp), accounts.get((event.psp, event.account))
    if psp is None or account is None:
        return Verification.ROTATED
    is_active = stored.verified_with in {LABELS[psp.credential](secret) for secret in account.secrets}
    if psp.credential == "basic" or stored.redacted:
        return Verification.RECORDED if is_active else Verification.ROTATED
    query = dict(parse_qsl(event.headers.get(QUERY, ""), keep_blank_values=True))
    bounds = NO_BOUND if psp.tolerates_time else {}
    try:
        psp.signature.verify(event.headers, query, event.body, account.secrets, now, **bounds)
    except InvalidSignature:
        # A PSP may put another key under the same name; any other label is of one key alone.
        is_same_key = is_active and psp.credential != "key_ids"
        return Verification.ALTERED if is_same_key else Verification.ROTATED
    return Verification.FITS
