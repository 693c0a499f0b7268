"""Where two sides of one payment differ, by class. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from models.our_side import Ours
from models.states import Difference, PaymentState
from schedules.expiring import has_run_out
from schedules.reconciling.theirs import Theirs

D, S = Difference, PaymentState

GRACE = timedelta(minutes=2)  # what a webhook may take to come and to be applied
HAS_MONEY = frozenset({S.COMPLETED, S.PARTIALLY_REFUNDED, S.REFUNDED, S.DISPUTED, S.RETURNED})
# Through the one door, so that what makes no sense is refused there too. Money that differs is never taken over.
HEALABLE = frozenset({D.MISSING_HERE, D.STATE})
HOLDS = frozenset({D.AMOUNT, D.CURRENCY, D.MODE, D.DUPLICATE_THERE, D.OPERATING_DATE})


@dataclass(frozen=True, slots=True)
class Found:
    """One difference of a payment. `at_stake` is the money in question, in minor units."""

    kind: Difference
    at_stake: int | None
    may_heal: bool
    needs_person: bool = False  # before it is healed, whatever the account's mode


def compare(ours: Ours, theirs: Theirs, account_livemode: bool) -> list[Found]:
    """Every class in which the two differ; empty where they agree. What one side does not tell is no difference."""
    kinds: dict[Difference, int | None] = {}
    if theirs.livemode is not None and theirs.livemode != account_livemode:
        kinds[D.MODE] = theirs.amount_minor
    if _differ(ours.currency, theirs.currency):
        kinds[D.CURRENCY] = theirs.amount_minor
    elif _differ(ours.amount_minor, theirs.amount_minor):
        kinds[D.AMOUNT] = _gap(ours.amount_minor, theirs.amount_minor)
    elif _differ(ours.fee_minor, theirs.fee_minor):
        kinds[D.AMOUNT] = _gap(ours.fee_minor, theirs.fee_minor)
    if ours.operating_day and _differ(ours.operating_day, theirs.operating_day):
        kinds[D.OPERATING_DATE] = theirs.amount_minor
    is_other_state = ours.state not in (theirs.state, *theirs.untold) and not _expired_by_clock(ours, theirs)
    if is_other_state or (not kinds and _is_other_money(ours, theirs)):
        kinds[D.STATE] = theirs.amount_minor
    is_held = not HOLDS.isdisjoint(kinds)
    return [Found(kind, at_stake, kind in HEALABLE and not is_held) for kind, at_stake in kinds.items()]


def _differ(ours: object, theirs: object) -> bool:
    return ours is not None and theirs is not None and ours != theirs


def _gap(ours: int | None, theirs: int | None) -> int:
    return abs((ours or 0) - (theirs or 0))


def _expired_by_clock(ours: Ours, theirs: Theirs) -> bool:
    """Whether we have given up what the PSP still waits for: it asks for nothing, and would only be opened again."""
    still_waits = theirs.state is S.PENDING and not theirs.received_minor
    return ours.state == S.EXPIRED and still_waits and has_run_out(ours, theirs.as_of)


def _is_other_money(ours: Ours, theirs: Theirs) -> bool:
    """Received or refunded, as far as the state speaks of money at all."""
    if theirs.state not in HAS_MONEY:
        return False
    return _differ(ours.received_minor, theirs.received_minor) or (theirs.refunded_minor or 0) != ours.refunded_minor


def is_ours_newer(ours: Ours, theirs: Theirs) -> bool:
    """Whether we have changed the payment since the PSP was asked: the answer says nothing about that."""
    return ours.updated_at > theirs.as_of


def is_too_young(theirs: Theirs) -> bool:
    """Whether the PSP has made or changed it a moment ago, so that its webhook may still be on its way."""
    told = (theirs.created_at, theirs.changed_at if theirs.changed_at != theirs.as_of else None)
    return any(at is not None and at > theirs.as_of - GRACE for at in told)


def describe_ours(ours: Ours) -> dict[str, Any]:
    """What is kept beside a difference, under the same names as Theirs.describe."""
    said = {
        "state": ours.state,
        "amount_minor": ours.amount_minor,
        "received_minor": ours.received_minor,
        "refunded_minor": ours.refunded_minor,
        "fee_minor": ours.fee_minor,
        "currency": ours.currency,
        "livemode": ours.livemode,
        "operating_day": ours.operating_day.isoformat() if ours.operating_day else None,
        "psp_payment_id": ours.psp_payment_id,
    }
    return {name: value for name, value in said.items() if value is not None}


def is_near_boundary(at: datetime | None, boundary: datetime, within: timedelta = timedelta(minutes=10)) -> bool:
    """Whether a moment lies so close to the change of the operating date that both dates are right."""
    return at is not None and abs(at - boundary) <= within
