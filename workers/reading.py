"""From stored bytes to what they mean: pure, one delivery at a time, before any lock is taken."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from models.payload_vault import KEY_MISSING
from models.record import record
from models.states import Decision, InboxStatus, Method
from models.work import ClaimedEvent, Finished, Postponed
from psps.base import Hint, Ignored, PaymentEvent, Unparseable
from workers.answers import find_own_payment, is_by_clock, read_any
from workers.dependencies import Understanding, WorkerDeps
from workers.facts import Fact

WRONG_MODE = "livemode_mismatch"
# Another process seals with a key that this one does not have yet, or no more: it, or whoever comes after it, can read.
KEY_WAIT = timedelta(hours=12)
SHORTEST_KEY_PAUSE, LONGEST_KEY_PAUSE = timedelta(seconds=5), timedelta(minutes=1)


@record
class Item:
    """One payment event of one delivery, and what the state machine sees of it."""

    event: ClaimedEvent
    ordinal: int
    said: PaymentEvent
    fact: Fact
    own_payment: UUID | None = None  # of the answer to a call of ours


def _make_item(event: ClaimedEvent, ordinal: int, said: PaymentEvent) -> Item:
    fact = Fact(
        kind=said.kind,
        key=f"{event.event_key}/{ordinal}",
        at=said.occurred_at,
        amount=said.amount_minor,
        received=said.received_minor,
        refunded=said.refunded_minor,
        currency=said.currency,
        refund_ref=said.refund_ref,
        refund_minor=said.refund_minor,
        dispute_ref=said.dispute_ref,
        ends_disputes=said.ends_disputes or None,
        by_clock=is_by_clock(event) or None,
        details=_describe(said),
    )
    return Item(event, ordinal, said, fact, find_own_payment(event))


def _describe(said: PaymentEvent) -> dict[str, Any] | None:
    """What an event says about its payment besides state and money, as JSON values under the names of our columns."""
    details: dict[str, Any] = {
        "method": said.method if said.method is not Method.UNKNOWN else None,
        "merchant_reference": said.merchant_reference,
        "expires_at": said.expires_at.isoformat() if said.expires_at else None,
        "psp_created_at": said.created_at.isoformat() if said.created_at else None,
        "operating_day": said.operating_day.isoformat() if said.operating_day else None,
        "fee_minor": said.fee_minor,
    }
    if said.crypto:
        details |= {
            "crypto_asset": said.crypto.asset,
            "crypto_network": said.crypto.network,
            "crypto_base_units": str(said.crypto.base_units),  # wider than a JSON number may be
            "crypto_scale": said.crypto.scale,
            "crypto_tx_hash": said.crypto.tx_hash,
        }
    return {name: value for name, value in details.items() if value is not None} or None


def wait_for_key(event: ClaimedEvent, now: datetime) -> Postponed | None:
    """An event whose key is missing here waits without losing an attempt; None for all others, and after KEY_WAIT."""
    age = now - event.received_at
    if not event.locked or not event.locked.startswith(KEY_MISSING) or age >= KEY_WAIT:
        return None
    pause = min(max(age / 4, SHORTEST_KEY_PAUSE), LONGEST_KEY_PAUSE)
    return Postponed(event.id, now + pause, event.attempts - 1, event.locked)


def read_event(deps: WorkerDeps, event: ClaimedEvent) -> list[Item] | Hint | Finished | Postponed:
    """The payment events in a delivery, what to fetch for it, the status that ends it here, or when it is tried again.

    Never raises for what a PSP can send.
    """
    if postponed := wait_for_key(event, deps.clock()):
        return postponed
    said = understand(deps, event)
    if isinstance(said, Ignored):
        if not said.known:
            deps.metrics.unknown_types.labels(event.psp).inc()
        return Finished(event.id, InboxStatus.IGNORED, said.reason)
    return said


def understand(deps: Understanding, event: ClaimedEvent) -> list[Item] | Hint | Ignored | Finished:
    """The same, told to nobody: what a PSP's message says that moves nothing is left as it is."""
    account = deps.accounts.get((event.psp, event.account))
    reader = deps.readers.get(event.psp)
    if account is None or reader is None:
        return Finished(event.id, InboxStatus.PARKED, "account_not_configured")
    if event.locked:
        return Finished(event.id, InboxStatus.PARKED, event.locked)
    if event.decision is Decision.RETURN:
        return Finished(event.id, InboxStatus.IGNORED, "deposit to an unknown CLABE, sent back")
    try:
        said = read_any(reader, event)
    except Unparseable as error:
        return Finished(event.id, InboxStatus.PARKED, f"unparseable: {error}")
    if isinstance(said, Hint | Ignored):
        return said
    if any(s.livemode is not None and s.livemode != account.livemode for s in said):
        return Finished(event.id, InboxStatus.PARKED, WRONG_MODE)
    return [_make_item(event, ordinal, s) for ordinal, s in enumerate(said)]
